"""What a generator is: a value that says which operation comes next, and what it becomes once that is done.

Jepsen's pure generators (jepsen.generator) in Python. A generator is asked with `op`, told of every invocation and
completion with `update`, and changes only by returning its successor; so it can be asked "what if", kept, replayed and
tested without a cluster. It may use only the threads that the context offers. Here belong the protocol, its records and
the simplest generators; combinators live in `workloads.combinators` and its neighbours, the loop that drives a
generator in `workloads.interpreter`.

Differences from Jepsen: an operation for later is `Pending` with the time to ask again, not an operation with a time in
the future; random draws are values (`workloads.stream`), so asking twice gives the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from workloads.session import Completion, Operation
from workloads.stream import Stream

__all__ = [
    "DONE",
    "Context",
    "Done",
    "Draw",
    "Emit",
    "Event",
    "Finished",
    "Generator",
    "Invoked",
    "Once",
    "Pending",
    "Step",
    "drawn",
    "earliest",
    "nothing",
    "once",
]


class Context(msgspec.Struct, frozen=True):
    """The world as a generator may see it."""

    now_ns: int
    """Since the start of the run."""
    threads: tuple[int, ...]
    """All threads that this generator may use, ascending."""
    free: tuple[int, ...]
    """Those of them without an open operation, ascending."""
    processes: tuple[int, ...]
    """Process number of every thread of the run, by thread."""
    draw: int = 0
    """A random number for this question, from which a free thread is picked. Never negative."""

    @property
    def all_free(self) -> bool:
        """No operation is open on the threads of this context."""
        return len(self.free) == len(self.threads)

    def restricted(self, threads: frozenset[int]) -> Context:
        """The same moment, with only those of our threads that are in `threads`."""
        return Context(
            self.now_ns,
            tuple([thread for thread in self.threads if thread in threads]),
            tuple([thread for thread in self.free if thread in threads]),
            self.processes,
            self.draw,
        )

    def pick(self) -> int | None:
        """A free thread, all equally likely; None when all are busy."""
        return self.free[self.draw % len(self.free)] if self.free else None


class Invoked(msgspec.Struct, frozen=True):
    """An operation has begun."""

    thread: int
    process: int
    operation: Operation


class Finished(msgspec.Struct, frozen=True):
    """An operation has ended."""

    thread: int
    process: int
    operation: Operation
    completion: Completion


Event = Invoked | Finished


class Generator(Protocol):
    """A pure source of operations."""

    def op(self, context: Context) -> Step:
        """The next operation now, or when to ask again, or that there is none left. Changes nothing."""
        ...

    def update(self, context: Context, event: Event) -> Generator:
        """The generator after `event` has happened on one of the context's threads."""
        ...


class Emit(msgspec.Struct, frozen=True):
    """Invoke `operation` on `thread` now; the generator is then `rest`. Discarding an Emit undoes it."""

    operation: Operation
    thread: int
    rest: Generator


class Pending(msgspec.Struct, frozen=True):
    """Nothing now: ask `rest` again after the next event, and at `wake_at_ns` at the latest (None: no such time)."""

    rest: Generator
    wake_at_ns: int | None = None


class Done(msgspec.Struct, frozen=True):
    """Nothing, for ever."""


Step = Emit | Pending | Done
DONE = Done()


def earliest(first: int | None, second: int | None) -> int | None:
    """The earlier of two wake-up times, None being never."""
    if first is None or second is None:
        return second if first is None else first
    return min(first, second)


class Once(msgspec.Struct, frozen=True):
    """See `once`. Without operation it is exhausted."""

    operation: Operation | None

    def op(self, context: Context) -> Step:
        if self.operation is None:
            return DONE
        thread = context.pick()
        return Pending(self) if thread is None else Emit(self.operation, thread, _NOTHING)

    def update(self, context: Context, event: Event) -> Generator:
        return self


_NOTHING = Once(None)


def once(operation: Operation) -> Generator:
    """Emits one operation. Jepsen: a map as a generator."""
    return Once(operation)


def nothing() -> Generator:
    """Emits no operation. Jepsen: nil."""
    return _NOTHING


class Draw(msgspec.Struct, frozen=True):
    """See `drawn`."""

    function: Callable[[Stream], tuple[Operation, Stream]]
    stream: Stream

    def op(self, context: Context) -> Step:
        thread = context.pick()
        if thread is None:
            return Pending(self)
        operation, stream = self.function(self.stream)
        return Emit(operation, thread, Draw(self.function, stream))

    def update(self, context: Context, event: Event) -> Generator:
        return self


def drawn(stream: Stream, function: Callable[[Stream], tuple[Operation, Stream]]) -> Generator:
    """Emits for ever what `function` draws. Jepsen: a function as a generator."""
    return Draw(function, stream)
