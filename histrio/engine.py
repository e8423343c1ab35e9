"""Conducts a trial: phases, operations and faults, as a function of events. No clock, no I/O, no knowledge of a world.

The environment feeds events (time passed, an operation ended, a node reported something) and carries out the actions
returned. The phases are always the same: settle, load under faults, heal, final reads, and liveness on the healed
cluster (architecture, section 2). Here belongs what happens when; how, is the environment's affair.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from checker.records import Phase
from histrio.engine_records import (
    EngineAction,
    EngineEvent,
    FaultReported,
    Finish,
    InvokeOperation,
    NodeReported,
    OperationEnded,
    TimePassed,
    WakeEngine,
)
from histrio.trial import Trial
from nemesis import injector as faults
from nemesis.injector import Apply, Injector, Probe, Undo
from nemesis.targets import ClusterView
from workloads import interpreter as clients
from workloads.generator import Generator, nothing
from workloads.interpreter import GeneratorDriver
from workloads.workload import Workload, WorkloadOptions

__all__ = [
    "OTHER_PHASES_LIMIT_NS",
    "Engine",
    "EngineAction",
    "EngineEvent",
    "FaultReported",
    "Finish",
    "InvokeOperation",
    "NodeReported",
    "OperationEnded",
    "TimePassed",
    "WakeEngine",
]

SECOND_NS = 1_000_000_000
POLL_NS = 50_000_000  # how late the end of a phase may be noticed; a heartbeat
SETTLE_LIMIT_NS = 10 * SECOND_NS  # thirty elections; if none succeeds, the liveness check will say so
HEAL_LIMIT_NS = 10 * SECOND_NS
CALM_NS = SECOND_NS  # all up under a leader for so long: longer than an election or a client's patience
FINAL_READS_LIMIT_NS = 15 * SECOND_NS
LIVENESS_LOAD_NS = 2 * SECOND_NS
LIVENESS_PREFIX = "live-"  # keys of their own: the others have had their final reads
CATCH_UP_NS = SECOND_NS  # twenty heartbeats, for the last commit index to reach every member
OTHER_PHASES_LIMIT_NS = SETTLE_LIMIT_NS + HEAL_LIMIT_NS + FINAL_READS_LIMIT_NS + LIVENESS_LOAD_NS + CATCH_UP_NS
"""How long all phases but the load may take together, besides the operations that are still open at their ends."""


class Engine:
    """One trial's conductor. Feed `TimePassed` first; then every event as it comes."""

    def __init__(self, trial: Trial, workload: Workload, options: WorkloadOptions, injector: Injector) -> None:
        self._workload, self._options, self._injector = workload, options, injector
        self._driver = GeneratorDriver(nothing(), threads=options.threads, nodes=trial.nodes, seed=options.seed)
        self._phases: list[Phase] = []
        self._calm_since_ns: int | None = None
        self._driver_wake_ns: int | None = None
        self._injector_wake_ns: int | None = None
        self._wake_ns = -1
        self._keys: dict[Any, None] = {}  # in order of first use
        self._operations = 0

    @property
    def phase(self) -> str:
        """Name of the present phase; empty before the first event."""
        return self._phases[-1].name if self._phases else ""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """All phases so far; the one that lasts has no end."""
        return tuple(self._phases)

    @property
    def watched(self) -> frozenset[str]:
        """Events of nodes that a fault waits for; others need not be reported."""
        return self._injector.watched

    def step(self, now_ns: int, event: EngineEvent, view: ClusterView) -> list[EngineAction]:
        """What to do now that `event` has happened. `view`: the cluster as far as an observer knows it."""
        actions: list[EngineAction] = []
        match event:
            case TimePassed():
                self._wake_ns = -1
                self._pass_time(now_ns, view, actions)
            case OperationEnded(thread=thread, completion=completion):
                self._drive(now_ns, clients.Completed(thread, completion), actions)
            case NodeReported(node=node, event=name):
                self._inject(now_ns, faults.NodeEvent(name, node), view, actions)
            case FaultReported(fault_id=fault_id, counts=counts):
                self._inject(now_ns, faults.MechanismReport(fault_id, counts), view, actions)
            case _:
                assert_never(event)
        if not self._phases:
            self._enter("settle", now_ns)
        elif self._is_over(now_ns, view):
            self._go_on(now_ns, view, actions)
        self._ask_to_be_woken(now_ns, actions)
        return actions

    # ── phases ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _enter(self, phase: str, now_ns: int) -> None:
        self._phases.append(Phase(name=phase, begin_ns=now_ns))

    def _is_over(self, now_ns: int, view: ClusterView) -> bool:
        lasted_ns = now_ns - self._phases[-1].begin_ns
        match self.phase:
            case "settle":
                return (view.leader is not None and _all_up(view)) or lasted_ns >= SETTLE_LIMIT_NS
            case "heal":
                return self._is_calm(now_ns, view) or lasted_ns >= HEAL_LIMIT_NS
            case "final-reads":
                if lasted_ns >= FINAL_READS_LIMIT_NS:
                    self._driver.stop()
                return self._driver.exhausted
            case "liveness":
                return self._driver.exhausted and lasted_ns >= LIVENESS_LOAD_NS + CATCH_UP_NS
            case _:
                return self._driver.exhausted

    def _go_on(self, now_ns: int, view: ClusterView, actions: list[EngineAction]) -> None:
        """Leave the present phase for the next one."""
        self._phases[-1] = msgspec.structs.replace(self._phases[-1], end_ns=now_ns)
        match self.phase:
            case "settle":
                self._enter("load", now_ns)
                self._inject(now_ns, faults.Started(), view, actions)
                self._run(now_ns, self._workload.generator(self._options), actions)
            case "load":
                self._enter("heal", now_ns)
                self._inject(now_ns, faults.Healing(), view, actions)
            case "heal":
                self._enter("final-reads", now_ns)
                self._run(now_ns, self._workload.final_generator(self._options, tuple(self._keys)), actions)
            case "final-reads":
                self._enter("liveness", now_ns)
                fresh = msgspec.structs.replace(
                    self._options, time_limit_ns=LIVENESS_LOAD_NS, key_prefix=LIVENESS_PREFIX
                )
                self._run(now_ns, self._workload.generator(fresh), actions)
            case _:
                actions.append(Finish())

    def _is_calm(self, now_ns: int, view: ClusterView) -> bool:
        """Every node has been up and a member, under a known leader, for `CALM_NS`."""
        if view.leader is None or view.returning or not _all_up(view):
            self._calm_since_ns = None
            return False
        if self._calm_since_ns is None:
            self._calm_since_ns = now_ns
        return now_ns - self._calm_since_ns >= CALM_NS

    # ── operations ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self, now_ns: int, generator: Generator, actions: list[EngineAction]) -> None:
        self._driver.continue_with(generator)
        self._drive(now_ns, clients.Started(), actions)

    def _drive(self, now_ns: int, event: clients.DriverEvent, actions: list[EngineAction]) -> None:
        self._driver_wake_ns = None
        for action in self._driver.step(now_ns, event):
            match action:
                case clients.Invoke():
                    actions.append(self._invocation(action))
                case clients.WakeAt(at_ns=at_ns):
                    self._driver_wake_ns = at_ns
                case clients.Exhausted():
                    pass  # asked for where it matters: `_is_over`
                case _:
                    assert_never(action)

    def _invocation(self, invoke: clients.Invoke) -> InvokeOperation:
        self._keys.setdefault(invoke.operation.key)
        self._operations += 1
        return InvokeOperation(
            invoke.thread, invoke.process, invoke.node, invoke.operation, f"{invoke.process}.{self._operations}"
        )

    # ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _inject(self, now_ns: int, event: faults.InjectorEvent, view: ClusterView, actions: list[EngineAction]) -> None:
        for action in self._injector.step(now_ns, event, view):
            match action:
                case faults.WakeAt(at_ns=at_ns):
                    self._injector_wake_ns = at_ns
                case Apply() | Undo() | Probe():
                    actions.append(action)
                case _:
                    assert_never(action)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pass_time(self, now_ns: int, view: ClusterView, actions: list[EngineAction]) -> None:
        if self._injector_wake_ns is not None and self._injector_wake_ns <= now_ns:
            self._injector_wake_ns = None
            self._inject(now_ns, faults.Woken(), view, actions)
        if self._driver_wake_ns is not None and self._driver_wake_ns <= now_ns:
            self._drive(now_ns, clients.Woken(), actions)

    def _ask_to_be_woken(self, now_ns: int, actions: list[EngineAction]) -> None:
        """At the earliest time anyone here waits for, and no later than the next poll."""
        wake_ns = now_ns + POLL_NS
        if now_ns < self._wake_ns < wake_ns:
            wake_ns = self._wake_ns
        for asked_ns in (self._driver_wake_ns, self._injector_wake_ns):
            if asked_ns is not None:
                wake_ns = min(wake_ns, asked_ns)
        if wake_ns != self._wake_ns:
            self._wake_ns = wake_ns
            actions.append(WakeEngine(wake_ns))


def _all_up(view: ClusterView) -> bool:
    return len(view.up) == len(view.nodes)
