"""Carries out a plan without touching anything: what has happened goes in, what to switch on and off comes out.

One injector runs in every environment. Here belong the times and events that start faults, which nodes they hit
(`nemesis.targets`), that overlapping faults compose, and whether each had an effect; the switching itself is an
environment's mechanism.

Composition: a node is held down (or paused) by every process fault that hit it, and returns when the last of them ends.
A fault that hits a node which the same mechanism holds already does nothing there, and its evidence says so. All other
faults compose by themselves: a pair is blocked while any fault blocks it, a disk is full while any fault fills it, so
rules are kept by fault. A node that ended itself because of such a fault returns with it, unless it is held down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Literal, assert_never

import msgspec

from nemesis.kinds import Hold, Kind
from nemesis.plan import AtEvent, AtTime, Fault, Plan
from nemesis.registry import kind_named
from nemesis.settings import Setting, setting_of
from nemesis.shapes import Pair, minority_size
from nemesis.targets import ClusterView, drawn_order, resolve

__all__ = [
    "Action",
    "Apply",
    "FaultOutcome",
    "Healing",
    "Injector",
    "InjectorEvent",
    "MechanismReport",
    "NodeEvent",
    "Probe",
    "Started",
    "Status",
    "Undo",
    "WakeAt",
    "Woken",
    "status_of",
]


class Started(msgspec.Struct, frozen=True):
    """The load phase begins; the plan's times count from now."""


class Woken(msgspec.Struct, frozen=True):
    """The time of the last `WakeAt` has come. Coming early, late or without need does no harm."""


class NodeEvent(msgspec.Struct, frozen=True):
    """`node` reports `name`, a word of `nemesis.kinds.EVENTS`. Others are ignored."""

    name: str
    node: str


class MechanismReport(msgspec.Struct, frozen=True):
    """Consequences counted since the last report of this fault; counts of several reports are added."""

    fault_id: str
    counts: Mapping[str, int]


class Healing(msgspec.Struct, frozen=True):
    """The load phase ends: undo everything, start nothing more."""


InjectorEvent = Started | Woken | NodeEvent | MechanismReport | Healing


class Apply(msgspec.Struct, frozen=True, kw_only=True):
    """Switch a fault on. A second one of the same fault replaces the pairs of the first, and its counts go on."""

    fault: Fault
    mechanism: str
    resolved: tuple[str, ...]
    """The nodes the fault is about; what the record of the fault shows."""
    nodes: tuple[str, ...]
    """Those of them to act on: without nodes that the same mechanism holds already."""
    pairs: tuple[Pair, ...]
    """Directed pairs to block, disturb or reset, for network mechanisms."""
    startable: tuple[str, ...]
    """Those of `resolved` that no fault holds down: a mechanism that ends their processes may start them again."""
    setting: Setting | None
    """The numbers of the fault, of the type that belongs to the mechanism."""
    ends_ns: int


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """Switch a fault off."""

    fault_id: str
    mechanism: str
    nodes: tuple[str, ...]
    """Nodes to return to normal: those that no other fault still holds. Rules go with the fault's id."""
    startable: tuple[str, ...]
    """Those hit that no other fault holds down: started, if they ended because of this fault."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """Find out when the consequence has ended, and record it. Follows each `Undo` that returns something."""

    fault_id: str
    probe: Literal["links-carry", "node-answers"]
    nodes: tuple[str, ...]


class WakeAt(msgspec.Struct, frozen=True):
    """Send `Woken` at `at_ns`. Replaces the request before; without one the request before stands."""

    at_ns: int


Action = Apply | Undo | Probe | WakeAt


class Status(StrEnum):
    """How a fault ended, by evidence."""

    EFFECTIVE = "effective"
    NO_EFFECT = "no-effect"
    UNVERIFIED = "unverified"
    """Switched on, and nothing was counted at all."""
    NOT_STARTED = "not-started"
    """Its event did not come, or the load phase ended before its time."""


class FaultOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a fault."""

    id: str
    kind: str
    family: str
    status: Status
    resolved: tuple[str, ...]
    counts: dict[str, int]


_BUDGETED = (
    ("process.power-loss", "disk.tear"),
    ("disk.flip", "disk.truncate", "disk.misdirect"),
)
"""Mechanisms that may strike a minority at a time, together with the others of their group."""


def status_of(kind: Kind, counts: Mapping[str, int] | None) -> Status:
    """The verdict of the evidence on a fault that was switched on; `counts` None: nothing was reported."""
    if counts is None:
        return Status.UNVERIFIED
    return Status.EFFECTIVE if any(counts.get(name, 0) > 0 for name in kind.evidence) else Status.NO_EFFECT


class _Course:
    """One fault's course through the run."""

    __slots__ = (
        "counts",
        "ended",
        "ends_ns",
        "fault",
        "kind",
        "occurrences",
        "order",
        "resolved",
        "setting",
        "starts_ns",
        "steps",
    )

    def __init__(self, fault: Fault, order: tuple[str, ...]) -> None:
        self.fault = fault
        self.kind = kind_named(fault.kind)
        self.setting = setting_of(self.kind, fault.params)
        self.order = order
        self.occurrences = 0
        """Of the event it waits for."""
        self.starts_ns: int | None = None
        self.ends_ns: int | None = None
        self.ended = False
        self.resolved: tuple[str, ...] = ()
        self.steps: list[tuple[int, tuple[Pair, ...]]] = []
        """(when, which pairs from then on) still to come."""
        self.counts: dict[str, int] | None = None

    @property
    def active(self) -> bool:
        return self.ends_ns is not None and not self.ended


class Injector:
    """Steps through a plan. Times are nanoseconds since the start of the run.

    Raises UnknownNemesis for a plan with an unknown kind.
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        self._courses = {fault.id: _Course(fault, drawn_order(seed, fault.id, plan.nodes)) for fault in plan.faults}
        assert len(self._courses) == len(plan.faults), "fault ids are unique"
        self._waiting = [course for course in self._courses.values() if isinstance(course.fault.at, AtEvent)]
        self._watched = _watched(self._waiting)
        self._started = False
        self._started_ns = 0
        self._healed = False

    @property
    def watched(self) -> frozenset[str]:
        """Names of the events that may still start something; others need not be reported."""
        return self._watched

    def step(self, now_ns: int, event: InjectorEvent, view: ClusterView) -> tuple[Action, ...]:
        """What to do now that `event` has happened, in this order."""
        match event:
            case MechanismReport():
                self._count(event)
                return ()
            case NodeEvent():
                return self._on_node_event(now_ns, event, view)
            case Started():
                self._start(now_ns)
                return self._advance(now_ns, view)
            case Woken():
                return self._advance(now_ns, view)
            case Healing():
                return self._heal()
            case _:
                assert_never(event)

    def outcomes(self) -> tuple[FaultOutcome, ...]:
        """What became of every fault so far, in the plan's order."""
        return tuple([_outcome(course) for course in self._courses.values()])

    # ── what starts ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, now_ns: int) -> None:
        self._started, self._started_ns = True, now_ns
        for course in self._courses.values():
            if isinstance(course.fault.at, AtTime):
                course.starts_ns = now_ns + course.fault.at.ns

    def _on_node_event(self, now_ns: int, event: NodeEvent, view: ClusterView) -> tuple[Action, ...]:
        if not self._started or self._healed or event.name not in self._watched:
            return ()
        due = [course for course in self._waiting if self._springs(course, event, now_ns)]
        if not due:
            return ()
        self._waiting = [course for course in self._waiting if course not in due]
        self._watched = _watched(self._waiting)
        actions: list[Action] = [self._apply(now_ns, course, view, event.node) for course in due]
        return (*actions, *self._wake_at())

    def _springs(self, course: _Course, event: NodeEvent, now_ns: int) -> bool:
        """Whether this occurrence is the one the fault waits for; counts it."""
        at = course.fault.at
        assert isinstance(at, AtEvent)
        if at.event != event.name or at.where not in (None, event.node):
            return False
        if at.after_ns is not msgspec.UNSET and now_ns < self._started_ns + at.after_ns:
            return False
        course.occurrences += 1
        return course.occurrences == at.nth

    def _advance(self, now_ns: int, view: ClusterView) -> tuple[Action, ...]:
        """Ends before beginnings, so that faults that follow one another at once do not overlap."""
        if self._healed:
            return ()
        actions: list[Action] = []
        for course in self._courses.values():
            if course.active and course.ends_ns is not None and course.ends_ns <= now_ns:
                actions.extend(self._undo(course))
        for course in self._courses.values():
            if course.active and course.steps and course.steps[0][0] <= now_ns:
                actions.append(self._applied(course, course.resolved, course.steps.pop(0)[1]))
        for course in self._courses.values():
            if course.ends_ns is None and course.starts_ns is not None and course.starts_ns <= now_ns:
                actions.append(self._apply(now_ns, course, view, None))
        return (*actions, *self._wake_at())

    def _wake_at(self) -> tuple[WakeAt, ...]:
        times = [course.ends_ns for course in self._courses.values() if course.active and course.ends_ns is not None]
        times += [course.steps[0][0] for course in self._courses.values() if course.active and course.steps]
        for course in self._courses.values():
            if course.ends_ns is None and course.starts_ns is not None:
                times.append(course.starts_ns)
        return (WakeAt(min(times)),) if times else ()

    def _apply(self, now_ns: int, course: _Course, view: ClusterView, reporter: str | None) -> Apply:
        held = frozenset(node for node in view.nodes if self._held(node, course, mechanism=course.kind.mechanism))
        hit = resolve(course.kind, course.fault, course.order, view, reporter=reporter, held=held)
        nodes = self._spared(course.kind, hit.nodes, view)
        acted_on = tuple([node for node in nodes if node not in held])
        length_ns, steps = course.fault.for_ns, len(hit.later) + 1
        course.resolved, course.ends_ns = nodes, now_ns + length_ns
        course.steps = [(now_ns + length_ns * step // steps, pairs) for step, pairs in enumerate(hit.later, start=1)]
        return self._applied(course, acted_on if course.kind.hold.by_node else nodes, hit.pairs)

    def _applied(self, course: _Course, nodes: tuple[str, ...], pairs: tuple[Pair, ...]) -> Apply:
        assert course.ends_ns is not None
        return Apply(
            fault=course.fault,
            mechanism=course.kind.mechanism,
            resolved=course.resolved,
            nodes=nodes,
            pairs=pairs,
            startable=self._startable(course),
            setting=course.setting,
            ends_ns=course.ends_ns,
        )

    def _spared(self, kind: Kind, nodes: tuple[str, ...], view: ClusterView) -> tuple[str, ...]:
        """The damage budget: what loses unsynced data, and what damages synced data, strikes a minority at a time each,
        as a rack fails and not a continent."""
        alike = next((group for group in _BUDGETED if kind.mechanism in group), None)
        if alike is None:
            return nodes
        struck = {
            node
            for course in self._courses.values()
            if course.active and course.kind.mechanism in alike
            for node in course.resolved
        }
        room = max(0, minority_size(len(view.nodes)) - len(struck)) if len(view.nodes) > 1 else 1
        fresh = [node for node in nodes if node not in struck]
        return tuple([node for node in nodes if node in struck or node in fresh[:room]])

    # ── what ends ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _undo(self, course: _Course) -> Iterable[Action]:
        course.ended = True
        kind = course.kind
        nodes = course.resolved
        if kind.hold.by_node:
            nodes = tuple([node for node in nodes if not self._held(node, course, hold=kind.hold)])
        yield Undo(fault_id=course.fault.id, mechanism=kind.mechanism, nodes=nodes, startable=self._startable(course))
        if nodes:
            yield Probe(fault_id=course.fault.id, probe=kind.probe, nodes=nodes)

    def _startable(self, course: _Course) -> tuple[str, ...]:
        return tuple([node for node in course.resolved if not self._held(node, course, hold=Hold.DOWN)])

    def _held(self, node: str, by_other_than: _Course, *, mechanism: str = "", hold: Hold | None = None) -> bool:
        """Another fault that lasts, of that mechanism or with that hold, has hit `node`."""
        return any(
            course is not by_other_than
            and course.active
            and node in course.resolved
            and (course.kind.mechanism == mechanism or course.kind.hold is hold)
            for course in self._courses.values()
        )

    def _heal(self) -> tuple[Action, ...]:
        self._healed = True
        self._waiting, self._watched = [], frozenset()
        actions: list[Action] = []
        for course in self._courses.values():
            if course.active:
                actions.extend(self._undo(course))
        return tuple(actions)

    def _count(self, report: MechanismReport) -> None:
        course = self._courses[report.fault_id]
        counts = course.counts = {} if course.counts is None else course.counts
        for name, number in report.counts.items():
            counts[name] = counts.get(name, 0) + number


def _watched(waiting: list[_Course]) -> frozenset[str]:
    return frozenset(course.fault.at.event for course in waiting if isinstance(course.fault.at, AtEvent))


def _outcome(course: _Course) -> FaultOutcome:
    status = Status.NOT_STARTED if course.ends_ns is None else status_of(course.kind, course.counts)
    return FaultOutcome(
        id=course.fault.id,
        kind=course.fault.kind,
        family=course.kind.family,
        status=status,
        resolved=course.resolved,
        counts=dict(sorted((course.counts or {}).items())),
    )
