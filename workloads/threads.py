"""Generators that decide who: which threads may take part, and what each of them does.

Here belongs every combinator that narrows the context's threads or waits for them. Threads are numbered from 0 and are
bound to nodes round-robin by the interpreter, so a run of as many neighbouring threads as there are nodes reaches every
node. Keys are `workloads.keys`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from workloads.combinators import Sequence
from workloads.generator import DONE, Context, Done, Emit, Event, Generator, Pending, Step, earliest

__all__ = [
    "ConcurrencyLimit",
    "EachThread",
    "OnNodes",
    "OnThreads",
    "ProcessLimit",
    "Reserve",
    "Synchronize",
    "concurrency_limit",
    "each_process",
    "each_thread",
    "on_nodes",
    "on_threads",
    "phases",
    "process_limit",
    "reserve",
    "synchronize",
]


class OnThreads(msgspec.Struct, frozen=True):
    """See `on_threads`."""

    threads: frozenset[int]
    generator: Generator

    def op(self, context: Context) -> Step:
        step = self.generator.op(context.restricted(self.threads))
        if isinstance(step, Emit):
            return Emit(step.operation, step.thread, OnThreads(self.threads, step.rest))
        if isinstance(step, Pending):
            return Pending(OnThreads(self.threads, step.rest), step.wake_at_ns)
        return step

    def update(self, context: Context, event: Event) -> Generator:
        if event.thread not in self.threads:
            return self
        inner = self.generator.update(context.restricted(self.threads), event)
        return self if inner is self.generator else OnThreads(self.threads, inner)


def on_threads(threads: Iterable[int], generator: Generator) -> Generator:
    """Only these threads; the generator learns nothing of the others. Jepsen: on-threads."""
    return OnThreads(frozenset(threads), generator)


class OnNodes(msgspec.Struct, frozen=True):
    """See `on_nodes`. `places`: of the chosen nodes among all `count`."""

    places: frozenset[int]
    count: int
    generator: Generator

    def _threads(self, context: Context) -> frozenset[int]:
        return frozenset([thread for thread in context.threads if thread % self.count in self.places])

    def op(self, context: Context) -> Step:
        step = self.generator.op(context.restricted(self._threads(context)))
        if isinstance(step, Emit):
            return Emit(step.operation, step.thread, OnNodes(self.places, self.count, step.rest))
        if isinstance(step, Pending):
            return Pending(OnNodes(self.places, self.count, step.rest), step.wake_at_ns)
        return step

    def update(self, context: Context, event: Event) -> Generator:
        if event.thread % self.count not in self.places:
            return self
        inner = self.generator.update(context.restricted(self._threads(context)), event)
        return self if inner is self.generator else OnNodes(self.places, self.count, inner)


def on_nodes(chosen: Collection[str], generator: Generator, *, nodes: tuple[str, ...]) -> Generator:
    """Only clients of the `chosen` ones of all `nodes`, to which threads are bound in turn. Jepsen: on-threads.

    Raises ValueError for a node that is none of them.
    """
    strangers = [node for node in chosen if node not in nodes]
    if strangers:
        raise ValueError(f"{', '.join(strangers)}: no such node among {', '.join(nodes)}")
    return OnNodes(frozenset([nodes.index(node) for node in chosen]), len(nodes), generator)


class EachThread(msgspec.Struct, frozen=True):
    """See `each_thread`. `copies`: thread -> (process it was made for, its generator), once it differs from `fresh`."""

    fresh: Generator
    copies: dict[int, tuple[int, Generator]] = {}
    renew: bool = False

    def op(self, context: Context) -> Step:
        wake_at_ns: int | None = None
        copies = self.copies
        waiting = False
        for thread in _from_pick(context):
            step = self._copy(context, thread).op(context.restricted(frozenset((thread,))))
            if isinstance(step, Done):
                continue
            changed = {**copies, thread: (context.processes[thread], step.rest)}
            if isinstance(step, Emit):
                return Emit(step.operation, step.thread, EachThread(self.fresh, changed, self.renew))
            copies, waiting = changed, True
            wake_at_ns = earliest(wake_at_ns, step.wake_at_ns)
        if waiting or not context.all_free:
            return Pending(EachThread(self.fresh, copies, self.renew), wake_at_ns)
        return DONE

    def _copy(self, context: Context, thread: int) -> Generator:
        process, generator = self.copies.get(thread, (-1, self.fresh))
        return self.fresh if self.renew and process != context.processes[thread] else generator

    def update(self, context: Context, event: Event) -> Generator:
        process, generator = self.copies.get(event.thread, (event.process, self.fresh))
        inner = generator.update(context.restricted(frozenset((event.thread,))), event)
        if inner is generator:
            return self
        return EachThread(self.fresh, {**self.copies, event.thread: (process, inner)}, self.renew)


def _from_pick(context: Context) -> tuple[int, ...]:
    """All free threads, beginning with the picked one."""
    if not context.free:
        return ()
    start = context.draw % len(context.free)
    return context.free[start:] + context.free[:start]


def each_thread(generator: Generator) -> Generator:
    """A copy of the generator for every thread, each seeing only its own thread. Jepsen: each-thread."""
    return EachThread(generator)


def each_process(generator: Generator) -> Generator:
    """As `each_thread`, with a fresh copy when the thread's process ended in `info`. Jepsen: each-process."""
    return EachThread(generator, renew=True)


class Reserve(msgspec.Struct, frozen=True):
    """See `reserve`. The last part has all threads that the others leave."""

    parts: tuple[tuple[frozenset[int] | None, Generator], ...]

    def _context(self, context: Context, index: int) -> Context:
        threads = self.parts[index][0]
        if threads is not None:
            return context.restricted(threads)
        taken = frozenset().union(*[own for own, _ in self.parts if own is not None])
        return context.restricted(frozenset(context.threads) - taken)

    def op(self, context: Context) -> Step:
        wake_at_ns: int | None = None
        parts = list(self.parts)
        waiting = False
        for offset in range(len(parts)):
            index = (context.draw + offset) % len(parts)
            threads, generator = parts[index]
            step = generator.op(self._context(context, index))
            if isinstance(step, Done):
                continue
            parts[index] = (threads, step.rest)
            if isinstance(step, Emit):
                return Emit(step.operation, step.thread, Reserve(tuple(parts)))
            wake_at_ns, waiting = earliest(wake_at_ns, step.wake_at_ns), True
        return Pending(Reserve(tuple(parts)), wake_at_ns) if waiting else DONE

    def update(self, context: Context, event: Event) -> Generator:
        parts = list(self.parts)
        for index, (threads, generator) in enumerate(parts):
            if threads is None or event.thread in threads:
                parts[index] = (threads, generator.update(self._context(context, index), event))
                break
        return Reserve(tuple(parts))


def reserve(*counted: tuple[int, Generator], otherwise: Generator) -> Generator:
    """The first `count` threads for the first (count, generator), the next for the second, the rest for `otherwise`.

    Keeps some clients reading whatever the writers wait for. Jepsen: reserve.
    """
    parts: list[tuple[frozenset[int] | None, Generator]] = []
    first = 0
    for count, generator in counted:
        parts.append((frozenset(range(first, first + count)), generator))
        first += count
    return Reserve((*parts, (None, otherwise)))


class Synchronize(msgspec.Struct, frozen=True):
    """See `synchronize`. Once begun, it stays open."""

    generator: Generator

    def op(self, context: Context) -> Step:
        return self.generator.op(context) if context.all_free else Pending(self)

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.generator.update(context, event)
        return self if inner is self.generator else Synchronize(inner)


def synchronize(generator: Generator) -> Generator:
    """Begins when no thread of the context has an open operation. Jepsen: synchronize."""
    return Synchronize(generator)


def phases(*generators: Generator) -> Generator:
    """One after the other, each beginning when all operations of the one before have ended. Jepsen: phases."""
    return Sequence(tuple([Synchronize(generator) for generator in generators]))


class ConcurrencyLimit(msgspec.Struct, frozen=True):
    """See `concurrency_limit`."""

    count: int
    generator: Generator

    def op(self, context: Context) -> Step:
        if len(context.threads) - len(context.free) >= self.count:
            return Pending(self)
        step = self.generator.op(context)
        if isinstance(step, Emit):
            return Emit(step.operation, step.thread, ConcurrencyLimit(self.count, step.rest))
        if isinstance(step, Pending):
            return Pending(ConcurrencyLimit(self.count, step.rest), step.wake_at_ns)
        return step

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.generator.update(context, event)
        return self if inner is self.generator else ConcurrencyLimit(self.count, inner)


def concurrency_limit(count: int, generator: Generator) -> Generator:
    """At most `count` operations open at a time. Jepsen: concurrency-limit."""
    return ConcurrencyLimit(count, generator)


class ProcessLimit(msgspec.Struct, frozen=True):
    """See `process_limit`."""

    count: int
    generator: Generator
    seen: frozenset[int] = frozenset()

    def op(self, context: Context) -> Step:
        step = self.generator.op(context)
        if isinstance(step, Emit):
            seen = self.seen.union([context.processes[thread] for thread in context.threads])
            if len(seen) > self.count:
                return DONE
            return Emit(step.operation, step.thread, ProcessLimit(self.count, step.rest, seen))
        if isinstance(step, Pending):
            return Pending(ProcessLimit(self.count, step.rest, self.seen), step.wake_at_ns)
        return step

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.generator.update(context, event)
        return self if inner is self.generator else ProcessLimit(self.count, inner, self.seen)


def process_limit(count: int, generator: Generator) -> Generator:
    """Done when more than `count` processes could have taken part.

    Counting all that could, not those that did, ends the generator for all threads at once instead of letting it
    trickle. Bounds the operations that stay open for ever, which is what makes checking expensive. Jepsen:
    process-limit.
    """
    return ProcessLimit(count, generator)
