"""What the real-time order says about the order in which elements leave a container. For queues, stacks and priority
queues alike; no state and no step is known here.

Source of the conditions: Henzinger, Sezgin and Vafeiadis, *Aspect-oriented linearizability proofs* (CONCUR 2013), whose
patterns VFresh, VRepet, VOrd and VWit characterise queues; here they are necessary conditions, and each is argued in
docs/checker.md for histories with crashed operations too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import inf

from checker.history import Operation, Outcome

__all__ = ["Order", "Stay", "Taking", "find_wrong_taking", "order_of_taking", "surely_inside"]

Rank = int | float


@dataclass(frozen=True, slots=True)
class Taking:
    """The operations of a container, sorted by what they do."""

    puts: dict[Hashable, list[tuple[Rank, Rank]]]
    """Element -> (call, return) of each putting; those of the start state are before everything."""
    takes: dict[Hashable, list[Operation]]
    """Element -> the operations that say they took it out."""
    empties: list[Operation]
    """Those that say that nothing was there."""
    crashed_from: Rank
    """The first call of a taking whose result nobody saw: it may have taken anything that was due."""

    @staticmethod
    def of(
        operations: Sequence[Operation],
        *,
        put: str,
        initial: Sequence[Hashable],
        element: Callable[[Operation], Hashable],
    ) -> Taking:
        """element: what a putting put in, what a taking took out (None: nothing was there)."""
        puts: dict[Hashable, list[tuple[Rank, Rank]]] = {}
        takes: dict[Hashable, list[Operation]] = {}
        empties: list[Operation] = []
        crashed_from: Rank = inf
        for place, one in enumerate(initial):
            puts.setdefault(one, []).append((place - len(initial), place - len(initial)))
        for operation in operations:
            if operation.f == put:
                returned = inf if operation.return_order is None else operation.return_order
                puts.setdefault(element(operation), []).append((operation.call_order, returned))
            elif operation.outcome is Outcome.INFO:
                crashed_from = min(crashed_from, operation.call_order)
            elif (taken := None if operation.outcome is Outcome.FAIL else element(operation)) is None:
                empties.append(operation)
            else:
                takes.setdefault(taken, []).append(operation)
        return Taking(puts, takes, empties, crashed_from)

    def is_unambiguous(self) -> bool:
        """Whether every element was put in and taken out at most once."""
        return all(len(times) == 1 for times in self.puts.values()) and all(
            len(operations) == 1 for operations in self.takes.values()
        )

    def leaving(self, element: Hashable) -> tuple[Rank, Rank]:
        """(call, return) of the operation that took it out; never: infinite, unless a crashed one may have done it."""
        found = self.takes.get(element)
        return (self.crashed_from, inf) if found is None else (found[0].call_order, _end(found[0]))


def _end(operation: Operation) -> int:
    assert operation.return_order is not None, "only operations that returned have a result"
    return operation.return_order


@dataclass(frozen=True, slots=True)
class Order:
    """Which element can leave before which, if each was put in and taken out at most once."""

    taking: Taking

    def too_late(self, first: Hashable, second: Hashable) -> bool:
        """True if `first` cannot be taken out before `second`, although `second` must be taken out."""
        return second in self.taking.takes and self.taking.leaving(first)[0] > self.taking.leaving(second)[1]


def order_of_taking(taking: Taking) -> Order | None:
    """None where elements are ambiguous: nothing is then known of their order."""
    return Order(taking) if taking.is_unambiguous() else None


@dataclass(frozen=True, slots=True)
class Stay:
    """An element's time in the container: `inside` by this rank at the latest, and not taken before rank `until`."""

    inside: Rank
    until: Rank


def surely_inside(stays: Sequence[Stay]) -> Callable[[Rank, Rank], bool]:
    """(begin, end) -> is one of `stays` inside from before `begin` until after `end`? O(log n) after sorting."""
    ordered = sorted(stays, key=lambda stay: stay.inside)
    starts = [stay.inside for stay in ordered]
    latest: list[Rank] = [-inf]
    for stay in ordered:
        latest.append(max(latest[-1], stay.until))
    return lambda begin, end: latest[bisect_left(starts, begin)] > end


def find_wrong_taking(taking: Taking, *, first_in_first_out: bool) -> Operation | None:
    """The first operation, by return, that took what cannot have been due. O(n log n)."""
    wrong = _without_origin(taking)
    if not wrong and taking.is_unambiguous():
        wrong = _not_empty(taking)
        if first_in_first_out:
            wrong += _overtaken(taking)
    return min(wrong, key=_end, default=None)


def _without_origin(taking: Taking) -> list[Operation]:
    """Taken more often than put in by then: the k-th return needs k puttings that had been called."""
    wrong = []
    for element, operations in taking.takes.items():
        calls = sorted(call for call, _ in taking.puts.get(element, []))
        for count, operation in enumerate(sorted(operations, key=_end)):
            if count >= len(calls) or calls[count] > _end(operation):
                wrong.append(operation)
                break
    return wrong


def _not_empty(taking: Taking) -> list[Operation]:
    """Nothing was there, it said, while something certainly was."""
    stays = [Stay(times[0][1], taking.leaving(element)[0]) for element, times in taking.puts.items()]
    inside = surely_inside(stays)
    return [one for one in taking.empties if inside(one.call_order, _end(one))]


def _overtaken(taking: Taking) -> list[Operation]:
    """Taken although an element that was certainly put in earlier was certainly not taken before."""
    stays = [Stay(times[0][1], taking.leaving(element)[0]) for element, times in taking.puts.items()]
    ahead = surely_inside(stays)
    return [
        operations[0]
        for element, operations in taking.takes.items()
        if ahead(taking.puts[element][0][0], _end(operations[0]))
    ]
