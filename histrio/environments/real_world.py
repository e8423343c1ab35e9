"""The people of a real world: clients with sockets, the fault injector's hands, an observer of roles, and a clock.

It carries the engine's actions out in trio tasks and tells the engine what came of them, as `simulated_world` does in
the event heap. Everything is stamped by one clock: trio's, in nanoseconds since the run's start. What a cluster is made
of (`Cluster`), what breaks it (`RealMechanism`) and which system it runs (`DeployedSystem`) come from outside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, assert_never

import trio

from checker.records import FaultApplied, FaultHealed, FaultObserved, FaultUndone, NodeExit, RunEnd
from histrio.engine import (
    OTHER_PHASES_LIMIT_NS,
    Engine,
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
from histrio.environments.cluster import Cluster, Exit, OpenCluster, RealMechanism, RealMechanismFactory, Serving
from histrio.environments.environment import Conducted, Progress
from histrio.environments.mechanisms.registry import MAY_END_NODES
from histrio.environments.observer import Observer
from histrio.recorder import Recorder
from histrio.systems.system import DeployedSystem, NodeStatus
from histrio.trial import Trial
from nemesis.injector import Apply, Probe, Undo
from nemesis.kinds import Hold
from nemesis.registry import kind_named
from workloads.session import Client, Completion, Outcome

__all__ = ["RealWorld"]

_SECOND_NS = 1_000_000_000
_LATE_NS = 1_000  # a wake-up that rounding makes a nanosecond early would ask for itself again
_TRACE_POLL_S = 0.005  # a trap is to strike within an election, which takes 150 ms and more
_STATUS_POLL_S = 0.1
_STATUS_PATIENCE_S = 1.0
_PROGRESS_S = 0.2
_PROBE_S = 0.02
_PROBES_MAX = 1500  # half a minute: longer than a cluster may take to heal
_CLOSE_S = 10.0
_MARGIN_S = 30.0
"""Beyond what the phases may take: for a machine that is busy with other things."""


class RealWorld:
    """One run on real processes. Make it, `run` it once, then ask for `conducted`."""

    def __init__(
        self,
        trial: Trial,
        system: DeployedSystem,
        engine: Engine,
        recorder: Recorder,
        factories: Mapping[str, RealMechanismFactory],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._trial, self._system, self._engine, self._recorder = trial, system, engine, recorder
        self._factories, self._on_progress = factories, on_progress
        self._origin_s = trio.current_time()
        self._finished = trio.Event()
        self._over = False
        self._end: RunEnd | None = None
        self._exits: list[NodeExit] = []
        self._observer: Observer | None = None
        self._events: deque[EngineEvent] = deque()
        self._feeding = False
        self._wake_s = self._origin_s
        self._sleep: trio.CancelScope | None = None
        self._threads: dict[int, trio.MemorySendChannel[InvokeOperation]] = {}
        self._outcomes = dict.fromkeys(Outcome, 0)
        self._mechanisms: dict[str, RealMechanism] = {}
        self._in_force: dict[str, str] = {}  # fault id -> kind
        self._undone: dict[str, tuple[RealMechanism, int]] = {}
        self._last: dict[str, trio.Event] = {}
        """Fault or node -> end of the last call that concerns it."""
        self._link_faults: set[str] = set()
        self._excused: dict[str, tuple[str, ...]] = {}
        """Fault -> nodes that may end for it, until they have been started again."""

    def now_ns(self) -> int:
        """The clock of everything that is recorded."""
        return int((trio.current_time() - self._origin_s) * _SECOND_NS)

    def progress(self) -> Progress:
        """A glance at the run."""
        return Progress(
            now_ns=self.now_ns(),
            phase=self._engine.phase or "start",
            ok=self._outcomes[Outcome.OK],
            fail=self._outcomes[Outcome.FAIL],
            info=self._outcomes[Outcome.INFO],
            faults=tuple(self._in_force.values()),
        )

    def conducted(self, signal: int | None) -> Conducted:
        """How the run went; a signal that came after its end is obeyed, too."""
        end = self._end or RunEnd(time_ns=self.now_ns(), reason="interrupted")
        clocks = () if self._observer is None else self._observer.clocks
        return Conducted(self._engine.phases, tuple(self._exits), end, clocks, signal)

    async def run(self, open_cluster: OpenCluster, folder: Path) -> None:
        """Make the cluster, carry the trial out, heal, remove the cluster: also when cancelled. Raises HistrioError."""
        async with open_cluster(
            self._system, self._trial.nodes, folder, now_ns=self.now_ns, on_exit=self._exited
        ) as cluster:
            self._observer = observer = Observer(
                cluster,
                now_ns=self.now_ns,
                record=self._recorder.trace_written,
                watched=lambda: self._engine.watched,
                reported=lambda node, event: self._feed(NodeReported(node, event)),
            )
            seed = self._trial.spec.seed
            wanted = {kind_named(fault.kind).mechanism for fault in self._trial.plan.faults}
            for name, make in self._factories.items():
                if name in wanted:
                    self._mechanisms[name] = make(cluster, observer.spoke, seed)
            try:
                with trio.move_on_after(self._budget_s()):
                    await self._live(cluster, observer)
                reason: Literal["completed", "time-budget"] = "completed" if self._finished.is_set() else "time-budget"
                self._end = RunEnd(time_ns=self.now_ns(), reason=reason)
            finally:
                with trio.CancelScope(shield=True):
                    await self._close_mechanisms()
        observer.close()

    def _budget_s(self) -> float:
        return self._trial.spec.time_limit_s + OTHER_PHASES_LIMIT_NS / _SECOND_NS + _MARGIN_S

    async def _live(self, cluster: Cluster, observer: Observer) -> None:
        """All tasks of the run, until the engine says that it is over."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery, self._cluster = nursery, cluster
                for mechanism in self._mechanisms.values():
                    if isinstance(mechanism, Serving):
                        nursery.start_soon(mechanism.serve)
                for node in cluster.nodes:
                    nursery.start_soon(cluster.start, node)
                nursery.start_soon(self._follow_traces, observer)
                if self._system.status is not None:
                    for node in cluster.nodes:
                        nursery.start_soon(self._ask_for_status, observer, node)
                nursery.start_soon(self._keep_time)
                nursery.start_soon(self._show_progress)
                await self._finished.wait()
                nursery.cancel_scope.cancel()
        finally:
            self._over = True

    async def _close_mechanisms(self) -> None:
        """Each is closed, whatever becomes of the others; then the first failure is told."""
        failures: list[Exception] = []
        for mechanism in self._mechanisms.values():
            try:
                with trio.fail_after(_CLOSE_S):
                    await mechanism.close()
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]

    # ── the engine ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _feed(self, event: EngineEvent) -> None:
        """Give the engine an event and do what it says; events that arise meanwhile wait their turn."""
        if self._over:
            return  # nodes that are ended speak to the last
        self._events.append(event)
        if self._feeding:
            return
        self._feeding = True
        while self._events and not self._finished.is_set():
            assert self._observer is not None
            actions = self._engine.step(self.now_ns(), self._events.popleft(), self._observer.view())
            for action in actions:
                self._perform(action)
        self._feeding = False

    def _perform(self, action: EngineAction) -> None:
        match action:
            case InvokeOperation():
                self._invoke(action)
            case WakeEngine(time_ns=time_ns):
                self._wake_s = self._origin_s + (time_ns + _LATE_NS) / _SECOND_NS
                if self._sleep is not None:
                    self._sleep.deadline = self._wake_s
            case Apply() | Undo() | Probe():
                self._arrange(action)
            case Finish():
                self._finished.set()
            case _:
                assert_never(action)

    async def _keep_time(self) -> None:
        """Tells the engine when the time it asked for has come; first of all at the start."""
        while True:
            with trio.CancelScope(deadline=self._wake_s) as self._sleep:
                await trio.sleep_forever()
            self._sleep = None
            self._wake_s = float("inf")
            self._feed(TimePassed())

    async def _show_progress(self) -> None:
        while self._on_progress is not None:
            self._on_progress(self.progress())
            await trio.sleep(_PROGRESS_S)

    # ── nodes as seen from outside ───────────────────────────────────────────────────────────────────────────────────

    def _exited(self, left: Exit) -> None:
        excused = any(left.node in nodes for nodes in self._excused.values())
        if not left.planned and not excused:
            self._exits.append(NodeExit(node=left.node, time_ns=left.time_ns, reason=left.reason))
        if self._observer is not None:
            self._observer.ended(left.node)

    async def _follow_traces(self, observer: Observer) -> None:
        while True:
            observer.poll()
            await trio.sleep(_TRACE_POLL_S)

    async def _ask_for_status(self, observer: Observer, node: str) -> None:
        ask = self._system.status
        assert ask is not None
        while True:
            status: NodeStatus | None = None
            incarnation = self._cluster.incarnation(node)
            with trio.move_on_after(_STATUS_PATIENCE_S):
                status = await ask(self._cluster.addresses[node])
            if status is not None and incarnation == self._cluster.incarnation(node):
                observer.answered(node, status)
            await trio.sleep(_STATUS_POLL_S)

    # ── clients ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _invoke(self, action: InvokeOperation) -> None:
        thread = self._threads.get(action.thread)
        if thread is None:
            thread, receive = trio.open_memory_channel[InvokeOperation](1)
            self._threads[action.thread] = thread
            self._nursery.start_soon(self._serve_thread, receive)
        self._recorder.invoked(self.now_ns(), action.process, action.node, action.operation)
        thread.send_nowait(action)

    async def _serve_thread(self, operations: trio.MemoryReceiveChannel[InvokeOperation]) -> None:
        """One client after the other: a process whose operation stays open gives way to the next."""
        client: Client | None = None
        process = -1
        try:
            async for action in operations:
                if client is None or action.process != process:
                    if client is not None:
                        await client.close()
                    process = action.process
                    client = self._system.client(process, self._cluster.addresses)
                    await client.open(action.node)
                self._complete(action, await client.invoke(action.operation, action.operation_id))
        finally:
            if client is not None:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSE_S):
                    await client.close()

    def _complete(self, action: InvokeOperation, completion: Completion) -> None:
        self._outcomes[completion.outcome] += 1
        self._recorder.completed(self.now_ns(), action.process, action.node, action.operation, completion)
        self._feed(OperationEnded(action.thread, completion))

    # ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _arrange(self, action: Apply | Undo | Probe) -> None:
        """Start the call once those before it that concern the same fault or the same node have returned."""
        concerned = self._concerned(action)
        before = [self._last[key] for key in concerned if key in self._last]
        done = trio.Event()
        if not isinstance(action, Probe):  # nobody waits for a probe, which may go on for long
            self._last.update(dict.fromkeys(concerned, done))
        self._nursery.start_soon(self._carry_out, action, before, done)

    def _concerned(self, action: Apply | Undo | Probe) -> list[str]:
        """Keys of calls that must not overtake one another: of one fault, and, but for links, of one node."""
        if isinstance(action, Apply):
            fault = action.fault.id
            if kind_named(action.fault.kind).hold is Hold.LINKS:
                self._link_faults.add(fault)
        else:
            fault = action.fault_id
        return [fault] if fault in self._link_faults else [fault, *action.nodes]

    async def _carry_out(self, action: Apply | Undo | Probe, before: Sequence[trio.Event], done: trio.Event) -> None:
        for event in before:
            await event.wait()
        match action:
            case Apply():
                await self._apply(action)
            case Undo():
                await self._undo(action)
            case Probe():
                await self._probe(action)
            case _:
                assert_never(action)
        done.set()

    async def _apply(self, action: Apply) -> None:
        fault = action.fault
        self._in_force[fault.id] = fault.kind
        if action.mechanism in MAY_END_NODES:
            self._excused[fault.id] = action.resolved
        rule = await self._mechanisms[action.mechanism].apply(action)
        self._recorder.fault(FaultApplied(id=fault.id, time_ns=self.now_ns(), resolved=action.resolved, rule=rule))

    async def _undo(self, action: Undo) -> None:
        assert self._observer is not None
        self._observer.poll()  # what was written before must not pass for a sign of life after it
        since_ns = self.now_ns()
        mechanism = self._mechanisms[action.mechanism]
        counts = await mechanism.undo(action)
        now_ns = self.now_ns()
        self._excused.pop(action.fault_id, None)
        del self._in_force[action.fault_id]
        self._recorder.fault(FaultObserved(id=action.fault_id, time_ns=now_ns, counts=counts))
        self._recorder.fault(FaultUndone(id=action.fault_id, time_ns=now_ns))
        self._undone[action.fault_id] = (mechanism, since_ns)
        self._feed(FaultReported(action.fault_id, counts))

    async def _probe(self, probe: Probe) -> None:
        """Look again and again until the consequence is seen to have ended; without that the fault stays unhealed."""
        mechanism, since_ns = self._undone[probe.fault_id]
        for _ in range(_PROBES_MAX):
            seen = await mechanism.healed(probe, since_ns)
            if seen is not None:
                self._recorder.fault(FaultHealed(id=probe.fault_id, time_ns=self.now_ns(), probe=seen))
                return
            await trio.sleep(_PROBE_S)
