"""The geometry of partitions, against what the shapes promise in words."""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemesis.shapes import (
    Pair,
    bridge,
    cut_off,
    majority_size,
    minority_size,
    one_way,
    ring,
    separate,
    swizzle,
    touching,
)

NODES = ("n1", "n2", "n3", "n4", "n5")


def cluster(count: int) -> tuple[str, ...]:
    return tuple(f"n{number}" for number in range(1, count + 1))


def hears(nodes: tuple[str, ...], blocks: tuple[Pair, ...]) -> dict[str, set[str]]:
    """Whom each node hears, itself included: the definition, by looking at all pairs."""
    return {b: {a for a in nodes if a == b or (a, b) not in blocks} for b in nodes}


@pytest.mark.parametrize(("count", "minority", "majority"), [(1, 0, 1), (2, 0, 2), (3, 1, 2), (4, 1, 3), (5, 2, 3)])
def test_a_majority_is_more_than_half_and_a_minority_less(count: int, minority: int, majority: int) -> None:
    assert (minority_size(count), majority_size(count)) == (minority, majority)


@settings(max_examples=60, derandomize=True)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=7))
def test_separated_groups_hear_themselves_and_nobody_else(homes: list[int]) -> None:
    nodes = cluster(len(homes))
    groups = [[node for node, home in zip(nodes, homes, strict=True) if home == group] for group in range(3)]
    heard = hears(nodes, separate(*groups))
    for node, home in zip(nodes, homes, strict=True):
        assert heard[node] == set(groups[home])


def test_a_cut_off_leaves_the_others_whole() -> None:
    heard = hears(NODES, cut_off(("n2",), NODES))
    assert heard["n2"] == {"n2"}
    assert heard["n1"] == set(NODES) - {"n2"}


def test_one_way_blocks_one_direction_of_a_cut_off_and_the_two_make_the_whole() -> None:
    out, into = one_way(("n1", "n2"), NODES, "out"), one_way(("n1", "n2"), NODES, "in")
    assert hears(NODES, out)["n1"] == set(NODES)
    assert hears(NODES, out)["n4"] == {"n3", "n4", "n5"}
    assert hears(NODES, into)["n1"] == {"n1", "n2"}
    assert hears(NODES, into)["n4"] == set(NODES)
    assert sorted(out + into) == sorted(cut_off(("n1", "n2"), NODES))


@pytest.mark.parametrize("count", range(3, 8))
def test_a_bridge_hears_all_and_the_halves_hear_it_and_themselves(count: int) -> None:
    """Jepsen, nemesis/bridge."""
    order = cluster(count)
    heard = hears(order, bridge(order))
    assert heard[order[0]] == set(order)
    for node in order[1:]:
        assert order[0] in heard[node]
        assert len(heard[node]) <= 1 + -(-(count - 1) // 2)
    assert len({frozenset(heard[node]) for node in order[1:]}) == 2


@pytest.mark.parametrize("count", range(4, 10))
def test_in_a_ring_every_node_hears_a_majority_and_an_own_one(count: int) -> None:
    """Jepsen, nemesis/majorities-ring: every node sees a majority, no two nodes the same."""
    order = Random(count).sample(cluster(count), count)
    heard = hears(tuple(order), ring(order))
    assert all(len(one) >= majority_size(count) for one in heard.values())
    assert all(one != set(order) for one in heard.values())
    assert len({frozenset(one) for one in heard.values()}) == count


@pytest.mark.parametrize("direction", ["both", "out", "in"])
def test_touching_pairs_are_those_with_an_end_in_the_group(direction: Literal["both", "out", "in"]) -> None:
    for group in (("n2",), ("n1", "n4"), NODES):
        expected = {
            (a, b)
            for a, b in permutations(NODES, 2)
            if (a in group and direction != "in") or (b in group and direction != "out")
        }
        assert set(touching(group, NODES, direction)) == expected


@pytest.mark.parametrize("count", range(1, 4))
def test_a_swizzle_grows_by_a_node_and_shrinks_by_a_node(count: int) -> None:
    order = NODES[:count]
    for back in permutations(order):
        steps = [{n for n, heard in hears(NODES, step).items() if heard == {n}} for step in swizzle(order, back, NODES)]
        assert steps == [
            *[set(order[: k + 1]) for k in range(count)],
            *[set(order) - set(back[: k + 1]) for k in range(count - 1)],
        ]


def test_shapes_do_not_depend_on_the_order_in_which_groups_are_named() -> None:
    expected = separate(("n1", "n2"), ("n3", "n4", "n5"))
    for group in permutations(("n3", "n4", "n5")):
        assert separate(group, ("n2", "n1")) == expected
