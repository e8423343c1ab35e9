"""The adapter of raft_trio: the only place where the harness meets it.

It turns the sans-IO node into a `SimNode`, its trace into the records of a run, and operations into its client
protocol. What is tested is the build that a user gets, or one with a planted bug (`raft_trio_bugs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from msgspec.structs import astuple

from checker import records
from histrio.config import suggestion
from histrio.errors import UsageProblem
from histrio.simulation.buggify import Buggify
from histrio.simulation.node import Address
from histrio.systems.raft_trio_bugs import PLANTED
from histrio.systems.raft_trio_session import RaftTrioSession
from histrio.systems.raft_trio_simulated import BuggifiedRaftNode, SimulatedRaftNode
from histrio.systems.system import Bug, DeployedSystem, SimulatedSystem
from raft_trio import trace
from raft_trio.build import BUILD
from raft_trio.config import RaftNodeConfig

__all__ = ["RAFT_TRIO", "RaftTrio", "SimulatedRaftNode", "translate"]

MS = 1_000_000
DEFAULT_OPERATION_TIMEOUT_NS = 1000 * MS  # three of the longest elections: a client outlives one failed attempt

_OPTIONS: Mapping[str, str] = {
    "profile": "`hardened` (default) or `paper`: without pre-vote, check-quorum, stickiness and no-op",
    "operation_timeout_ms": f"how long a client waits for an answer; default {DEFAULT_OPERATION_TIMEOUT_NS // MS}",
}


class RaftTrio:
    """Implements `histrio.systems.system.System`."""

    name = "raft_trio"
    bugs: Mapping[str, Bug] = {name: planted.bug for name, planted in PLANTED.items()}
    workloads = ("register",)
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
            if name == "profile" and value not in ("hardened", "paper"):
                raise UsageProblem(
                    f"profile={value!r} is not a profile of raft_trio",
                    why="a profile names a set of Raft's optional defences",
                    fix=suggestion(value, ("hardened", "paper")),
                )
            if name == "operation_timeout_ms" and not (value.isdecimal() and int(value) > 0):
                raise UsageProblem(
                    f"operation_timeout_ms={value!r} is not a positive whole number",
                    why="it is a duration in milliseconds",
                    fix="for example --system-option operation_timeout_ms=1000",
                )

    def simulated(
        self,
        *,
        seed: int,
        nodes: tuple[str, ...],
        options: Mapping[str, str],
        bug: str | None,
        buggify: Buggify | None = None,
    ) -> SimulatedSystem:
        """The build, its configuration and its clients for one simulated run."""
        build = PLANTED[bug].plant(BUILD) if bug else BUILD
        configure = RaftNodeConfig.paper if options.get("profile") == "paper" else RaftNodeConfig
        timeout_ns = _timeout_ns(options)

        def node(name: Address, incarnation: int) -> SimulatedRaftNode:
            config = configure(node_id=name, cluster_members=nodes)
            random = Random(f"{seed}/node/{name}/{incarnation}")
            if buggify is None:
                return SimulatedRaftNode(name, incarnation, config, build, random)
            return BuggifiedRaftNode(name, incarnation, config, build, random, buggify.of(name, incarnation))

        return SimulatedSystem(
            node=node,
            translate=translate,
            session=lambda process: RaftTrioSession(timeout_ns=timeout_ns),
            blames_disk=_blames_disk,
        )

    def deployed(
        self, *, seed: int, nodes: tuple[str, ...], options: Mapping[str, str], bug: str | None
    ) -> DeployedSystem:
        """The same on real processes. Nodes draw their own timeouts there: no seed makes two real runs alike."""
        from histrio.systems.raft_trio_deployed import (
            deploy,
        )  # sockets and their tasks, which simulated runs do without

        return deploy(bug=bug, profile=options.get("profile", "hardened"), timeout_ns=_timeout_ns(options))


def _timeout_ns(options: Mapping[str, str]) -> int:
    return int(options.get("operation_timeout_ms", DEFAULT_OPERATION_TIMEOUT_NS // MS)) * MS


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
