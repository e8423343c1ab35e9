"""Generators over many independent keys, each with a generator of its own and a bounded number of operations.

Checking linearizability costs exponentially in what is open at the same time on one key, so a run spreads its
operations over many keys with short histories (Jepsen: jepsen.independent). Here belong the two ways to do so: a group
of threads per key, and a few live keys shared by all threads.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from workloads.generator import DONE, Context, Done, Emit, Event, Generator, Pending, Step, earliest
from workloads.stream import Stream

__all__ = ["LiveKeys", "PerKey", "live_keys", "per_key"]

MakeGenerator = Callable[[int], Generator]
"""Number of a key, from 0 -> the generator of its operations, which sets `Operation.key` itself."""

_FRUITLESS_MAX = 1000
"""So many keys without an operation, one after the other, are a mistake of `make` and would be an endless loop."""


class _Group(msgspec.Struct, frozen=True):
    """A group of threads with the key it works on; `generator` None: no key left."""

    threads: frozenset[int]
    generator: Generator | None


class PerKey(msgspec.Struct, frozen=True):
    """See `per_key`. Groups are laid out at the first question, when the threads are known."""

    make: MakeGenerator
    group_size: int
    count: int | None
    taken: int = 0
    """Keys handed out so far."""
    groups: tuple[_Group, ...] = ()

    def op(self, context: Context) -> Step:
        state = self if self.groups else self._laid_out(context)
        wake_at_ns: int | None = None
        waiting = False
        for index in state._order(context):
            step, state = state._ask(context, index)
            if isinstance(step, Emit):
                return Emit(step.operation, step.thread, state)
            if isinstance(step, Pending):
                wake_at_ns, waiting = earliest(wake_at_ns, step.wake_at_ns), True
        return Pending(state, wake_at_ns) if waiting else DONE

    def _laid_out(self, context: Context) -> PerKey:
        """Equal groups of neighbouring threads; a remainder makes the first groups larger by one."""
        threads = context.threads
        number = max(1, len(threads) // self.group_size)
        size, larger = divmod(len(threads), number)
        groups = []
        first = 0
        for index in range(number):
            last = first + size + (1 if index < larger else 0)
            groups.append(_Group(frozenset(threads[first:last]), None))
            first = last
        state = msgspec.structs.replace(self, groups=tuple(groups))
        for index in range(number):
            state = state._with_next_key(index)
        return state

    def _with_next_key(self, index: int) -> PerKey:
        exhausted = self.count is not None and self.taken >= self.count
        generator = None if exhausted else self.make(self.taken)
        return self._with(index, generator, self.taken + (0 if exhausted else 1))

    def _with(self, index: int, generator: Generator | None, taken: int) -> PerKey:
        groups = list(self.groups)
        groups[index] = _Group(groups[index].threads, generator)
        return PerKey(self.make, self.group_size, self.count, taken, tuple(groups))

    def _order(self, context: Context) -> list[int]:
        """All groups, beginning with that of the picked thread, so that free threads have equal chances."""
        picked = context.pick()
        number = len(self.groups)
        start = 0 if picked is None else next(i for i in range(number) if picked in self.groups[i].threads)
        return [(start + offset) % number for offset in range(number)]

    def _ask(self, context: Context, index: int) -> tuple[Step, PerKey]:
        state = self
        group_context = context.restricted(self.groups[index].threads)
        while (generator := state.groups[index].generator) is not None:
            step = generator.op(group_context)
            if not isinstance(step, Done):
                return step, state._with(index, step.rest, state.taken)
            assert state.taken - self.taken < _FRUITLESS_MAX, "a key must have at least one operation"
            state = state._with_next_key(index)
        return DONE, state

    def update(self, context: Context, event: Event) -> Generator:
        for index, group in enumerate(self.groups):
            if event.thread in group.threads and group.generator is not None:
                inner = group.generator.update(context.restricted(group.threads), event)
                return self if inner is group.generator else self._with(index, inner, self.taken)
        return self


def per_key(group_size: int, make: MakeGenerator, *, count: int | None = None) -> Generator:
    """Threads in groups of about `group_size`, each working on one key until its generator is done, then on the next.

    count: number of keys in all; None: without end. `make` is pure. Jepsen: independent/concurrent-generator.
    """
    return PerKey(make, group_size, count)


class LiveKeys(msgspec.Struct, frozen=True):
    """See `live_keys`."""

    make: MakeGenerator
    live: int
    count: int | None
    stream: Stream
    taken: int = 0
    generators: tuple[Generator, ...] = ()
    skew: float = 0.0

    def op(self, context: Context) -> Step:
        if not context.free:
            return Pending(self)
        state = self._filled(self.generators)
        chosen, stream = state.stream.zipf(len(state.generators), self.skew) if state.generators else (0, state.stream)
        wake_at_ns: int | None = None
        waiting = 0
        while waiting < len(state.generators):
            index = (chosen + waiting) % len(state.generators)
            step = state.generators[index].op(context)
            others = state.generators[:index], state.generators[index + 1 :]
            if isinstance(step, Done):
                assert state.taken - self.taken < _FRUITLESS_MAX, "a key must have at least one operation"
                state, waiting = state._filled(others[0] + others[1]), 0
                continue
            state = state._with((*others[0], step.rest, *others[1]), stream)
            if isinstance(step, Emit):
                return Emit(step.operation, step.thread, state)
            wake_at_ns, waiting = earliest(wake_at_ns, step.wake_at_ns), waiting + 1
        return Pending(state, wake_at_ns) if waiting else DONE

    def _filled(self, generators: tuple[Generator, ...]) -> LiveKeys:
        room = self.live - len(generators)
        left = room if self.count is None else min(room, self.count - self.taken)
        if left <= 0:
            return self if generators is self.generators else self._with(generators, self.stream)
        fresh = tuple([self.make(self.taken + number) for number in range(left)])
        taken, filled = self.taken + left, generators + fresh
        return LiveKeys(self.make, self.live, self.count, self.stream, taken, filled, self.skew)

    def _with(self, generators: tuple[Generator, ...], stream: Stream) -> LiveKeys:
        return LiveKeys(self.make, self.live, self.count, stream, self.taken, generators, self.skew)

    def update(self, context: Context, event: Event) -> Generator:
        changed: list[Generator] | None = None
        for index, generator in enumerate(self.generators):
            inner = generator.update(context, event)
            if inner is not generator:
                changed = changed or list(self.generators)
                changed[index] = inner
        return self if changed is None else self._with(tuple(changed), self.stream)


def live_keys(
    live: int, make: MakeGenerator, stream: Stream, *, count: int | None = None, skew: float = 0.0
) -> Generator:
    """Every thread on every one of `live` keys, each drawn by chance; a key that is done makes way for the next.

    A key then lives `live` times as long as it would alone, longer than most faults, and what an outage leaves open is
    spread over several keys. Updates reach all live keys: their generators look at `event.operation.key`.
    skew: the n-th oldest live key is drawn in proportion to n^-skew (Zipf's law), so that there are hot and cold keys;
    0: all alike.
    """
    return LiveKeys(make, live, count, stream, skew=skew)
