"""The loop between a generator and the world, without the world: what has happened goes in, what to do comes out.

One driver runs in every environment: the simulator calls `step` from its event heap, a real environment from its tasks.
Here belong threads, processes and their nodes, and nothing about what operations mean or how they are carried out.

A *thread* is a place for one client, bound to a node for good: thread i to nodes[i mod n]. A *process* is the logical
client in it. An operation that ends with `info` stays open for ever, so its process can do nothing more: the thread
goes on as process + number of threads, with a new session (Jepsen, interpreter and context/with-next-process).
"""

from __future__ import annotations

from random import Random

from workloads.driver_records import Action, Completed, DriverEvent, Exhausted, Invoke, Started, WakeAt, Woken
from workloads.errors import GeneratorStuck, InvalidOptions
from workloads.generator import Context, Emit, Finished, Generator, Invoked, Pending, nothing
from workloads.session import Operation, Outcome

__all__ = ["Action", "Completed", "DriverEvent", "Exhausted", "GeneratorDriver", "Invoke", "Started", "WakeAt", "Woken"]


class GeneratorDriver:
    """Feeds a generator with events and its operations to threads. Times are nanoseconds since the start of the run."""

    def __init__(self, generator: Generator, *, threads: int, nodes: tuple[str, ...], seed: int) -> None:
        """threads: 1 or more, bound to `nodes` round-robin. The seed decides which free thread takes an operation.

        Raises InvalidOptions.
        """
        if threads < 1:
            raise InvalidOptions("threads", threads, "at least one client is needed")
        if not nodes:
            raise InvalidOptions("nodes", nodes, "at least one node is needed")
        self._generator = generator
        self._nodes = tuple(nodes[thread % len(nodes)] for thread in range(threads))
        self._threads = tuple(range(threads))
        self._free = self._threads
        self._processes = self._threads
        self._open: dict[int, Operation] = {}
        self._random = Random(f"{seed}/threads")
        self._exhausted = False

    @property
    def outstanding(self) -> int:
        """Number of open operations."""
        return len(self._open)

    @property
    def exhausted(self) -> bool:
        """`Exhausted` has been sent for the current generator."""
        return self._exhausted

    def continue_with(self, generator: Generator) -> None:
        """Take another generator for the next phase; threads keep their processes. Then step with `Started`."""
        assert not self._open, "operations of the phase before are still open"
        self._generator, self._exhausted = generator, False

    def stop(self) -> None:
        """Ask for no further operation; those that are open may still end."""
        self._generator = nothing()

    def step(self, now_ns: int, event: DriverEvent) -> tuple[Action, ...]:
        """What to do now that `event` has happened. Raises GeneratorStuck when nothing can ever happen again."""
        context = self._complete(now_ns, event) if isinstance(event, Completed) else self._context(now_ns)
        actions: list[Action] = []
        while isinstance(step := self._generator.op(context), Emit):
            invoke, context = self._invoke(context, step)
            actions.append(invoke)
        if not isinstance(step, Pending):
            actions.extend(self._done())
            return tuple(actions)
        self._generator = step.rest
        if step.wake_at_ns is not None:
            actions.append(WakeAt(max(step.wake_at_ns, now_ns)))
        elif not self._open:
            raise GeneratorStuck(now_ns, self._generator)
        return tuple(actions)

    def _context(self, now_ns: int) -> Context:
        """The moment after the last change; told to the generator first, then used for the next question."""
        return Context(now_ns, self._threads, self._free, self._processes, self._random.getrandbits(32))

    def _invoke(self, context: Context, step: Emit) -> tuple[Invoke, Context]:
        thread = step.thread
        assert thread in self._free, f"thread {thread} has an open operation: {self._open.get(thread)}"
        process = self._processes[thread]
        self._open[thread] = step.operation
        self._free = tuple([free for free in self._free if free != thread])
        after = self._context(context.now_ns)
        self._generator = step.rest.update(after, Invoked(thread, process, step.operation))
        return Invoke(thread, process, self._nodes[thread], step.operation), after

    def _complete(self, now_ns: int, event: Completed) -> Context:
        thread = event.thread
        operation = self._open.pop(thread, None)
        assert operation is not None, f"thread {thread} has no open operation"
        process = self._processes[thread]
        self._free = tuple(sorted((*self._free, thread)))
        if event.completion.outcome is Outcome.INFO:
            following = process + len(self._threads)
            self._processes = (*self._processes[:thread], following, *self._processes[thread + 1 :])
        after = self._context(now_ns)
        self._generator = self._generator.update(after, Finished(thread, process, operation, event.completion))
        return after

    def _done(self) -> tuple[Action, ...]:
        if self._open or self._exhausted:
            return ()
        self._exhausted = True
        return (Exhausted(),)
