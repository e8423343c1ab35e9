"""Registers whose every write is unique, without compare-and-set: decided in O(n log n), whatever the concurrency.

Source: Gibbons and Korach, *Testing shared memories*, SIAM J. Comput. 26(4), 1997. docs/checker.md argues the
order that is written out here, and crashed writes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from checker.history import Operation
from checker.model import Model, Nothing

__all__ = ["Zones", "judge_by_zones"]

Rank = int | float


@dataclass(frozen=True, slots=True)
class Zones:
    """Exactly one is set."""

    order: tuple[Operation, ...] | None = None
    """A linearization."""
    stuck: Operation | None = None
    """When this operation returned, it was certain that there is none."""


@dataclass(slots=True)
class _Cluster:
    """A value: the operation that wrote it (None for the start value) and those that read it."""

    write: Operation | None
    reads: list[Operation] = field(default_factory=list)
    first_return: Rank = -inf
    """When the value had certainly been written."""
    last_call: Rank = -inf
    """Until when it was certainly there."""
    returned: Operation | None = None
    called: Operation | None = None
    """The operations that say so."""

    @property
    def forward(self) -> bool:
        return self.first_return < self.last_call

    @property
    def place(self) -> tuple[Rank, bool]:
        """Where it comes in the order: clusters in the order of their zones' beginnings, backward ones first."""
        return min(self.first_return, self.last_call), self.forward


def judge_by_zones(operations: Sequence[Operation], model: Model[Any]) -> Zones | None:
    """None where zones do not apply. operations: those that count (`checker.preparation.relevant`), by call."""
    clusters = _clusters(operations, model)
    if clusters is None:
        return None
    for cluster in clusters:
        _measure(cluster)
    kept = [one for one in clusters if one.reads or one.first_return != inf]
    kept.sort(key=lambda cluster: cluster.place)
    blamed = _premature(kept) + _conflicts(kept)
    if blamed:
        return Zones(stuck=min(blamed, key=_end))
    return Zones(order=tuple(one for cluster in kept for one in _in_order(cluster)))


def _clusters(operations: Sequence[Operation], model: Model[Any]) -> list[_Cluster] | None:
    """None unless every operation writes a value of its own or reads one that is written."""
    if model.footprint is None:
        return None
    clusters: dict[Hashable, _Cluster] = {model.initial: _Cluster(None)}
    reads: list[tuple[Hashable, Operation]] = []
    for operation in operations:
        print_, traits = model.footprint(operation), model.traits(operation)
        if traits.observer and operation.return_order is None:
            continue
        if traits.observer and print_.demands and len(print_.mentions) == 1:
            reads.append((print_.mentions[0], operation))
        elif traits.constant and not isinstance(print_.makes, Nothing) and print_.makes not in clusters:
            clusters[print_.makes] = _Cluster(operation)
        else:
            return None
    for value, operation in reads:
        if value not in clusters:
            return None
        clusters[value].reads.append(operation)
    return list(clusters.values())


def _end(operation: Operation) -> Rank:
    return inf if operation.return_order is None else operation.return_order


def _measure(cluster: _Cluster) -> None:
    members = cluster.reads if cluster.write is None else [cluster.write, *cluster.reads]
    if members:
        cluster.called = max(members, key=lambda one: one.call_order)
        cluster.last_call = cluster.called.call_order
    if cluster.write is not None:
        cluster.returned = min(members, key=_end)
        cluster.first_return = _end(cluster.returned)


def _premature(clusters: Sequence[_Cluster]) -> list[Operation]:
    """Reads that returned before their value's write was called."""
    return [
        read
        for cluster in clusters
        if cluster.write is not None
        for read in cluster.reads
        if _end(read) < cluster.write.call_order
    ]


def _conflicts(clusters: Sequence[_Cluster]) -> list[Operation]:
    """Two values each of which must precede the other: two forward zones that overlap, or a backward one within one.

    clusters: in order. One conflict is found for each cluster that has any with those before it.
    """
    blamed: list[Operation] = []
    widest: _Cluster | None = None
    for cluster in clusters:
        if widest is not None and cluster.first_return < widest.last_call and widest.first_return < cluster.last_call:
            evidence = (widest.returned, widest.called, cluster.returned, cluster.called)
            blamed.append(max((one for one in evidence if one is not None and _end(one) != inf), key=_end))
        if cluster.forward and (widest is None or cluster.last_call > widest.last_call):
            widest = cluster
    return blamed


def _in_order(cluster: _Cluster) -> list[Operation]:
    return [*([] if cluster.write is None else [cluster.write]), *cluster.reads]
