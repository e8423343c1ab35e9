"""The people of the simulation: clients that drive sessions, the fault injector's hands, and an observer of roles.

It carries the engine's actions out in the event heap and tells the engine what came of them. Clients and faults live
here because they are the harness's; nodes, links and disks are `histrio.simulation`'s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, assert_never

from checker.records import (
    Became,
    FaultApplied,
    FaultHealed,
    FaultObserved,
    FaultUndone,
    NodeExit,
    RunEnd,
    Snapshot,
)
from histrio.engine import (
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
from histrio.environments.environment import Conducted, Progress
from histrio.environments.orders import GivesOrders
from histrio.environments.simulated_faults import MechanismFactory, SimulatedMechanism
from histrio.environments.simulated_orders import SimulatedDesk
from histrio.recorder import Recorder
from histrio.simulation.kernel import Simulation, Timer
from histrio.simulation.profile import Profile
from histrio.systems.system import SimulatedSystem
from histrio.trial import Trial
from nemesis.injector import Apply, Probe, Undo
from nemesis.targets import ClusterView
from workloads.session import Completion, Operation, Outcome, Session, SessionStep

__all__ = ["SimulatedWorld"]

MS = 1_000_000
_BECAME = Became.__struct_config__.tag
_SNAPSHOT = Snapshot.__struct_config__.tag
PROBE_INTERVAL_NS = 20 * MS
PROBES_MAX = 500  # ten simulated seconds: longer than a cluster may take to heal


class _Client:
    """One process: its session, its connection, its open operation."""

    __slots__ = ("address", "deadline", "node", "operation", "process", "reached", "session", "thread")

    def __init__(self, thread: int, process: int, node: str, session: Session) -> None:
        self.thread, self.process, self.node, self.session = thread, process, node, session
        self.address = f"p{process}"
        self.reached = node  # where its connection leads
        self.operation: Operation | None = None
        self.deadline: Timer | None = None


class SimulatedWorld:
    """One run in the simulator. Make it, run `simulation` until `finished`, then ask for `conducted`."""

    def __init__(
        self,
        trial: Trial,
        system: SimulatedSystem,
        engine: Engine,
        recorder: Recorder,
        profile: Profile,
        factories: Mapping[str, MechanismFactory],
    ) -> None:
        seed = trial.spec.seed
        self.simulation = Simulation(seed, profile, event_budget=trial.spec.event_budget, on_trace=self._traced)
        self.finished = False
        self._trial, self._system, self._engine, self._recorder = trial, system, engine, recorder
        self._mechanisms: dict[str, SimulatedMechanism] = {
            name: make(self.simulation, self._spoke) for name, make in factories.items()
        }
        self._desk = SimulatedDesk(self.simulation, system, trial.nodes, self._expect_members)
        for mechanism in self._mechanisms.values():
            if isinstance(mechanism, GivesOrders):
                mechanism.equip(self._desk)
        self._returning = False
        self._clients: dict[int, _Client] = {}
        self._tags: dict[type, str] = {}  # of the nodes' trace events -> of their records
        self._roles: dict[str, tuple[int, str]] = {}
        self._known: ClusterView | None = None
        self._spoke_at: dict[str, int] = {}
        self._in_force: dict[str, str] = {}  # fault id -> kind
        self._undone: dict[str, tuple[SimulatedMechanism, int]] = {}
        self._wake: Timer | None = None
        self._events: deque[EngineEvent] = deque()
        self._feeding = False
        self._outcomes = dict.fromkeys(Outcome, 0)
        for node in trial.nodes:
            self.simulation.add_node(node, system.node)
            self.simulation.start(node)
        self.simulation.call_at(0, self._time_passed)

    def progress(self) -> Progress:
        """A glance at the run."""
        return Progress(
            now_ns=self.simulation.now_ns,
            phase=self._engine.phase,
            ok=self._outcomes[Outcome.OK],
            fail=self._outcomes[Outcome.FAIL],
            info=self._outcomes[Outcome.INFO],
            faults=tuple(self._in_force.values()),
        )

    def conducted(self, reason: Literal["completed", "event-budget"]) -> Conducted:
        """How the run went."""
        simulation = self.simulation
        return Conducted(
            phases=self._engine.phases,
            exits=tuple(
                NodeExit(node=left.name, time_ns=left.time_ns, reason=left.reason)
                for left in simulation.exits
                if not (left.disk_at_fault and self._system.blames_disk(left.reason))
            ),
            end=RunEnd(
                time_ns=simulation.now_ns,
                reason=reason,
                events=simulation.events,
                trace_hash=simulation.trace_hash(),
            ),
        )

    # ── the engine ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _feed(self, event: EngineEvent) -> None:
        """Give the engine an event and do what it says; events that arise meanwhile wait their turn."""
        self._events.append(event)
        if self._feeding:
            return
        self._feeding = True
        while self._events and not self.finished:
            actions = self._engine.step(self.simulation.now_ns, self._events.popleft(), self._view())
            for action in actions:
                self._perform(action)
        self._feeding = False

    def _time_passed(self) -> None:
        self._feed(TimePassed())

    def _view(self) -> ClusterView:
        """Made anew only when a role or what is up has changed."""
        up = self.simulation.up
        if self._known is None or self._known.up is not up:
            roles = [(*self._roles[node], node) for node in up if node in self._roles]
            leaders = [(term, node) for term, role, node in roles if role == "leader"]
            leader = max(leaders)[1] if leaders else None
            self._known = ClusterView(nodes=self._trial.nodes, leader=leader, up=up, returning=self._returning)
        return self._known

    def _perform(self, action: EngineAction) -> None:
        match action:
            case InvokeOperation():
                self._invoke(action)
            case WakeEngine(time_ns=time_ns):
                if self._wake is not None:
                    self._wake.cancel()
                self._wake = self.simulation.call_at(time_ns, self._time_passed)
            case Apply():
                self._apply(action)
            case Undo():
                self._undo(action)
            case Probe():
                self._probe(action)
            case Finish():
                self.finished = True
                self.simulation.stop()
            case _:
                assert_never(action)

    # ── nodes as seen from outside ───────────────────────────────────────────────────────────────────────────────────

    def _traced(self, node: str, incarnation: int, first_seq: int, local_ns: int, events: Sequence[Any]) -> None:
        self._recorder.traced(node, incarnation, first_seq, local_ns, events)
        self._spoke_at[node] = now_ns = self.simulation.now_ns
        watched, tags = self._engine.watched, self._tags
        for event in events:
            name = tags.get(type(event)) or self._tag(event)
            if name == _BECAME:
                name = self._changed_role(node, event)
            elif name == _SNAPSHOT and event.installed:
                name = "snapshot-installing"
                self._desk.installed(node)
            if name in watched:
                # The engine may end this very node, so it is asked once the present flush is done.
                self.simulation.call_at(now_ns, partial(self._feed, NodeReported(node, name)))

    def _expect_members(self, returning: bool) -> None:
        """Whether nodes are on their way to being members again."""
        self._returning = returning
        self._known = None

    def _tag(self, event: Any) -> str:
        """Tag of the record of such an event."""
        tag = self._tags[type(event)] = str(self._system.translate(event).__struct_config__.tag)
        return tag

    def _changed_role(self, node: str, event: Any) -> str:
        """Note the node's new role. Gives the name under which faults wait for it."""
        record = self._system.translate(event)
        assert type(record) is Became
        self._roles[node] = (record.term, record.role)
        self._known = None
        return f"became-{record.role}"

    def _spoke(self, node: str) -> int:
        return self._spoke_at.get(node, -1)

    # ── clients ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _invoke(self, action: InvokeOperation) -> None:
        client = self._clients.get(action.thread)
        if client is None or client.process != action.process:
            if client is not None and self.simulation.is_connected(client.address):
                self.simulation.disconnect(client.address)
            session = self._system.session(action.process)
            client = self._clients[action.thread] = _Client(action.thread, action.process, action.node, session)
        now_ns = self.simulation.now_ns
        client.operation = action.operation
        self._recorder.invoked(now_ns, client.process, client.node, action.operation)
        self._take(client, client.session.invoke(now_ns, action.operation, action.operation_id))

    def _take(self, client: _Client, step: SessionStep) -> None:
        """Do what a session wants."""
        if client.deadline is not None:
            client.deadline.cancel()
            client.deadline = None
        for payload in step.sends:
            node = step.node or client.node
            if self.simulation.is_connected(client.address) and client.reached != node:
                self.simulation.disconnect(client.address)
            if not self.simulation.is_connected(client.address):
                client.reached = node
                self.simulation.connect(
                    client.address, node, partial(self._received, client), partial(self._disconnected, client)
                )
            self.simulation.request(client.address, payload)
        if step.deadline_ns is not None:
            client.deadline = self.simulation.call_at(step.deadline_ns, partial(self._session_woken, client))
        if step.completion is not None:
            self._complete(client, step.completion)

    def _received(self, client: _Client, payload: Any) -> None:
        self._take(client, client.session.received(self.simulation.now_ns, payload))

    def _disconnected(self, client: _Client, delivered: bool) -> None:
        self._take(client, client.session.disconnected(self.simulation.now_ns, delivered=delivered))

    def _session_woken(self, client: _Client) -> None:
        client.deadline = None
        self._take(client, client.session.wake(self.simulation.now_ns))

    def _complete(self, client: _Client, completion: Completion) -> None:
        operation, client.operation = client.operation, None
        assert operation is not None, f"{client.address} completed an operation that was not open"
        self._outcomes[completion.outcome] += 1
        self._recorder.completed(self.simulation.now_ns, client.process, client.node, operation, completion)
        self._feed(OperationEnded(client.thread, completion))

    # ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _apply(self, action: Apply) -> None:
        fault = action.fault
        self._in_force[fault.id] = fault.kind
        rule = self._mechanisms[action.mechanism].apply(action)
        self._recorder.fault(
            FaultApplied(id=fault.id, time_ns=self.simulation.now_ns, resolved=action.resolved, rule=rule)
        )

    def _undo(self, action: Undo) -> None:
        del self._in_force[action.fault_id]
        now_ns = self.simulation.now_ns
        counts = self._mechanisms[action.mechanism].undo(action)
        self._recorder.fault(FaultObserved(id=action.fault_id, time_ns=now_ns, counts=counts))
        self._recorder.fault(FaultUndone(id=action.fault_id, time_ns=now_ns))
        self._undone[action.fault_id] = (self._mechanisms[action.mechanism], now_ns)
        self._feed(FaultReported(action.fault_id, counts))

    def _probe(self, probe: Probe, left: int = PROBES_MAX) -> None:
        """Look again and again until the consequence is seen to have ended; without that the fault stays unhealed."""
        mechanism, undone_ns = self._undone[probe.fault_id]
        now_ns = self.simulation.now_ns
        seen = mechanism.healed(probe, undone_ns)
        if seen is not None:
            self._recorder.fault(FaultHealed(id=probe.fault_id, time_ns=now_ns, probe=seen))
        elif left > 0:
            self.simulation.call_at(now_ns + PROBE_INTERVAL_NS, partial(self._probe, probe, left - 1))
