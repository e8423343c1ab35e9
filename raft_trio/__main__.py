"""`python -m raft_trio serve --config FILE`: one node of a cluster, until a signal ends it."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import trio

from raft_trio.build import BUILD, Build
from raft_trio.errors import ConfigError, RaftError
from raft_trio.shell.host import serve
from raft_trio.shell.settings import Settings, load_settings

__all__ = ["main", "run"]

EXIT_CONFIG = 64
EXIT_FAILED = 70
"""As in sysexits.h: usage, software."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns 0 after a signal, 64 for impossible settings, 70 when the node could not start or go on."""
    parser = argparse.ArgumentParser(prog="python -m raft_trio", description="A node of a Raft cluster on trio.")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="run one node until SIGTERM or SIGINT")
    serving.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML: node_id, data_dir, members")
    parsed = parser.parse_args(arguments)
    return run(parsed.config, build=BUILD)


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


if __name__ == "__main__":
    sys.exit(main())
