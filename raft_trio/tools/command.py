"""The command line: `python -m raft_trio`. Words in, an exit code out; the work is done elsewhere."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import trio

from raft_trio.build import BUILD, Build
from raft_trio.errors import ConfigError, Corrupt, RaftError
from raft_trio.messages import StatusReport
from raft_trio.shell.host import serve
from raft_trio.shell.settings import Settings, load_settings
from raft_trio.tools import wal
from raft_trio.tools.admin import change, snapshot, transfer
from raft_trio.tools.status import ask_all, table

__all__ = ["EXIT_CONFIG", "EXIT_CORRUPT", "EXIT_FAILED", "main", "run"]

EXIT_CONFIG = 64
EXIT_CORRUPT = 65
EXIT_FAILED = 70
"""As in sysexits.h: usage, data, software."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns 0 when done or after a signal, 64 for impossible settings, 65 for a damaged log, 70 else."""
    parsed = _parser().parse_args(arguments)
    if parsed.command == "serve":
        return run(parsed.config, build=BUILD)
    try:
        return _COMMANDS[parsed.command](parsed)
    except ConfigError as error:
        print(f"configuration: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except Corrupt as error:
        print(f"corrupt: {error}", file=sys.stderr)
        return EXIT_CORRUPT
    except RaftError as error:
        print(f"failed: {error}", file=sys.stderr)
        return EXIT_FAILED


def run(config: Path, *, build: Build) -> int:
    """Serves a node made of `build` as the file says. The exit code is that of `main`."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        trio.run(_serve_until_signal, load_settings(config), build)
    except ConfigError as error:
        print(f"configuration: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except RaftError as error:
        print(f"ended: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m raft_trio", description="A node of a Raft cluster on trio.")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="run one node until SIGTERM or SIGINT")
    status = commands.add_parser("status", help="ask every member how it is")
    status.add_argument("--json", action="store_true", help="one object, by member")
    changing = _change_parsers(commands)
    for command in (serving, status, *changing):
        command.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML: the settings of a node")
    for command in changing:
        command.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="default: 30")
    logs = commands.add_parser("wal", help="look into the log of a node that does not run").add_subparsers(
        dest="action", required=True
    )
    for action, text in _WAL_ACTIONS.items():
        command = logs.add_parser(action, help=text)
        command.add_argument("folder", type=Path, metavar="DATA_DIR")
        if action == "repair":
            command.add_argument("--cut", action="store_true", help="do it; what is cut away is kept beside")
    return parser


def _change_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> list[argparse.ArgumentParser]:
    """Of everything that changes a cluster."""
    actions = commands.add_parser("member", help="change who the members are").add_subparsers(
        dest="action", required=True
    )
    member = [actions.add_parser(action, help=text) for action, text in _MEMBER_ACTIONS.items()]
    for command in member:
        command.add_argument("node")
        command.set_defaults(learner=False)
    member[0].add_argument("--learner", action="store_true", help="without a vote, for good")
    transfer = commands.add_parser("transfer", help="hand leadership over")
    transfer.add_argument("node", nargs="?", default="", help="to whom; default: the leader chooses")
    snapshot = commands.add_parser("snapshot", help="have a node take a snapshot now")
    snapshot.add_argument("node")
    return [*member, transfer, snapshot]


_MEMBER_ACTIONS = {
    "add": "add a running node: as a learner, then with a vote once it has caught up",
    "remove": "remove a member",
    "promote": "give a learner a vote",
}
_WAL_ACTIONS = {
    "dump": "print every frame",
    "verify": "recover as a start would, changing nothing",
    "repair": "cut a damaged log at the damage: the node forgets what it promised behind it",
}


# ── serve ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _serve_until_signal(settings: Settings, build: Build) -> None:
    """A first signal lets requests under way be answered, a second one does not."""
    failure: RaftError | None = None
    stop = trio.Event()

    async def node(scope: trio.CancelScope) -> None:
        nonlocal failure
        try:
            await serve(settings, build=build, stop=stop)
        except RaftError as error:
            failure = error
        scope.cancel()

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node, nursery.cancel_scope)
            async for _ in signals:
                if stop.is_set():
                    nursery.cancel_scope.cancel()
                stop.set()
    if failure is not None:
        raise failure


# ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _member(parsed: argparse.Namespace) -> int:
    settings = load_settings(parsed.config)
    print(
        trio.run(
            partial(change, learner=parsed.learner, timeout_s=parsed.timeout), settings, parsed.action, parsed.node
        )
    )
    return 0


def _transfer(parsed: argparse.Namespace) -> int:
    trio.run(partial(transfer, timeout_s=parsed.timeout), load_settings(parsed.config), parsed.node)
    print("leadership was handed over")
    return 0


def _snapshot(parsed: argparse.Namespace) -> int:
    index = trio.run(partial(snapshot, timeout_s=parsed.timeout), load_settings(parsed.config), parsed.node)
    print(f"{parsed.node} has a snapshot up to entry {index}")
    return 0


# ── status, wal ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _status(parsed: argparse.Namespace) -> int:
    """70 when no member answers."""
    answers = trio.run(ask_all, load_settings(parsed.config))
    if parsed.json:
        values = {
            node: answer if isinstance(answer, StatusReport) else {"error": str(answer)}
            for node, answer in answers.items()
        }
        print(
            msgspec.json.format(msgspec.json.encode({node: _plain(value) for node, value in values.items()})).decode()
        )
    else:
        print(table(answers))
    return 0 if any(isinstance(answer, StatusReport) for answer in answers.values()) else EXIT_FAILED


def _plain(value: StatusReport | dict[str, str]) -> dict[str, object]:
    """With names for the fields, which the wire does without."""
    if isinstance(value, dict):
        return dict(value)
    config, peers = msgspec.structs.asdict(value.config), [msgspec.structs.asdict(peer) for peer in value.peers]
    return msgspec.structs.asdict(value) | {"config": config, "peers": peers}


def _wal(parsed: argparse.Namespace) -> int:
    if parsed.action == "dump":
        for line in wal.dump(parsed.folder):
            print(line)
        return 0
    if parsed.action == "verify":
        node, recovered = wal.verify(parsed.folder)
        state = recovered.hard_state
        snapshot = f"a snapshot up to {recovered.snapshot.index}" if recovered.snapshot is not None else "no snapshot"
        entries = f"{len(recovered.entries)} entries from {recovered.base_index + 1} on"
        print(f"{node}: term {state.term}, voted for {state.voted_for}, {snapshot}, {entries}")
        return 0
    return _repair(parsed.folder, cut=parsed.cut)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "member": _member,
    "transfer": _transfer,
    "snapshot": _snapshot,
    "status": _status,
    "wal": _wal,
}


def _repair(folder: Path, *, cut: bool) -> int:
    damage = wal.find_damage(folder)
    if damage is None:
        print("nothing is damaged; a torn end is removed at the next start")
        return 0
    lost = f"{damage.frames_behind} undamaged frames behind it and {len(damage.segments_behind)} later segments"
    print(f"{damage.path}, byte {damage.offset}: damaged; a cut loses {lost}")
    if not cut:
        print("To cut, add --cut. Safer where the others are whole: remove this member, add it anew, empty.")
        return EXIT_CORRUPT
    for saved in wal.repair(folder, damage):
        print(f"kept {saved}")
    return 0
