"""What `--bug`, `--workload` and `--system-option` make of raft_trio: the build of its nodes, the ways of its clients.

The whole catalogue of planted bugs comes together here: of nodes (`raft_trio_bugs`), of state machines
(`raft_trio_machines`) and of clients (`raft_trio_clients`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from histrio.systems.raft_trio_bugs import PLANTED
from histrio.systems.raft_trio_clients import BROKEN_CLIENTS, ClientMode
from histrio.systems.raft_trio_encoding import ENCODINGS
from histrio.systems.raft_trio_machines import BROKEN_MACHINES
from histrio.systems.raft_trio_retrying import RetryingSession
from histrio.systems.raft_trio_session import RaftTrioSession
from histrio.systems.system import Bug
from raft_trio.build import BUILD, Build
from workloads.session import Session

__all__ = ["BUGS", "DEFAULT_TIMEOUT_NS", "RETRYING_TIMEOUT_NS", "build_of", "sessions_of"]

MS = 1_000_000
DEFAULT_TIMEOUT_NS = 1000 * MS  # three of the longest elections: a client outlives one failed attempt
RETRYING_TIMEOUT_NS = 4 * DEFAULT_TIMEOUT_NS

BUGS: Mapping[str, Bug] = {
    **{name: planted.bug for name, planted in PLANTED.items()},
    **{name: broken.bug for name, broken in BROKEN_CLIENTS.items()},
    **{name: broken.bug for name, broken in BROKEN_MACHINES.items()},
}
"""Every planted bug by name."""

_PLANTS: Mapping[str, Callable[[Build], Build]] = {
    **{name: planted.plant for name, planted in PLANTED.items()},
    **{name: broken.plant for name, broken in BROKEN_CLIENTS.items()},
    **{name: broken.plant for name, broken in BROKEN_MACHINES.items()},
}


def build_of(bug: str | None) -> Build:
    """The correct build, or the one with the bug; that of a broken client is often correct."""
    return BUILD if bug is None else _PLANTS[bug](BUILD)


def sessions_of(
    *, nodes: tuple[str, ...], options: Mapping[str, str], bug: str | None, workload: str
) -> Callable[[int], Session]:
    """process -> its session: of the mode that was asked for, or of the broken client."""
    mode = ClientMode(retrying=options.get("client") == "retrying")
    if bug is not None and bug in BROKEN_CLIENTS:
        broken = BROKEN_CLIENTS[bug].client
        mode = replace(broken, retrying=broken.retrying or mode.retrying)
    default_ns = RETRYING_TIMEOUT_NS if mode.retrying else DEFAULT_TIMEOUT_NS
    timeout_ns = int(options.get("operation_timeout_ms", default_ns // MS)) * MS
    encoding = ENCODINGS[workload]

    def session(process: int) -> Session:
        if not mode.retrying:
            return mode.spoil(RaftTrioSession(timeout_ns=timeout_ns, encoding=encoding))
        return RetryingSession(
            timeout_ns=timeout_ns,
            nodes=nodes,
            first=process,
            encoding=encoding,
            anew=mode.anew,
        )

    return session
