"""The injector, driven through a world of switches and compared with the definition of what a plan means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemesis.injector import (
    Action,
    Apply,
    Healing,
    Injector,
    InjectorEvent,
    MechanismReport,
    NodeEvent,
    Probe,
    Started,
    Status,
    Undo,
    WakeAt,
    Woken,
)
from nemesis.kinds import MECHANISMS, Hold
from nemesis.mechanism import Mechanism
from nemesis.plan import AtEvent, AtTime, Fault, Plan
from nemesis.registry import KINDS
from nemesis.schedule import draw_plan
from nemesis.targets import ClusterView

NODES = ("n1", "n2", "n3", "n4", "n5")
ALL_UP = ClusterView(NODES, "n1", NODES)
S = 10**9


def plan(*faults: Fault) -> Plan:
    return Plan(seed=1, nodes=NODES, workload="register", faults=faults)


def fault(number: int, kind: str, start: int, length: int, target: Any = None) -> Fault:
    return Fault(id=f"f{number}", kind=kind, at=AtTime(start), for_ns=length, target=target)


def trap(number: int, kind: str, event: str, *, nth: int = 1, where: str | None = None, length: int = 5) -> Fault:
    return Fault(id=f"f{number}", kind=kind, at=AtEvent(event, where, nth), for_ns=length, target="self")


class Switches:
    """A mechanism that obeys: which nodes are down and paused, which rules block. Counts what it changed."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.paused: set[str] = set()
        self.rules: dict[str, frozenset[tuple[str, str]]] = {}
        self.counts: dict[str, dict[str, int]] = {}

    def apply(self, action: Apply) -> str:
        counts = self.counts.setdefault(action.fault.id, {})
        kind = KINDS[action.fault.kind]
        match kind.hold:
            case Hold.DOWN:
                struck = len(set(action.nodes) - self.down)
                counts |= {"processes_ended": struck, "unsynced_bytes_lost": 7 * struck, "bytes_torn": struck}
                self.down |= set(action.nodes)
            case Hold.PAUSED:
                counts["inputs_held"] = len(set(action.nodes) - self.down)
                self.paused |= set(action.nodes)
            case _:
                self.rules[action.fault.id] = frozenset(action.pairs)
                counts[kind.evidence[-1]] = counts.get(kind.evidence[-1], 0) + len(action.pairs or action.nodes)
        return f"{action.mechanism} {' '.join(action.nodes)}"

    def undo(self, action: Undo) -> Mapping[str, int]:
        if action.fault_id in self.rules:
            del self.rules[action.fault_id]
        elif action.mechanism == "process.pause":
            assert set(action.nodes) <= self.paused
            self.paused -= set(action.nodes)
        else:
            assert set(action.nodes) <= self.down
            self.down -= set(action.nodes)
        return self.counts.pop(action.fault_id)

    @property
    def blocked(self) -> set[tuple[str, str]]:
        return {pair for rule in self.rules.values() for pair in rule}


class Broken(Switches):
    """The sabotage: every switch does nothing."""

    def apply(self, action: Apply) -> str:
        self.counts[action.fault.id] = dict.fromkeys(KINDS[action.fault.kind].evidence, 0)
        return "nothing"

    def undo(self, action: Undo) -> Mapping[str, int]:
        return self.counts.pop(action.fault_id)


class World:
    """Time, switches and the injector's actions as they came."""

    def __init__(self, chosen: Plan, switches: Switches | None = None, *, seed: int = 1) -> None:
        self.injector = Injector(chosen, seed)
        self.switches = switches or Switches()
        self.now_ns = 0
        self.wake_ns: int | None = None
        self.log: list[tuple[int, Action]] = []
        self.applied: dict[str, tuple[int, Apply]] = {}
        self.step(Started())

    def view(self) -> ClusterView:
        return ClusterView(NODES, "n1", tuple([node for node in NODES if node not in self.switches.down]))

    def step(self, event: InjectorEvent, view: ClusterView | None = None) -> tuple[Action, ...]:
        actions = self.injector.step(self.now_ns, event, view or self.view())
        mechanism: Mechanism = self.switches
        for action in actions:
            self.log.append((self.now_ns, action))
            if isinstance(action, WakeAt):
                self.wake_ns = action.at_ns
            elif isinstance(action, Apply):
                self.applied[action.fault.id] = (self.now_ns, action)
                mechanism.apply(action)
            elif isinstance(action, Undo):
                report = MechanismReport(action.fault_id, mechanism.undo(action))
                assert self.injector.step(self.now_ns, report, self.view()) == ()
        return actions

    def run_until(self, end_ns: int) -> None:
        while self.wake_ns is not None and self.wake_ns <= end_ns:
            self.now_ns, self.wake_ns = self.wake_ns, None
            self.step(Woken())
        self.now_ns = end_ns

    def held(self, hold: Hold) -> set[str]:
        """By definition: nodes hit by a fault with that hold that has begun and not ended."""
        return {
            node
            for start_ns, apply in self.applied.values()
            if start_ns <= self.now_ns < start_ns + apply.fault.for_ns and KINDS[apply.fault.kind].hold is hold
            for node in apply.resolved
        }


def faults() -> st.SearchStrategy[list[Fault]]:
    kinds = st.sampled_from(
        [
            ("kill-one", "one"),
            ("kill-one", "n1"),
            ("kill-leader", "leader"),
            ("kill-minority", "minority"),
            ("kill-all", "all"),
            ("pause-one", "n1"),
            ("pause-one", "one"),
            ("power-loss-one", "n1"),
            ("power-loss-one", ("n1", "n2", "n3")),
            ("partition-halves", None),
            ("partition-one", "n2"),
            ("disk-full", "n1"),
            ("disk-torn", "n1"),
            ("net-loss", "all"),
        ]
    )
    one = st.tuples(kinds, st.integers(0, 30), st.integers(1, 20))
    return st.lists(one, max_size=8).map(
        lambda drawn: [
            fault(number, kind, start, length, target) for number, ((kind, target), start, length) in enumerate(drawn)
        ]
    )


@settings(max_examples=150, derandomize=True, deadline=None)
@given(chosen=faults(), seed=st.integers(0, 99))
def test_a_node_is_down_exactly_while_a_fault_holds_it(chosen: list[Fault], seed: int) -> None:
    """Overlapping faults compose: eloqsql#81 is a harness whose overlapping kills left everything dead."""
    world = World(plan(*chosen), seed=seed)
    for now_ns in range(60):
        world.run_until(now_ns)
        assert world.switches.down == world.held(Hold.DOWN)
        assert world.switches.paused == world.held(Hold.PAUSED)
        expected = {
            pair
            for start_ns, apply in world.applied.values()
            if start_ns <= now_ns < start_ns + apply.fault.for_ns
            for pair in apply.pairs
        }
        assert world.switches.blocked == expected
    assert len(world.applied) == len(chosen)
    assert not world.switches.down | world.switches.paused
    assert not world.switches.rules


@settings(max_examples=60, derandomize=True, deadline=None)
@given(chosen=faults(), removed=st.integers(0, 7), seed=st.integers(0, 99))
def test_removing_a_fault_changes_nothing_for_the_others(chosen: list[Fault], removed: int, seed: int) -> None:
    """architecture.md §2, §8: streams are keyed by fault id; any subset of a plan is a plan. Seen with a cluster that
    looks the same throughout and faults that do not overlap, so that only chance could differ."""
    chosen = [msgspec.structs.replace(one, at=AtTime(100 * number)) for number, one in enumerate(chosen)]

    def hits(some: list[Fault]) -> dict[str, tuple[int, tuple[str, ...], object]]:
        injector, now_ns = Injector(plan(*some), seed), 0
        found: dict[str, tuple[int, tuple[str, ...], object]] = {}
        actions = injector.step(0, Started(), ALL_UP)
        while True:
            for action in actions:
                if isinstance(action, Apply) and action.mechanism not in ("process.power-loss", "disk.tear"):
                    found[action.fault.id] = (now_ns, action.resolved, action.pairs)
            wakes = [action.at_ns for action in actions if isinstance(action, WakeAt)]
            if not wakes:
                return found
            now_ns = wakes[0]
            actions = injector.step(now_ns, Woken(), ALL_UP)

    rest = [one for one in chosen if one.id != f"f{removed}"]
    whole = hits(chosen)
    whole.pop(f"f{removed}", None)
    assert hits(rest) == whole


def test_a_fault_lasts_as_long_as_the_plan_says_from_the_start_of_the_load() -> None:
    injector = Injector(plan(fault(1, "kill-one", 10, 7, "n2")), 1)
    assert injector.step(100, Started(), ALL_UP) == (WakeAt(110),)
    apply, wake = injector.step(110, Woken(), ALL_UP)
    assert isinstance(apply, Apply)
    assert (apply.resolved, apply.nodes, apply.ends_ns, wake) == (("n2",), ("n2",), 117, WakeAt(117))
    assert injector.step(117, Woken(), ALL_UP) == (
        Undo(fault_id="f1", mechanism="process.kill", nodes=("n2",), startable=("n2",)),
        Probe(fault_id="f1", probe="node-answers", nodes=("n2",)),
    )


def test_waking_early_does_no_harm() -> None:
    injector = Injector(plan(fault(1, "kill-one", 10, 7, "n2")), 1)
    injector.step(0, Started(), ALL_UP)
    assert injector.step(3, Woken(), ALL_UP) == (WakeAt(10),)


def test_the_second_kill_of_a_dead_node_is_reported_as_without_effect() -> None:
    world = World(plan(fault(1, "kill-one", 10, 30, "n2"), fault(2, "kill-one", 20, 40, "n2")))
    world.run_until(100)
    assert [outcome.status for outcome in world.injector.outcomes()] == [Status.EFFECTIVE, Status.NO_EFFECT]
    undone = [(at_ns, action.nodes) for at_ns, action in world.log if isinstance(action, Undo)]
    assert undone == [(40, ()), (60, ("n2",))], "the node returns when the last fault that holds it ends"


def test_a_power_loss_reaches_a_killed_node_because_it_takes_the_unsynced_writes_too() -> None:
    world = World(plan(fault(1, "kill-one", 10, 30, "n2"), fault(2, "power-loss-one", 20, 5, "n2")))
    world.run_until(20)
    assert world.applied["f2"][1].nodes == ("n2",)


def test_power_loss_strikes_a_minority_at_a_time_at_most() -> None:
    """architecture.md §7: a damage budget; beyond what a system promises to survive, a failure proves nothing."""
    world = World(
        plan(
            fault(1, "power-loss-one", 0, 50, "n1"),
            fault(2, "power-loss-one", 10, 50, ("n2", "n3", "n4")),
            fault(3, "power-loss-one", 20, 50, "n5"),
        )
    )
    world.run_until(30)
    assert [world.applied[f"f{n}"][1].resolved for n in (1, 2, 3)] == [("n1",), ("n2",), ()]
    world.run_until(200)
    assert not world.switches.down


def test_what_damages_synced_data_and_what_loses_unsynced_data_have_budgets_of_their_own() -> None:
    world = World(
        plan(
            fault(1, "disk-flip", 0, 50, ("n1", "n2")),
            fault(2, "disk-misdirect", 10, 50, ("n2", "n3")),
            fault(3, "disk-torn", 20, 50, ("n4",)),
            fault(4, "power-loss-one", 30, 50, ("n3", "n5")),
        )
    )
    world.run_until(40)
    hit = [world.applied[f"f{n}"][1].resolved for n in (1, 2, 3, 4)]
    assert hit == [("n1", "n2"), ("n2",), ("n4",), ("n3",)]


def test_a_node_that_ended_for_a_broken_disk_returns_unless_it_is_held_down() -> None:
    """The disk works again before the kill is over, and the other way round."""
    world = World(
        plan(
            fault(1, "disk-full", 0, 20, ("n1", "n2")),
            fault(2, "kill-one", 10, 30, "n1"),
            fault(3, "disk-error", 35, 10, "n1"),
        )
    )
    world.run_until(100)
    undone = {a.fault_id: (at_ns, a.nodes, a.startable) for at_ns, a in world.log if isinstance(a, Undo)}
    assert undone == {
        "f1": (20, ("n1", "n2"), ("n2",)),
        "f2": (40, ("n1",), ("n1",)),
        "f3": (45, ("n1",), ("n1",)),
    }


def test_a_swizzle_cuts_nodes_off_one_by_one_and_lets_them_back_in_another_order() -> None:
    """FoundationDB's swizzle-clogging; simulation.md §3."""
    swizzle = Fault(id="f1", kind="net-swizzle", at=AtTime(0), for_ns=50, params={"nodes": "majority"})
    world = World(plan(swizzle))
    world.run_until(60)
    steps = [(at_ns, action.pairs) for at_ns, action in world.log if isinstance(action, Apply)]
    assert [at_ns for at_ns, _ in steps] == [0, 10, 20, 30, 40]
    alone = [{node for node in NODES if all((node, x) in pairs for x in NODES if x != node)} for _, pairs in steps]
    assert [len(nodes) for nodes in alone] == [1, 2, 3, 2, 1]
    came = [(alone[k] - alone[k - 1]).pop() for k in (1, 2)]
    went = [(alone[k] - alone[k + 1]).pop() for k in (2, 3)]
    assert [*alone[0], *came] != [*went, *alone[4]]


def test_a_trap_springs_at_the_nth_event_of_the_node_it_watches() -> None:
    world = World(
        plan(
            trap(1, "kill-one", "voted", nth=3),
            trap(2, "pause-one", "voted", nth=2, where="n5"),
            fault(3, "kill-all", 9, 1),
        )
    )
    for node in ("n5", "n1", "n1", "n2", "n5"):
        world.step(NodeEvent("voted", node), ALL_UP)
    springs = [action.fault.id + action.resolved[0] for _, action in world.log if isinstance(action, Apply)]
    assert springs == ["f1n1", "f2n5"]


def test_a_trap_with_a_time_counts_from_that_time_on() -> None:
    """So a trap can follow what a clock started."""
    late = Fault(id="f1", kind="kill-one", at=AtEvent("voted", nth=2, after_ns=10), for_ns=5, target="self")
    injector = Injector(plan(late), 1)
    injector.step(100, Started(), ALL_UP)
    reports = [(105, "n1"), (109, "n2"), (110, "n3"), (111, "n4")]
    springs = [injector.step(at, NodeEvent("voted", node), ALL_UP) for at, node in reports]
    assert [bool(actions) for actions in springs] == [False, False, False, True]


def test_events_before_the_load_phase_do_not_count() -> None:
    injector = Injector(plan(trap(1, "kill-one", "voted")), 1)
    assert injector.step(0, NodeEvent("voted", "n1"), ALL_UP) == ()
    injector.step(5, Started(), ALL_UP)
    (apply, wake) = injector.step(6, NodeEvent("voted", "n2"), ALL_UP)
    assert isinstance(apply, Apply)
    assert apply.resolved == ("n2",)
    assert wake == WakeAt(11)


def test_only_events_that_can_still_start_something_are_watched() -> None:
    world = World(plan(trap(1, "kill-one", "voted"), trap(2, "kill-one", "synced", nth=2), fault(3, "kill-all", 1, 1)))
    assert world.injector.watched == {"voted", "synced"}
    world.step(NodeEvent("voted", "n1"))
    assert world.injector.watched == {"synced"}
    assert world.step(NodeEvent("voted", "n1")) == ()


def test_healing_undoes_everything_and_starts_nothing_more() -> None:
    world = World(
        plan(
            fault(1, "kill-minority", 10, 500, "minority"),
            fault(2, "partition-halves", 20, 500),
            fault(3, "kill-one", 400, 5, "n1"),
            trap(4, "kill-one", "voted"),
        )
    )
    world.run_until(100)
    assert world.switches.down
    world.step(Healing())
    assert not world.switches.down
    assert not world.switches.rules
    assert world.step(Woken()) == ()
    assert world.step(NodeEvent("voted", "n1")) == ()
    assert world.injector.watched == frozenset()
    statuses = [outcome.status for outcome in world.injector.outcomes()]
    assert statuses == [Status.EFFECTIVE, Status.EFFECTIVE, Status.NOT_STARTED, Status.NOT_STARTED]


def test_a_fault_nobody_counted_for_is_unverified_and_not_effective() -> None:
    """architecture.md §4: by a counted consequence, never by the flag that switched it on."""
    injector = Injector(plan(fault(1, "kill-one", 0, 5, "n1")), 1)
    injector.step(0, Started(), ALL_UP)
    injector.step(5, Woken(), ALL_UP)
    assert injector.outcomes()[0].status is Status.UNVERIFIED


def test_counts_that_are_no_evidence_of_the_kind_prove_nothing() -> None:
    injector = Injector(plan(fault(1, "kill-one", 0, 5, "n1")), 1)
    injector.step(0, Started(), ALL_UP)
    injector.step(5, MechanismReport("f1", {"inputs_lost": 1, "processes_ended": 0}), ALL_UP)
    assert injector.outcomes()[0].status is Status.NO_EFFECT
    injector.step(6, MechanismReport("f1", {"inputs_lost": 1, "processes_ended": 1}), ALL_UP)
    outcome = injector.outcomes()[0]
    assert outcome.status is Status.EFFECTIVE
    assert outcome.counts == {"inputs_lost": 2, "processes_ended": 1}


@pytest.mark.parametrize("mechanism", sorted(MECHANISMS))
def test_a_mechanism_that_does_nothing_gives_no_effect_for_each_of_its_kinds(mechanism: str) -> None:
    """Issue #2, sabotage tests."""
    kinds = [kind for kind in KINDS.values() if kind.mechanism == mechanism]
    assert kinds
    broken = [fault(n, kind.name, 10 * n, 5, (*kind.targets, None)[0]) for n, kind in enumerate(kinds)]
    for switches, status in ((Broken(), Status.NO_EFFECT), (Switches(), Status.EFFECTIVE)):
        world = World(plan(*broken), switches)
        world.run_until(2000)
        assert {outcome.status for outcome in world.injector.outcomes()} == {status}


def test_equal_inputs_give_equal_actions() -> None:
    drawn = draw_plan(
        seed=5,
        nodes=NODES,
        workload="register",
        asked=("all",),
        duration_ns=60 * S,
        mechanisms=dict.fromkeys(MECHANISMS),
    ).plan
    logs = []
    for _ in range(2):
        world = World(drawn, seed=5)
        world.run_until(60 * S)
        logs.append(msgspec.json.encode([(at_ns, action) for at_ns, action in world.log]))
    assert logs[0] == logs[1]


def test_every_clocked_fault_of_a_drawn_plan_takes_place_and_ends() -> None:
    for seed in range(20):
        drawn = draw_plan(
            seed=seed,
            nodes=NODES,
            workload="register",
            asked=("partition", "kill"),
            duration_ns=60 * S,
            mechanisms=dict.fromkeys(MECHANISMS),
        ).plan
        world = World(drawn, seed=seed)
        world.run_until(60 * S)
        assert len(world.applied) == sum(isinstance(one.at, AtTime) for one in drawn.faults)
        assert not world.switches.down
        effective = [one for one in world.injector.outcomes() if one.status is Status.EFFECTIVE]
        assert len(effective) >= 8, "issue #2"
