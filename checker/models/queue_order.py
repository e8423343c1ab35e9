"""A legal order of a FIFO queue's operations, found without a search where every element is put in and taken once.

Elements leave in the order in which they came, so one order of the elements must agree with the real-time order of
their puttings and with that of their takings. If any does, some element comes first in both among those left, and
beginning with any such one is never wrong. Puttings and takings are then merged so that the queue is as empty as real
time allows, for the sake of those that found it empty. Nothing rests on this: the order found is replayed before it is
believed, and where it does not hold (after crashed takings, say) the search decides.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from math import inf

from checker.history import Operation

__all__ = ["order_of_queue"]

Rank = int | float


class _Earliest:
    """The smallest of several ranks, from which members are taken out."""

    def __init__(self, ranks: dict[int, Rank]) -> None:
        self._heap = [(rank, number) for number, rank in ranks.items()]
        self._gone: set[int] = set()
        heapify(self._heap)

    def remove(self, number: int) -> None:
        self._gone.add(number)

    def rank(self) -> Rank:
        while self._heap and self._heap[0][1] in self._gone:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else inf


def _end(operation: Operation | None) -> Rank:
    return inf if operation is None or operation.return_order is None else operation.return_order


def order_of_queue(
    initial: Sequence[Hashable],
    puts: dict[Hashable, Operation],
    takes: dict[Hashable, Operation],
    empties: Sequence[Operation],
) -> list[Operation] | None:
    """The order, or None if the elements cannot be ordered. A putting that crashed and was never taken is left out."""
    wanted = [element for element, put in puts.items() if put.return_order is not None or element in takes]
    elements = _elements_in_order([puts[one] for one in wanted], [takes.get(one) for one in wanted])
    if elements is None:
        return None
    ordered = [*initial, *(wanted[number] for number in elements)]
    coming = [puts[one] for one in ordered if one in puts]
    leaving = [takes[one] for one in ordered if one in takes]
    return _merged(coming, leaving, sorted(empties, key=_end), len(initial))


def _elements_in_order(puts: Sequence[Operation], takes: Sequence[Operation | None]) -> list[int] | None:
    calls = [(put.call_order, inf if take is None else take.call_order) for put, take in zip(puts, takes, strict=True)]
    first_put = _Earliest({number: _end(put) for number, put in enumerate(puts)})
    first_take = _Earliest({number: _end(take) for number, take in enumerate(takes)})
    by_put = sorted(range(len(puts)), key=lambda number: calls[number][0], reverse=True)
    open_puts: list[tuple[Rank, int]] = []
    ready: list[tuple[Rank, Rank, int]] = []
    found: list[int] = []
    while len(found) < len(puts):
        while by_put and calls[by_put[-1]][0] <= first_put.rank():
            number = by_put.pop()
            heappush(open_puts, (calls[number][1], number))
        while open_puts and open_puts[0][0] <= first_take.rank():
            number = heappop(open_puts)[1]
            heappush(ready, (_end(takes[number]), _end(puts[number]), number))
        if not ready:
            return None
        number = heappop(ready)[2]
        first_put.remove(number)
        first_take.remove(number)
        found.append(number)
    return found


def _merged(
    coming: Sequence[Operation], leaving: Sequence[Operation], empties: Sequence[Operation], inside: int
) -> list[Operation]:
    """Three chains in one, as far as they go: what found it empty first, then what takes, then what puts."""
    chains = (coming, leaving, empties)
    at = [0, 0, 0]
    everything = [one for chain in chains for one in chain]
    unplaced = _Earliest({one.index: _end(one) for one in everything})
    order: list[Operation] = []
    while len(order) < len(everything):
        last = unplaced.rank()
        possible = [which for which in _possible(at, chains, inside) if chains[which][at[which]].call_order <= last]
        if not possible:
            break
        which = max(possible)
        chosen = chains[which][at[which]]
        at[which] += 1
        inside += (1, -1, 0)[which]
        unplaced.remove(chosen.index)
        order.append(chosen)
    return order


def _possible(at: Sequence[int], chains: Sequence[Sequence[Operation]], inside: int) -> Iterator[int]:
    for which, chain in enumerate(chains):
        if at[which] < len(chain) and (which == 0 or (inside > 0) == (which == 1)):
            yield which
