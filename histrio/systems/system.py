"""The plug-in point for systems under test: what the harness needs to know of one, and nothing that only one has.

A system is met here and nowhere else: workloads, nemeses, engine, checkers and report work with what these records and
protocols say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from checker.records import AnyTraceEvent
from histrio.errors import EnvironmentUnavailable
from histrio.simulation.buggify import Buggify
from histrio.simulation.node import NodeFactory
from workloads.session import Client, Session

__all__ = [
    "Bug",
    "DeployedSystem",
    "Hunt",
    "Launch",
    "NodePlace",
    "NodeStatus",
    "Order",
    "Performed",
    "SimulatedSystem",
    "System",
]


class Order(StrEnum):
    """What an operator may be told to do, as the `f` of an operation. All may be repeated harmlessly."""

    MEMBERS = "members"
    """Bring the membership one change nearer to `value`: (voters, members without a vote)."""
    TRANSFER = "transfer"
    """Hand leadership over; `value`: to this node, empty for the one that is furthest behind, None for anyone."""
    SNAPSHOT = "snapshot"
    """Let the node `value` take a snapshot."""
    OUTRUN = "outrun"
    """Let the leader take snapshots until what the node `value` lacks is gone from its log."""


class Performed(msgspec.Struct, frozen=True):
    """Value of an operator's completion: what the system answered, never what it was told."""

    counts: Mapping[str, int] = {}
    """Under the names of the nemesis registry's evidence."""
    nodes: tuple[str, ...] = ()
    """Nodes concerned: those that joined, left, lead or hold the snapshot."""
    settled: bool = False
    """Everything is as ordered; else the order may be given again."""


@dataclass(frozen=True, slots=True)
class Hunt:
    """A trial in which a planted bug shows itself: what to ask for beside `--bug`."""

    plan: str = ""
    """Name of a saved plan of the regression corpus, `<bug>.<number>`; empty: drawn faults find it."""
    scenario: str = "drawn faults"
    """What the plan does, for people."""
    workload: str = "register"
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the system."""
    nodes: int = 5
    time_limit_s: float = 4.0
    rate_hz: float = 200.0
    concurrency: int = 10


@dataclass(frozen=True, slots=True)
class Bug:
    """A planted bug of a system's catalogue: an entry that the harness must find (architecture, section 7)."""

    name: str
    """snake_case, as on the command line."""
    reference: str
    """Its id in the catalogue and where it was seen in the field."""
    change: str
    """What the build does differently."""
    detectors: tuple[str, ...]
    """Names of the checks expected to see it, the most likely first."""
    hunt: Hunt
    """How it is found within a few seeds, most often the first; the correct build passes the same trial."""
    real_hunt: Hunt | None = None
    """The same on real processes, found within three runs; None: it is looked for in the simulator only."""


@dataclass(frozen=True, slots=True)
class SimulatedSystem:
    """One system prepared for one simulated run."""

    node: NodeFactory
    """Its nodes' trace events must be structs that encode as their records do: they are recorded as they are."""
    translate: Callable[[Any], AnyTraceEvent]
    """The node's own trace event -> the record of the run (the trace decoder), for who wants to look at it."""
    session: Callable[[int], Session]
    """process -> the sans-IO half of its client."""
    blames_disk: Callable[[str], bool] = lambda reason: False
    """Whether a node that ended itself for this reason blames its disk. If the disk was at fault, it did right."""
    operator: Callable[[int], Session] | None = None
    """Patience in nanoseconds -> the sans-IO half of an operator, whose operations are `Order`s and whose completions
    carry `Performed`, whatever the outcome. Needed where `System.orders` names any."""


@dataclass(frozen=True, slots=True)
class NodePlace:
    """Where one node of a real world lives. Paths are as the node sees them."""

    node: str
    address: str
    """IP address; the same across restarts."""
    data: str
    """Directory on the disk that faults may hurt; empty at the first start."""
    records: str
    """Directory on another volume, which no fault touches: configuration, trace and logs (architecture, section 8)."""
    python: tuple[str, ...]
    """The interpreter there, with raft_trio's and our packages importable."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How one node is started, at its first start and at every later one."""

    argv: tuple[str, ...]
    files: Mapping[str, str]
    """Name in `NodePlace.records` -> text, written before each start."""
    environ: Mapping[str, str]
    trace: str | None = None
    """Name in `NodePlace.records` of the trace, to which the node appends `checker.records.TraceLine`s as JSON; None:
    the system writes none."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a node says of itself to an observer."""

    role: str
    """`leader`, `follower`, or another word of the system's."""
    term: int


@dataclass(frozen=True, slots=True)
class DeployedSystem:
    """One system prepared for one run on real processes: `local` and `docker`."""

    launch: Callable[[NodePlace, Mapping[str, str]], Launch]
    """(its place, node -> address of all members) -> how to start it."""
    client: Callable[[int, Mapping[str, str]], Client]
    """(process, node -> address) -> its client. Opened for one node, used by one task; keeps its own deadlines."""
    preloadable: bool = True
    """As `System.preloadable`: nodes of programs that escape the shim are not given it."""
    operator: Callable[[int, Mapping[str, str]], Client] | None = None
    """(patience in nanoseconds, node -> address) -> what drives an operator, as in `SimulatedSystem`."""
    status: Callable[[str], Awaitable[NodeStatus | None]] | None = None
    """Asks the node at an address for its role; None: nobody answered. Only for systems without a trace."""


class System(Protocol):
    """An adapter."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def environments(self) -> tuple[str, ...]:
        """Names of those it can run in; the others are refused when a trial is planned."""
        ...

    @property
    def obstacle(self) -> EnvironmentUnavailable | None:
        """What it lacks on this machine to run at all, such as a program; None: nothing. Found out by looking."""
        ...

    @property
    def beyond_reach(self) -> Mapping[str, str]:
        """Mechanism of real worlds -> why it cannot hurt this system, or nobody could tell. Never planned."""
        ...

    @property
    def traced(self) -> bool:
        """Whether its nodes tell what they do (`Launch.trace`). If not, checks of that are left out of its runs."""
        ...

    @property
    def bugs(self) -> Mapping[str, Bug]:
        """The catalogue of planted bugs; empty for systems that are not ours."""
        ...

    @property
    def workloads(self) -> tuple[str, ...]:
        """Workloads its clients understand."""
        ...

    @property
    def options(self) -> Mapping[str, str]:
        """Name -> what it does, of every `--system-option`."""
        ...

    @property
    def preloadable(self) -> bool:
        """Whether its programs call the C library, so that what is preloaded can act on them.

        If not (static programs, and what Go compiles), faults that need it are refused by name when a trial is planned
        for a real world, or skipped with the reason.
        """
        ...

    @property
    def orders(self) -> frozenset[Order]:
        """What its operators can be told; empty for a system that the harness does not operate."""
        ...

    def options_for(self, orders: Collection[Order]) -> Mapping[str, str]:
        """Options without which these orders would have no effect within a short run, for who sets none."""
        ...

    def check_options(self, options: Mapping[str, str]) -> None:
        """Refuse unknown or unreadable options. Raises UsageProblem."""
        ...

    def simulated(
        self,
        *,
        seed: int,
        nodes: tuple[str, ...],
        options: Mapping[str, str],
        bug: str | None,
        workload: str = "register",
        buggify: Buggify | None = None,
    ) -> SimulatedSystem | None:
        """Prepare a simulated run of the build that `bug` names, with clients that speak `workload`.

        buggify: unlikely things to do, if any. None: the system exists in real worlds only.
        """
        ...

    def deployed(
        self,
        *,
        seed: int,
        nodes: tuple[str, ...],
        options: Mapping[str, str],
        bug: str | None,
        workload: str = "register",
    ) -> DeployedSystem | None:
        """Prepare a run on real processes, with clients that speak `workload`.

        None: the system exists in the simulator only.
        """
        ...
