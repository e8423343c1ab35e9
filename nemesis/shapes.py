"""The geometry of partitions: groups of nodes in, directed pairs of nodes out, between which messages are dropped.

Pure functions of names. Which nodes form the groups is decided in `nemesis.targets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

__all__ = [
    "Pair",
    "bridge",
    "cut_off",
    "majority_size",
    "minority_size",
    "one_way",
    "ring",
    "separate",
    "swizzle",
    "touching",
]

Pair = tuple[str, str]
"""(source, destination) of messages that are dropped."""


def minority_size(nodes: int) -> int:
    """The largest number of nodes below half: what a replicated log promises to do without."""
    return (nodes - 1) // 2


def majority_size(nodes: int) -> int:
    """The smallest number of nodes above half."""
    return nodes // 2 + 1


def separate(*groups: Sequence[str]) -> tuple[Pair, ...]:
    """Nodes of different groups neither hear nor are heard. Sorted. A node in several groups hears all of these."""
    nodes = sorted({node for group in groups for node in group})
    homes = {node: frozenset(index for index, group in enumerate(groups) if node in group) for node in nodes}
    return tuple([(a, b) for a in nodes for b in nodes if a != b and not homes[a] & homes[b]])


def cut_off(group: Sequence[str], nodes: Sequence[str]) -> tuple[Pair, ...]:
    """`group` from all other nodes, in both directions; within the group and among the others all is well."""
    return separate(group, [node for node in nodes if node not in group])


def one_way(group: Sequence[str], nodes: Sequence[str], direction: Literal["out", "in"]) -> tuple[Pair, ...]:
    """`out`: the others do not hear the group; `in`: the group does not hear the others."""
    inside = frozenset(group)
    both = cut_off(group, nodes)
    return tuple([pair for pair in both if (pair[0] in inside) == (direction == "out")])


def touching(group: Sequence[str], nodes: Sequence[str], direction: Literal["both", "out", "in"]) -> tuple[Pair, ...]:
    """The links from the group (`out`), to it (`in`), or both, links within the group included."""
    inside = frozenset(group)
    pairs = sorted((a, b) for a in nodes for b in nodes if a != b)
    ends = {"both": (True, True), "out": (True, False), "in": (False, True)}[direction]
    return tuple([(a, b) for a, b in pairs if (ends[0] and a in inside) or (ends[1] and b in inside)])


def swizzle(order: Sequence[str], back: Sequence[str], nodes: Sequence[str]) -> tuple[tuple[Pair, ...], ...]:
    """The nodes of `order` are cut off one after the other and return in the order of `back`, the same nodes.

    What is blocked from step to step, the last of which leaves one node cut off. FoundationDB: swizzle-clogging.
    """
    groups = [order[: count + 1] for count in range(len(order))]
    groups += [[node for node in order if node not in back[: count + 1]] for count in range(len(back) - 1)]
    return tuple([_alone(group, nodes) for group in groups])


def _alone(group: Sequence[str], nodes: Sequence[str]) -> tuple[Pair, ...]:
    """Each node of the group is cut off from all others, those of the group included."""
    return separate(*[[node] for node in group], [node for node in nodes if node not in group])


def bridge(order: Sequence[str]) -> tuple[Pair, ...]:
    """The first node hears all; the others form two halves that hear only themselves and it. Jepsen: bridge."""
    middle, others = order[0], order[1:]
    half = len(others) // 2
    return separate([middle, *others[:half]], [middle, *others[half:]])


def ring(order: Sequence[str]) -> tuple[Pair, ...]:
    """Nodes in a ring hear their nearest neighbours, just so many that each hears a majority with itself.

    No two nodes hear the same set. From 4 nodes on. Jepsen: majorities-ring.
    """
    count = len(order)
    reach = majority_size(count) // 2
    place = {node: index for index, node in enumerate(order)}

    def apart(a: str, b: str) -> bool:
        distance = abs(place[a] - place[b])
        return min(distance, count - distance) > reach

    return tuple(sorted((a, b) for a in order for b in order if a != b and apart(a, b)))
