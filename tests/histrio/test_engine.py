"""The conductor of a trial without a world: what it asks for, when, and in which phase (architecture §2)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec

from histrio.engine import (
    CALM_NS,
    SETTLE_LIMIT_NS,
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
from histrio.planning import plan_trial, workload_options
from histrio.trial import TrialSpec
from nemesis.injector import Apply, Injector, Undo
from nemesis.plan import AtEvent, AtTime, Fault
from nemesis.targets import ClusterView
from workloads.registry import workload_named
from workloads.session import Completion, Outcome

MS = 1_000_000
SPEC = TrialSpec(nodes=3, concurrency=6, time_limit_s=1.0, nemesis=("none",))
UP = ClusterView(nodes=("n1", "n2", "n3"), leader="n1", up=("n1", "n2", "n3"))


class World:
    """Answers every operation after a millisecond, and obeys."""

    def __init__(self, faults: tuple[Fault, ...] = (), view: ClusterView = UP) -> None:
        trial = plan_trial(SPEC)
        trial = msgspec.structs.replace(trial, plan=msgspec.structs.replace(trial.plan, faults=faults))
        options = workload_options(SPEC)
        self.engine = Engine(trial, workload_named("register"), options, Injector(trial.plan, 1))
        self.view = view
        self.now_ns = 0
        self.wake_ns = 0
        self.done: list[tuple[int, str, EngineAction]] = []
        self.open: list[tuple[int, InvokeOperation]] = []
        self.finished = False
        self.feed(TimePassed())

    def feed(self, event: EngineEvent) -> None:
        for action in self.engine.step(self.now_ns, event, self.view):
            self.done.append((self.now_ns, self.engine.phase, action))
            match action:
                case WakeEngine(time_ns=time_ns):
                    self.wake_ns = time_ns
                case InvokeOperation():
                    self.open.append((self.now_ns + MS, action))
                case Finish():
                    self.finished = True
                case _:
                    pass

    def run(self, until_ns: int = 120_000 * MS) -> None:
        """Let time pass until the engine finishes."""
        while not self.finished and self.now_ns < until_ns:
            due = min([self.wake_ns, *(at for at, _ in self.open)])
            self.now_ns = max(self.now_ns, due)
            ended = [entry for entry in self.open if entry[0] <= self.now_ns]
            if ended:
                self.open.remove(ended[0])
                operation = ended[0][1].operation
                completion = Completion(outcome=Outcome.OK, value=operation.value)
                self.feed(OperationEnded(ended[0][1].thread, completion))
            else:
                self.feed(TimePassed())

    def actions(self, kind: type[EngineAction]) -> Sequence[tuple[int, str, EngineAction]]:
        return [entry for entry in self.done if isinstance(entry[2], kind)]


def phase_names(world: World) -> list[str]:
    return [phase.name for phase in world.engine.phases]


def test_the_phases_follow_one_another_without_a_gap() -> None:
    """Settle, load under faults, heal (always), final reads, liveness: all recorded."""
    world = World()
    world.run()
    assert world.finished
    assert phase_names(world) == ["settle", "load", "heal", "final-reads", "liveness"]
    phases = world.engine.phases
    assert all(one.end_ns == other.begin_ns for one, other in itertools.pairwise(phases))


def test_no_operation_begins_before_a_leader_is_known_or_patience_ends() -> None:
    """A cluster that elects nobody is driven all the same: liveness will say what is wrong with it."""
    world = World(view=ClusterView(nodes=UP.nodes, leader=None, up=UP.up))
    world.run(until_ns=SETTLE_LIMIT_NS + 500 * MS)
    first = world.actions(InvokeOperation)[0]
    assert first[0] >= SETTLE_LIMIT_NS


def test_no_operation_begins_before_every_node_is_up_or_patience_ends() -> None:
    """A real node takes its time to start; clients of one that is not there yet would count as an outage."""
    world = World(view=ClusterView(nodes=UP.nodes, leader="n1", up=("n1", "n2")))
    world.run(until_ns=SETTLE_LIMIT_NS + 500 * MS)
    assert world.actions(InvokeOperation)[0][0] >= SETTLE_LIMIT_NS


def test_healing_undoes_every_fault_that_lasts_and_starts_no_other() -> None:
    """A run never ends broken."""
    faults = (
        Fault(id="f1", kind="kill-one", at=AtTime(ns=100 * MS), for_ns=60_000 * MS, target="one"),
        Fault(id="f2", kind="kill-one", at=AtTime(ns=90_000 * MS), for_ns=10 * MS, target="one"),
    )
    world = World(faults)
    world.run()
    (applied,) = world.actions(Apply)
    (undone,) = world.actions(Undo)
    assert (applied[1], undone[1]) == ("load", "heal")
    load = world.engine.phases[1]
    assert applied[0] == load.begin_ns + 100 * MS
    assert undone[0] == load.end_ns


def test_a_fault_waits_for_the_event_that_starts_it() -> None:
    """Architecture §2: targets may be events, because those find what clocks do not."""
    at = AtEvent(event="voted", nth=2)
    world = World((Fault(id="f1", kind="kill-one", at=at, for_ns=10 * MS, target="self"),))
    assert world.engine.watched == {"voted"}
    world.run(until_ns=500 * MS)
    world.feed(NodeReported("n2", "voted"))
    assert world.actions(Apply) == []
    world.feed(NodeReported("n3", "voted"))
    (applied,) = [entry[2] for entry in world.actions(Apply)]
    assert isinstance(applied, Apply)
    assert applied.nodes == ("n3",)
    assert world.engine.watched == frozenset()
    world.feed(FaultReported("f1", {"processes_ended": 1}))


def test_healing_waits_until_all_nodes_have_been_up_under_a_leader_for_a_while() -> None:
    """Final reads of a cluster that is still recovering would prove nothing."""
    world = World()
    world.run(until_ns=1_100 * MS)
    assert world.engine.phase == "heal"
    world.view = ClusterView(nodes=UP.nodes, leader="n1", up=("n1", "n2"))
    world.run(until_ns=4_000 * MS)
    assert world.engine.phase == "heal"
    world.view = UP
    since_ns = world.now_ns
    world.run()
    heal = world.engine.phases[2]
    assert heal.end_ns is not None
    assert heal.end_ns >= since_ns + CALM_NS


def test_every_node_is_asked_for_every_key_at_the_end() -> None:
    """Final reads after healing (issue #2, point 6)."""
    world = World()
    world.run()
    asked = {
        (action.node, action.operation.key)
        for _, phase, action in world.done
        if isinstance(action, InvokeOperation) and phase == "final-reads"
    }
    keys = {
        action.operation.key
        for _, phase, action in world.done
        if isinstance(action, InvokeOperation) and phase == "load"
    }
    assert asked == {(node, key) for node in UP.nodes for key in keys}


def test_liveness_uses_keys_of_its_own() -> None:
    """The others have had their final reads."""
    world = World()
    world.run()
    operations = [
        action.operation
        for _, phase, action in world.done
        if isinstance(action, InvokeOperation) and phase == "liveness"
    ]
    assert operations
    assert all(str(operation.key).startswith("live-") for operation in operations)
    assert {operation.f for operation in operations} > {"read"}


def test_an_operation_id_is_never_used_twice() -> None:
    """It names the operation in messages and in the trace."""
    world = World()
    world.run()
    ids = [entry[2].operation_id for entry in world.done if isinstance(entry[2], InvokeOperation)]
    assert len(ids) == len(set(ids)) > 100
