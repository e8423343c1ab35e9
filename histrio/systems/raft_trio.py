"""The adapter of raft_trio: the only place where the harness meets it.

It turns the sans-IO node into a `SimNode`, its trace into the records of a run, and operations into its client
protocol. What is tested is the build that a user gets, or one with a planted bug (`raft_trio_bugs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from msgspec.structs import astuple

from checker import records
from histrio.config import suggestion
from histrio.errors import UsageProblem
from histrio.simulation.buggify import Buggify
from histrio.simulation.node import Address
from histrio.systems.raft_trio_bugs import PLANTED
from histrio.systems.raft_trio_clients import BROKEN_CLIENTS, ClientMode
from histrio.systems.raft_trio_encoding import ENCODINGS
from histrio.systems.raft_trio_machines import BROKEN_MACHINES
from histrio.systems.raft_trio_retrying import RetryingSession
from histrio.systems.raft_trio_session import RaftTrioSession
from histrio.systems.raft_trio_simulated import BuggifiedRaftNode, SimulatedRaftNode, with_early_snapshots
from histrio.systems.system import Bug, DeployedSystem, SimulatedSystem
from raft_trio import trace
from raft_trio.build import BUILD, Build
from raft_trio.config import RaftNodeConfig
from workloads.session import Session

__all__ = ["RAFT_TRIO", "RaftTrio", "SimulatedRaftNode", "translate"]

MS = 1_000_000
DEFAULT_OPERATION_TIMEOUT_NS = 1000 * MS  # three of the longest elections: a client outlives one failed attempt
RETRYING_TIMEOUT_NS = 4 * DEFAULT_OPERATION_TIMEOUT_NS

_OPTIONS: Mapping[str, str] = {
    "profile": "`hardened` (default) or `paper`: without pre-vote, check-quorum, stickiness and no-op",
    "client": "`harness` (default): bound to one node, never retries; `retrying`: follows the leader, same session and "
    "sequence on every try",
    "operation_timeout_ms": f"how long a client waits for an answer; default {DEFAULT_OPERATION_TIMEOUT_NS // MS}, "
    f"of a retrying one {RETRYING_TIMEOUT_NS // MS}",
    "snapshot_threshold": "a node takes a snapshot after so many applied entries; default 10000",
    "trailing_logs": "entries kept in the log below a snapshot; default 5000",
    "snapshot_chunk_bytes": "a snapshot travels in chunks of so many bytes; default 65536",
    "wal_segment_bytes": "size of a file of the write-ahead log; default 16 MiB",
}
_CHOICES: Mapping[str, tuple[str, ...]] = {"profile": ("hardened", "paper"), "client": ("harness", "retrying")}


_NUMBERS: Mapping[str, str] = {
    "snapshot_threshold": "snapshot_threshold",
    "trailing_logs": "trailing_logs",
    "snapshot_chunk_bytes": "snapshot_chunk_size",
    "wal_segment_bytes": "wal_segment_bytes",
}
"""Option -> field of `RaftNodeConfig`, a whole number."""


class RaftTrio:
    """Implements `histrio.systems.system.System`."""

    name = "raft_trio"
    bugs: Mapping[str, Bug] = {
        **{name: planted.bug for name, planted in PLANTED.items()},
        **{name: broken.bug for name, broken in BROKEN_CLIENTS.items()},
        **{name: broken.bug for name, broken in BROKEN_MACHINES.items()},
    }
    workloads = tuple(ENCODINGS)
    options = _OPTIONS

    def check_options(self, options: Mapping[str, str]) -> None:
        """Refuse what is not an option, a profile or a number."""
        for name, value in options.items():
            if name not in _OPTIONS:
                raise UsageProblem(
                    f"raft_trio has no option {name!r}",
                    why="--system-option passes options to the system under test",
                    fix=suggestion(name, _OPTIONS),
                )
            if name in _CHOICES and value not in _CHOICES[name]:
                raise UsageProblem(
                    f"{name}={value!r} is not a {name} of raft_trio",
                    why=_OPTIONS[name].replace("`", ""),
                    fix=suggestion(value, _CHOICES[name]),
                )
            if name == "operation_timeout_ms" and not (value.isdecimal() and int(value) > 0):
                raise UsageProblem(
                    f"operation_timeout_ms={value!r} is not a positive whole number",
                    why="it is a duration in milliseconds",
                    fix="for example --system-option operation_timeout_ms=1000",
                )
            if name in _NUMBERS and not (value.isdecimal() and (int(value) > 0 or name == "trailing_logs")):
                raise UsageProblem(
                    f"{name}={value!r} is not a positive whole number",
                    why=_OPTIONS[name],
                    fix=f"for example --system-option {name}=50",
                )

    def simulated(
        self,
        *,
        seed: int,
        nodes: tuple[str, ...],
        options: Mapping[str, str],
        bug: str | None,
        workload: str = "register",
        buggify: Buggify | None = None,
    ) -> SimulatedSystem:
        """The build, its configuration and its clients for one simulated run."""
        build = _build(bug)
        configure = RaftNodeConfig.paper if options.get("profile") == "paper" else RaftNodeConfig

        numbers: dict[str, Any] = {field: int(options[name]) for name, field in _NUMBERS.items() if name in options}

        def node(name: Address, incarnation: int) -> SimulatedRaftNode:
            config = replace(configure(node_id=name, cluster_members=nodes), **numbers)
            random = Random(f"{seed}/node/{name}/{incarnation}")
            if buggify is None:
                return SimulatedRaftNode(name, incarnation, config, build, random)
            if buggify.is_active("early-snapshots"):
                config = with_early_snapshots(config)
            return BuggifiedRaftNode(name, incarnation, config, build, random, buggify.of(name, incarnation))

        return SimulatedSystem(
            node=node,
            translate=translate,
            session=_sessions(nodes, options, bug, workload),
            blames_disk=_blames_disk,
        )

    def deployed(
        self,
        *,
        seed: int,
        nodes: tuple[str, ...],
        options: Mapping[str, str],
        bug: str | None,
        workload: str = "register",
    ) -> DeployedSystem:
        """The same on real processes. Nodes draw their own timeouts there: no seed makes two real runs alike."""
        from histrio.systems.raft_trio_deployed import deploy  # sockets, which simulated runs do without

        if options.get("client") == "retrying":
            raise UsageProblem(
                "client=retrying has no sockets yet",
                why="clients of real worlds are bound to one node",
                fix="use --env sim, or leave the option out",
            )
        session = _sessions(nodes, options, bug, workload)
        return deploy(bug=bug, profile=options.get("profile", "hardened"), session=session)


def _build(bug: str | None) -> Build:
    if bug is None:
        return BUILD
    plants: Mapping[str, Callable[[Build], Build]] = {
        **{name: planted.plant for name, planted in PLANTED.items()},
        **{name: broken.plant for name, broken in BROKEN_CLIENTS.items()},
        **{name: broken.plant for name, broken in BROKEN_MACHINES.items()},
    }
    return plants[bug](BUILD)


def _sessions(
    nodes: tuple[str, ...], options: Mapping[str, str], bug: str | None, workload: str
) -> Callable[[int], Session]:
    """process -> its session: of the mode that was asked for, or of the broken client."""
    mode = ClientMode(retrying=options.get("client") == "retrying")
    if bug is not None and bug in BROKEN_CLIENTS:
        broken = BROKEN_CLIENTS[bug].client
        mode = replace(broken, retrying=broken.retrying or mode.retrying)
    default_ns = RETRYING_TIMEOUT_NS if mode.retrying else DEFAULT_OPERATION_TIMEOUT_NS
    timeout_ns = int(options.get("operation_timeout_ms", default_ns // MS)) * MS
    encoding = ENCODINGS[workload]

    def session(process: int) -> Session:
        if not mode.retrying:
            return RaftTrioSession(timeout_ns=timeout_ns, encoding=encoding, outcome=mode.outcome)
        return RetryingSession(
            timeout_ns=timeout_ns,
            nodes=nodes,
            first=process,
            encoding=encoding,
            outcome=mode.outcome,
            anew=mode.anew,
        )

    if bug is None or bug not in PLANTED:
        return session
    spoil = PLANTED[bug].client
    return lambda process: spoil(session(process))


def _blames_disk(reason: str) -> bool:
    """The node's words for a batch of its log that failed, and for a log that it cannot read or trust."""
    return reason.startswith(("batch ", "cannot start: "))


_RECORDS: Mapping[type, Callable[..., records.AnyTraceEvent]] = {
    trace.Restored: records.Restored,
    trace.Became: records.Became,
    trace.Voted: records.Voted,
    trace.Appended: records.Appended,
    trace.Truncated: records.Truncated,
    trace.Synced: records.Synced,
    trace.Committed: records.Committed,
    trace.Applied: records.Applied,
    trace.Snapshotted: records.Snapshot,
    trace.Configured: records.Configuration,
    trace.Acknowledged: records.Acknowledged,
    trace.Sent: records.Sent,
    trace.Received: records.Received,
}


def translate(event: trace.TraceEvent) -> records.AnyTraceEvent:
    """raft_trio's trace event as a record: both have the same fields in the same order, which a test holds them to."""
    return _RECORDS[type(event)](*astuple(event))


RAFT_TRIO = RaftTrio()
