"""The workload `queue`: elements are put into queues and taken out, and at the end all that is left (Jepsen:
total-queue).

Elements count up from 1 per queue. After healing every queue is emptied, so that each acknowledged element must have
come out, once, and those of one queue in order.
"""

from __future__ import annotations

from typing import Any

import msgspec

from workloads.combinators import sequence
from workloads.generator import DONE, Context, Emit, Event, Finished, Generator, Pending, Step, nothing
from workloads.keyed import FINAL_LIMIT_NS, Clients, DrawnKey, keyed_load
from workloads.session import Operation, Outcome
from workloads.stream import Stream
from workloads.threads import reserve
from workloads.timing import time_limit
from workloads.workload import Workload, WorkloadOptions

__all__ = ["EMPTY", "QUEUE", "Drain"]

EMPTY = "empty"
"""The error of taking from an empty queue."""

_FAILURES_MAX = 20
_RETRY_NS = 300_000_000


class Drain(msgspec.Struct, frozen=True):
    """Takes from one queue until it is empty, or until that failed too often. For one thread."""

    key: Any
    failures_left: int = _FAILURES_MAX
    not_before_ns: int = 0
    done: bool = False

    def op(self, context: Context) -> Step:
        if self.done or self.failures_left <= 0:
            return DONE
        thread = context.pick()
        if thread is None:
            return Pending(self)
        if context.now_ns < self.not_before_ns:
            return Pending(self, self.not_before_ns)
        return Emit(Operation("dequeue", self.key), thread, self)

    def update(self, context: Context, event: Event) -> Generator:
        if not isinstance(event, Finished) or event.operation.key != self.key:
            return self
        if event.completion.outcome is Outcome.OK:
            return self
        if event.completion.error == EMPTY:
            return Drain(self.key, done=True)
        return Drain(self.key, self.failures_left - 1, context.now_ns + _RETRY_NS)


def _dequeue(key: str, number: int, stream: Stream) -> tuple[Operation, Stream]:
    return Operation("dequeue", key), stream


def _enqueue(key: str, number: int, stream: Stream) -> tuple[Operation, Stream]:
    return Operation("enqueue", key, number), stream


def _generator(options: WorkloadOptions) -> Generator:
    def key(name: str, stream: Stream) -> Generator:
        return DrawnKey(name, options.operations_per_key, stream, Clients((1, 1)), (_dequeue, _enqueue))

    return keyed_load(options, "queue", key)


def _final_generator(options: WorkloadOptions, keys: tuple[Any, ...]) -> Generator:
    """Each queue is emptied by one client; clients of all nodes take part. At most 30 s."""
    share = [
        (1, sequence(*[Drain(key) for key in keys[thread :: options.threads]])) for thread in range(options.threads)
    ]
    return time_limit(FINAL_LIMIT_NS, reserve(*share, otherwise=nothing()))


QUEUE = Workload(
    name="queue",
    functions=("enqueue", "dequeue"),
    reads=(),
    writes=("enqueue", "dequeue"),
    model="fifo-queue",
    generator=_generator,
    final_generator=_final_generator,
    description="Puts elements into many short-lived queues and takes them out (1 : 1), and empties them after "
    "healing; what was put in comes out once, in order.",
)
