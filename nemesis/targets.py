"""From a symbolic target to nodes: what a fault hits, given what the cluster looks like now.

All chance is one order of the nodes, drawn from the fault's own stream; every choice takes the first suitable nodes of
that order. So a fault hits the same nodes again as long as the cluster gives no reason against it, whatever became of
the other faults of the plan.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Literal, assert_never

import msgspec

from nemesis.kinds import Kind, Shape
from nemesis.plan import Fault
from nemesis.shapes import Pair, bridge, cut_off, majority_size, minority_size, one_way, ring, swizzle, touching

__all__ = ["ClusterView", "Hit", "drawn_order", "resolve"]


class ClusterView(msgspec.Struct, frozen=True):
    """What the environment knows of the cluster at this moment."""

    nodes: tuple[str, ...]
    leader: str | None
    """The node that leads in the highest term, as far as is known."""
    up: tuple[str, ...]
    """Nodes whose process runs."""
    returning: bool = False
    """Nodes that the harness has ordered to be members again are not yet."""


class Hit(msgspec.Struct, frozen=True):
    """What a fault hits. `pairs` is for faults of links only."""

    nodes: tuple[str, ...]
    """In the order of the cluster's nodes."""
    pairs: tuple[Pair, ...] = ()
    later: tuple[tuple[Pair, ...], ...] = ()
    """What follows `pairs` in equal steps of the fault's time."""


def drawn_order(seed: int, fault_id: str, nodes: tuple[str, ...]) -> tuple[str, ...]:
    """The order in which the fault prefers the nodes: a function of seed, id and nodes alone."""
    return tuple(Random(f"{seed}/fault/{fault_id}").sample(nodes, len(nodes)))


def resolve(
    kind: Kind,
    fault: Fault,
    order: tuple[str, ...],
    view: ClusterView,
    *,
    reporter: str | None = None,
    held: frozenset[str] = frozenset(),
) -> Hit:
    """What `fault` hits now.

    reporter: the node whose event started it, None when the clock did. held: nodes that the same mechanism holds
    already, where one more fault would do nothing; chosen only if all others are unsuitable too.
    """
    nodes = view.nodes
    suitable = frozenset(view.up) - held
    match kind.shape:
        case Shape.HALVES:
            hit = _named(order[: len(order) // 2], nodes)
            return Hit(hit, cut_off(hit, nodes))
        case Shape.BRIDGE:
            order = (*[node for node in order if node != view.leader], *[node for node in order if node == view.leader])
            return Hit((order[0],), bridge(order))  # a leader as the bridge would be heard by all: nothing dropped
        case Shape.RING:
            return Hit(nodes, ring(order))
        case Shape.CUT_OFF:
            hit = _target(fault, order, view, reporter, suitable)
            return Hit(hit, cut_off(hit, nodes))
        case Shape.ONE_WAY:
            hit = _target(fault, order, view, reporter, suitable)
            return Hit(hit, one_way(hit, nodes, "in" if fault.params.get("direction") == "in" else "out"))
        case Shape.LINKS:
            hit = _target(fault, order, view, reporter, suitable)
            return Hit(hit, touching(hit, nodes, _direction(fault)))
        case Shape.SWIZZLE:
            hit = order[: _SIZES[str(fault.params.get("nodes", "majority"))](len(order))]
            steps = swizzle(hit, (*hit[1::2], *hit[::2]), nodes)
            return Hit(_named(hit, nodes), steps[0], steps[1:])
        case Shape.TARGET:
            return Hit(_target(fault, order, view, reporter, suitable))
        case _:
            assert_never(kind.shape)


_SIZES: dict[str, Callable[[int], int]] = {"majority": majority_size, "minority": minority_size, "all": int}


def _direction(fault: Fault) -> Literal["both", "out", "in"]:
    match fault.params.get("links"):
        case "out":
            return "out"
        case "in":
            return "in"
        case _:
            return "both"


def _named(chosen: tuple[str, ...], nodes: tuple[str, ...]) -> tuple[str, ...]:
    """The chosen nodes in the cluster's order."""
    return tuple([node for node in nodes if node in chosen])


def _target(
    fault: Fault, order: tuple[str, ...], view: ClusterView, reporter: str | None, suitable: frozenset[str]
) -> tuple[str, ...]:
    match fault.target:
        case tuple():
            return _named(fault.target, view.nodes)
        case "all":
            return view.nodes
        case "pair":
            others = [node for node in order if node != view.leader]
            return _named(tuple((*others, *order)[:2]), view.nodes)
        case "minority":
            return _named(_group(fault, order, view)[: minority_size(len(order))], view.nodes)
        case "majority":
            return _named(_group(fault, order, view)[: majority_size(len(order))], view.nodes)
        case "self" if reporter is not None:
            return (reporter,)
        case "leader" if view.leader in suitable:
            return (view.leader,)
        case "follower":
            return (_first([node for node in order if node != view.leader] or list(order), suitable),)
        case str() if fault.target in view.nodes:
            return (fault.target,)
        case _:  # `one`, None, and a leader that nobody knows or that is held already
            return (_first(list(order), suitable),)


def _group(fault: Fault, order: tuple[str, ...], view: ClusterView) -> tuple[str, ...]:
    """The order from which a group is taken: the leader first where the fault wants it inside."""
    if fault.params.get("leader") != "minority" or view.leader is None:
        return order
    return (view.leader, *[node for node in order if node != view.leader])


def _first(candidates: list[str], suitable: frozenset[str]) -> str:
    """The first suitable one, because what is down or held cannot be hit; none: the first."""
    return next((node for node in candidates if node in suitable), candidates[0])
