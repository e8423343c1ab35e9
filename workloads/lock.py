"""The workload `lock`: who holds a lock appends to the list that it protects (Jepsen's etcd test: lock-set).

Locks have leases, so a holder that is paused or cut off loses its lock without knowing it. What keeps the list in order
is the fencing token: an append carries it, and counts only while the lock is held under it (Kleppmann, "How to do
distributed locking", 2016; Chubby §2.4). Tokens must ascend, and so must those in the list.
"""

from __future__ import annotations

import msgspec

from workloads.generator import DONE, Context, Emit, Event, Finished, Generator, Pending, Step
from workloads.keyed import final_reads, keyed_load
from workloads.session import Operation, Outcome
from workloads.stream import Stream
from workloads.workload import Workload, WorkloadOptions

__all__ = ["LOCK", "LockKey"]

_LEASE_MS = 800
"""A holder acts every 0.1 to 0.3 s, so most leases end by release and those of the cut-off by themselves."""
_OPERATIONS_FACTOR = 2
"""A lock's life must see several leases end."""
_WITHOUT = (2, 1)
"""Of acquire and read, for a client that holds nothing."""
_HOLDING = (4, 1, 2)
"""Of append, read and release."""


class LockKey(msgspec.Struct, frozen=True):
    """Operations on one lock and its list. `held`: thread -> the token that it got."""

    key: str
    remaining: int
    stream: Stream
    readers: frozenset[int]
    appended: int = 0
    held: dict[int, int] = {}

    def op(self, context: Context) -> Step:
        if self.remaining <= 0:
            return DONE
        thread = context.pick()
        if thread is None:
            return Pending(self)
        if thread in self.readers:
            return self._emit(Operation("read", self.key), thread, self.stream)
        token = self.held.get(thread)
        if token is None:
            chosen, stream = self.stream.weighted(_WITHOUT)
            owner = (f"p{context.processes[thread]}", _LEASE_MS)
            wanted = Operation("acquire", self.key, owner) if chosen == 0 else Operation("read", self.key)
            return self._emit(wanted, thread, stream)
        chosen, stream = self.stream.weighted(_HOLDING)
        match chosen:
            case 0:
                return self._emit(Operation("append", self.key, (token, self.appended + 1)), thread, stream)
            case 1:
                return self._emit(Operation("read", self.key), thread, stream)
            case _:
                return self._emit(Operation("release", self.key, token), thread, stream)

    def _emit(self, operation: Operation, thread: int, stream: Stream) -> Emit:
        appended = self.appended + (operation.f == "append")
        rest = LockKey(self.key, self.remaining - 1, stream, self.readers, appended, self.held)
        return Emit(operation, thread, rest)

    def update(self, context: Context, event: Event) -> Generator:
        if not isinstance(event, Finished) or event.operation.key != self.key or event.operation.f == "read":
            return self
        held = {thread: token for thread, token in self.held.items() if thread != event.thread}
        if event.completion.outcome is Outcome.OK and event.operation.f == "acquire":
            held[event.thread] = event.completion.value
        elif event.completion.outcome is Outcome.OK and event.operation.f == "append":
            held[event.thread] = event.operation.value[0]
        return LockKey(self.key, self.remaining, self.stream, self.readers, self.appended, held)


def _generator(options: WorkloadOptions) -> Generator:
    nodes = len(options.nodes)
    readers = frozenset(range(options.threads // (2 * nodes) * nodes // 2))  # a quarter: locks show by being taken

    def key(name: str, stream: Stream) -> Generator:
        return LockKey(name, _OPERATIONS_FACTOR * options.operations_per_key, stream, readers)

    return keyed_load(options, "lock", key)


LOCK = Workload(
    name="lock",
    functions=("acquire", "append", "read", "release"),
    reads=("read",),
    writes=("acquire", "append", "release"),
    model="leased-lock",
    generator=_generator,
    final_generator=final_reads,
    description="Takes locks with leases of 0.8 s, appends under the fencing token to the list that each lock "
    "protects, gives them back; reads the lists. Tokens ascend, and nobody appends without the lock.",
)
