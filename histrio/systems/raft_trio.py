"""The adapter of raft_trio: the only place where the harness meets it.

It turns the sans-IO node into a `SimNode`, its trace into the records of a run, and operations into its client
protocol. What is tested is the build that a user gets, or one with a planted bug (`raft_trio_bugs`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from msgspec.structs import astuple

from checker import records
from histrio.config import suggestion
from histrio.errors import UsageProblem
from histrio.simulation.buggify import Buggify
from histrio.simulation.node import Address
from histrio.systems.raft_trio_encoding import ENCODINGS
from histrio.systems.raft_trio_modes import (
    BUGS,
    DEFAULT_TIMEOUT_NS,
    RETRYING_TIMEOUT_NS,
    build_of,
    sessions_of,
)
from histrio.systems.raft_trio_operator import RaftTrioOperator
from histrio.systems.raft_trio_simulated import BuggifiedRaftNode, SimulatedRaftNode, with_early_snapshots
from histrio.systems.system import Bug, DeployedSystem, Order, SimulatedSystem
from raft_trio import trace
from raft_trio.config import RaftNodeConfig

__all__ = ["RAFT_TRIO", "RaftTrio", "SimulatedRaftNode", "translate"]

MS = 1_000_000

_OPTIONS: Mapping[str, str] = {
    "profile": "`hardened` (default) or `paper`: without pre-vote, check-quorum, stickiness and no-op",
    "client": "`harness` (default): bound to one node, never retries; `retrying`: follows the leader, same session and "
    "sequence on every try",
    "operation_timeout_ms": f"how long a client waits for an answer; default {DEFAULT_TIMEOUT_NS // MS}, "
    f"of a retrying one {RETRYING_TIMEOUT_NS // MS}",
    "lease_reads": "`on`: leaders answer reads without asking while they hold a lease; default off",
    "members": "how many of the nodes form the cluster at first; the others wait to be added; default all",
    "snapshot_threshold": "a node takes a snapshot after so many applied entries; default 10000",
    "trailing_logs": "entries kept in the log below a snapshot; default 5000",
    "snapshot_chunk_bytes": "a snapshot travels in chunks of so many bytes; default 65536",
    "wal_segment_bytes": "size of a file of the write-ahead log; default 16 MiB",
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "profile": ("hardened", "paper"),
    "client": ("harness", "retrying"),
    "lease_reads": ("on", "off"),
}
"""Every other option is a whole number."""

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
    environments = ("sim", "local", "docker")
    obstacle = None
    beyond_reach: Mapping[str, str] = {}
    traced = True
    bugs: Mapping[str, Bug] = BUGS
    workloads = tuple(ENCODINGS)
    options = _OPTIONS
    preloadable = True
    orders = frozenset(Order)

    def options_for(self, orders: Collection[Order]) -> Mapping[str, str]:
        """A follower is outrun by a log that keeps little below a snapshot."""
        return {"trailing_logs": "8"} if Order.OUTRUN in orders else {}

    def check_options(self, options: Mapping[str, str]) -> None:
        """Refuse what is not an option, or not a value of one."""
        for name, value in options.items():
            _check_option(name, value)
        if options.get("profile") == "paper" and options.get("lease_reads") == "on":
            raise UsageProblem(
                "profile=paper and lease_reads=on exclude each other",
                why="a lease is a promise of voters to ignore others for a while, which plain Raft does not know",
                fix="leave one of the two away",
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
        build = build_of(bug)
        configure = RaftNodeConfig.paper if options.get("profile") == "paper" else RaftNodeConfig
        session = sessions_of(nodes=nodes, options=options, bug=bug, workload=workload)
        settings: dict[str, Any] = {field: int(options[name]) for name, field in _NUMBERS.items() if name in options}
        settings["lease_reads"] = options.get("lease_reads") == "on"
        bootstrap = nodes[: int(options.get("members", len(nodes)))]

        def node(name: Address, incarnation: int) -> SimulatedRaftNode:
            members = bootstrap if name in bootstrap else ()
            config = replace(configure(node_id=name, cluster_members=members), **settings)
            random = Random(f"{seed}/node/{name}/{incarnation}")
            if buggify is None:
                return SimulatedRaftNode(name, incarnation, config, build, random)
            if buggify.is_active("early-snapshots"):
                config = with_early_snapshots(config)
            return BuggifiedRaftNode(name, incarnation, config, build, random, buggify.of(name, incarnation))

        return SimulatedSystem(
            node=node,
            translate=translate,
            session=session,
            blames_disk=_blames_disk,
            operator=lambda patience_ns: RaftTrioOperator(nodes, patience_ns=patience_ns),
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
        # sockets and their tasks, which simulated runs do without
        from histrio.systems.raft_trio_deployed import deploy

        session = sessions_of(nodes=nodes, options=options, bug=bug, workload=workload)
        return deploy(bug=bug, options=options, session=session)


def _blames_disk(reason: str) -> bool:
    """The node's words for a batch of its log that failed, and for a log that it cannot read or trust."""
    return reason.startswith(("batch ", "cannot start: "))


def _check_option(name: str, value: str) -> None:
    if name not in _OPTIONS:
        raise UsageProblem(
            f"raft_trio has no option {name!r}",
            why="--system-option passes options to the system under test",
            fix=suggestion(name, _OPTIONS),
        )
    choices = _CHOICES.get(name)
    if choices is not None and value not in choices:
        raise UsageProblem(f"{name}={value!r} is none of {', '.join(choices)}", fix=suggestion(value, choices))
    if choices is None and not (value.isdecimal() and (int(value) > 0 or name == "trailing_logs")):
        raise UsageProblem(
            f"{name}={value!r} is not a positive whole number",
            why=_OPTIONS[name],
            fix=f"for example --system-option {name}=50",
        )


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
