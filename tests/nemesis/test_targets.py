"""From symbols to nodes (architecture.md §2: stored symbolically, resolved at injection)."""

from __future__ import annotations

from collections import Counter

import pytest

from nemesis.plan import AtTime, Fault, Target
from nemesis.registry import KINDS
from nemesis.shapes import cut_off, one_way
from nemesis.targets import ClusterView, Hit, drawn_order, resolve

NODES = ("n1", "n2", "n3", "n4", "n5")
VIEW = ClusterView(NODES, "n3", NODES)


def hit(
    kind: str, target: Target | None, *, view: ClusterView = VIEW, reporter: str | None = None, seed: int = 1
) -> Hit:
    return hit_by(Fault(id="f1", kind=kind, at=AtTime(0), for_ns=1, target=target), view, reporter, seed)


def hit_by(fault: Fault, view: ClusterView, reporter: str | None = None, seed: int = 1) -> Hit:
    order = drawn_order(seed, fault.id, view.nodes)
    return resolve(KINDS[fault.kind], fault, order, view, reporter=reporter)


@pytest.mark.parametrize(
    ("target", "nodes"),
    [
        ("leader", ("n3",)),
        ("all", NODES),
        ("n4", ("n4",)),
        (("n5", "n1"), ("n1", "n5")),
    ],
)
def test_targets_that_leave_nothing_to_chance(target: Target, nodes: tuple[str, ...]) -> None:
    assert hit("kill-one", target).nodes == nodes


@pytest.mark.parametrize(("target", "size"), [("minority", 2), ("majority", 3)])
def test_groups_have_their_size_and_every_node_gets_into_one(target: str, size: int) -> None:
    counts = Counter(node for seed in range(100) for node in hit("kill-one", target, seed=seed).nodes)
    assert counts.total() == 100 * size
    assert set(counts) == set(NODES)


def test_one_is_a_node_that_is_up_and_a_follower_does_not_lead() -> None:
    view = ClusterView(NODES, "n3", ("n2", "n3"))
    for seed in range(50):
        assert hit("kill-one", "one", view=view, seed=seed).nodes[0] in view.up
        assert hit("kill-one", "follower", view=view, seed=seed).nodes == ("n2",)


def test_with_nobody_up_and_nobody_leading_a_target_is_still_found() -> None:
    dark = ClusterView(NODES, None, ())
    for target in ("one", "leader", "follower"):
        assert len(hit("kill-one", target, view=dark).nodes) == 1
    lone = ClusterView(("n1",), "n1", ("n1",))
    assert hit("kill-one", "follower", view=lone).nodes == ("n1",)


def test_nodes_that_the_same_mechanism_holds_are_avoided_as_long_as_there_are_others() -> None:
    """A second pause of a paused node would do nothing, and a kind that never takes effect makes a run vacuous."""
    for target in ("one", "leader", "follower"):
        fault = Fault(id="f1", kind="pause-one", at=AtTime(0), for_ns=1, target=target)
        for seed in range(20):
            order = drawn_order(seed, "f1", NODES)
            found = resolve(KINDS["pause-one"], fault, order, VIEW, held=frozenset({"n1", "n3", "n5"}))
            assert found.nodes[0] in ("n2", "n4")
            assert len(resolve(KINDS["pause-one"], fault, order, VIEW, held=frozenset(NODES)).nodes) == 1


def test_a_bridge_is_never_the_leader_whom_all_would_hear() -> None:
    for seed in range(30):
        assert hit("partition-bridge", None, seed=seed).nodes != ("n3",)


def test_self_is_the_node_that_reported_the_event() -> None:
    assert hit("kill-one", "self", reporter="n2").nodes == ("n2",)


def test_the_leader_can_be_forced_into_the_smaller_side() -> None:
    """Issue #2: half of the majority/minority partitions isolate the leader with the minority."""
    forced = Fault(
        id="f1", kind="partition-majority", at=AtTime(0), for_ns=1, target="minority", params={"leader": "minority"}
    )
    for seed in range(30):
        found = hit_by(forced, VIEW, seed=seed)
        assert "n3" in found.nodes
        assert len(found.nodes) == 2
        assert found.pairs == cut_off(found.nodes, NODES)
    free = Fault(
        id="f1", kind="partition-majority", at=AtTime(0), for_ns=1, target="minority", params={"leader": "anywhere"}
    )
    assert any("n3" not in hit_by(free, VIEW, seed=seed).nodes for seed in range(30))


@pytest.mark.parametrize("direction", ["out", "in"])
def test_one_way_follows_its_parameter(direction: str) -> None:
    fault = Fault(
        id="f1", kind="partition-one-way", at=AtTime(0), for_ns=1, target="leader", params={"direction": direction}
    )
    assert hit_by(fault, VIEW) == Hit(("n3",), one_way(("n3",), NODES, "out" if direction == "out" else "in"))


@pytest.mark.parametrize(("kind", "size"), [("partition-halves", 2), ("partition-bridge", 1), ("partition-ring", 5)])
def test_shapes_without_target_choose_by_themselves_and_block_something(kind: str, size: int) -> None:
    found = {hit(kind, None, seed=seed) for seed in range(30)}
    assert len(found) > 5
    assert all(len(one.nodes) == size and one.pairs for one in found)


def test_the_order_depends_on_seed_and_id_alone() -> None:
    assert drawn_order(1, "f1", NODES) == drawn_order(1, "f1", NODES)
    orders = {drawn_order(seed, f"f{number}", NODES) for seed in range(10) for number in range(10)}
    assert len(orders) > 60, "100 draws of 120 orders"
