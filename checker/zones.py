"""Registers whose every written value is unique, compare-and-set included: decided in O(n log n), at any concurrency.

Source: Gibbons and Korach, *Testing shared memories*, SIAM J. Comput. 26(4), 1997. docs/checker.md argues the order
that is written out here, chains of compare-and-set, crashed operations, and what is done about failed comparisons.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import accumulate
from math import inf
from typing import Any

from checker.history import Operation
from checker.model import ELSEWHERE, Model, Nothing

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
class _Value:
    """The operation that makes a value (None for the start value), and those that find it and leave it."""

    maker: Operation | None
    from_: Hashable = ELSEWHERE
    """What a compare-and-set needs to find; ELSEWHERE: it is a plain write."""
    reads: list[Operation] = field(default_factory=list)
    then: list[Hashable] = field(default_factory=list)
    """What operations that happened, and that needed to find this value, replaced it by."""
    happened: bool = False

    @property
    def operations(self) -> list[Operation]:
        return self.reads if self.maker is None else [self.maker, *self.reads]


@dataclass(slots=True)
class _Block:
    """Values that follow each other at once: a written one, and what compare-and-set made of it."""

    values: list[_Value]
    first_return: Rank = -inf
    """When it had certainly begun."""
    last_call: Rank = -inf
    """Until when it had certainly not ended."""
    returned: Operation | None = None
    called: Operation | None = None
    """The operations that say so."""

    @property
    def forward(self) -> bool:
        return self.first_return < self.last_call

    @property
    def place(self) -> tuple[Rank, bool]:
        """Where it comes in the order: blocks in the order of their zones' beginnings, backward ones first."""
        return min(self.first_return, self.last_call), self.forward


@dataclass(slots=True)
class _Facts:
    values: dict[Hashable, _Value]
    doubts: list[tuple[Hashable, Operation]] = field(default_factory=list)
    """Failed comparisons: the value that the operation did not find."""


def judge_by_zones(operations: Sequence[Operation], model: Model[Any]) -> Zones | None:
    """None where zones do not apply, or do not decide. operations: those that count (`checker.preparation.relevant`),
    by call."""
    facts = _gather(operations, model)
    if facts is None:
        return None
    _propagate(facts.values)
    for value in facts.values.values():
        if len(value.then) > 1:  # each operation that makes one of these found this value, and replaced it
            ends = sorted(_end(maker) for maker in (facts.values[made].maker for made in value.then) if maker)
            return Zones(stuck=_returning_at(operations, ends[1])) if ends[1] != inf else None
    blocks = _blocks(facts.values)
    if blocks is None:
        return None
    blocks.sort(key=lambda block: block.place)
    blamed = [one for block in blocks for one in _disorders(block)] + _conflicts(blocks)
    if blamed:
        return Zones(stuck=min(blamed, key=_end))
    order = _with_doubts([value for block in blocks for value in block.values], facts)
    return None if order is None else Zones(order=tuple(order))


def _gather(operations: Sequence[Operation], model: Model[Any]) -> _Facts | None:
    """None unless every made value is made once, and every value that is found is made."""
    if model.footprint is None:
        return None
    facts = _Facts({model.initial: _Value(None, happened=True)})
    reads: list[tuple[Hashable, Operation]] = []
    for operation in operations:
        print_, traits = model.footprint(operation), model.traits(operation)
        if traits.observer:
            if operation.return_order is None:
                continue
            if len(print_.mentions) != 1 or print_.demands == print_.shuns:
                return None
            (reads if print_.demands else facts.doubts).append((print_.mentions[0], operation))
            continue
        made = print_.makes
        if isinstance(made, Nothing) or made in facts.values:
            return None
        if traits.constant:
            facts.values[made] = _Value(operation)
        elif len(print_.mentions) == 1 and (print_.demands or _swaps(operation, model)):
            facts.values[made] = _Value(operation, print_.mentions[0])
        else:
            return None
    for value, operation in reads:
        if value not in facts.values:
            return None
        facts.values[value].reads.append(operation)
    return facts


def _swaps(operation: Operation, model: Model[Any]) -> bool:
    """A crashed compare-and-set: it leaves alone what it does not expect."""
    return operation.return_order is None and model.step(ELSEWHERE, operation) == ELSEWHERE


def _propagate(values: dict[Hashable, _Value]) -> None:
    """Which makers certainly took effect: those that returned, and those whose value was found."""
    sure = [value for value, one in values.items() if one.reads or (one.maker and one.maker.return_order is not None)]
    while sure:
        value = sure.pop()
        one = values[value]
        if one.happened:
            continue
        one.happened = True
        if one.from_ in values:
            values[one.from_].then.append(value)
            sure.append(one.from_)


def _end(operation: Operation) -> Rank:
    return inf if operation.return_order is None else operation.return_order


def _returning_at(operations: Sequence[Operation], rank: Rank) -> Operation:
    return next(one for one in operations if one.return_order == rank)


def _blocks(values: dict[Hashable, _Value]) -> list[_Block] | None:
    """Every value that was certainly there, in chains. None: an operation found a value that nobody made."""
    blocks: list[_Block] = []
    chained = 0
    for one in values.values():
        if not one.happened or one.from_ is not ELSEWHERE:
            continue
        chain = [one]
        while chain[-1].then:
            chain.append(values[chain[-1].then[0]])
        chained += len(chain)
        block = _Block(chain)
        _measure(block)
        blocks.append(block)
    return blocks if chained == sum(one.happened for one in values.values()) else None


def _measure(block: _Block) -> None:
    members = [one for value in block.values for one in value.operations]
    if members:
        latest = max(members, key=lambda one: one.call_order)
        block.last_call = latest.call_order
        block.called = latest if latest.return_order is not None else min(_found_after(block, latest), key=_end)
    if block.values[0].maker is not None:
        block.returned = min(members, key=_end)
        block.first_return = _end(block.returned)


def _found_after(block: _Block, maker: Operation) -> Iterator[Operation]:
    """What proves that a crashed operation took effect."""
    begun = False
    for value in block.values:
        begun = begun or value.maker is maker
        if begun:
            yield from value.operations


def _disorders(block: _Block) -> Iterator[Operation]:
    """Operations that contradict the order within a block: one that returned before something that must precede it was
    called; one that found a value, called after a later value had been found."""
    made: Rank = -inf
    for value in block.values:
        if value.maker is not None:
            made = max(made, value.maker.call_order)
        yield from (one for one in value.operations if _end(one) < made)
    found: Rank = inf
    for value in reversed(block.values):
        yield from (one for one in value.reads if found < one.call_order)
        found = min([found, *map(_end, value.operations)])


def _conflicts(blocks: Sequence[_Block]) -> list[Operation]:
    """Two blocks each of which must precede the other: two forward zones that overlap, or a backward one within one.

    blocks: in order. One conflict is found for each block that has any with those before it.
    """
    blamed: list[Operation] = []
    widest: _Block | None = None
    for block in blocks:
        if widest is not None and block.first_return < widest.last_call and widest.first_return < block.last_call:
            evidence = (widest.returned, widest.called, block.returned, block.called)
            blamed.append(max((one for one in evidence if one is not None and _end(one) != inf), key=_end))
        if block.forward and (widest is None or block.last_call > widest.last_call):
            widest = block
    return blamed


def _with_doubts(values: Sequence[_Value], facts: _Facts) -> list[Operation] | None:
    """The operations that make and find `values`, in order, and each failed comparison at the first place where the
    value is another one. None: some have no such place, which another order might have."""
    order = [one for value in values for one in value.operations]
    if not facts.doubts:
        return order
    ends = list(accumulate(len(value.operations) for value in values))
    runs = {id(value): (end - len(value.operations), end) for value, end in zip(values, ends, strict=True)}
    called = list(accumulate((one.call_order for one in order), max))
    returned = list(accumulate(map(_end, reversed(order)), min))[::-1]
    gaps: list[list[Operation]] = [[] for _ in range(len(order) + 1)]
    latest, waiting = 0, list[tuple[Rank, int]]()
    for doubted, doubt in facts.doubts:
        while waiting and waiting[0][0] < doubt.call_order:
            latest = max(latest, heappop(waiting)[1])
        place = max(latest, bisect_left(returned, doubt.call_order))
        value = facts.values.get(doubted)
        if value is not None and id(value) in runs:
            begin, end = runs[id(value)]
            if begin + (value.maker is not None) <= place <= end:
                place = end + 1
        if place > bisect_right(called, _end(doubt)):
            return None
        heappush(waiting, (_end(doubt), place))
        gaps[place].append(doubt)
    return [one for place, gap in enumerate(gaps) for one in [*gap, *order[place : place + 1]]]
