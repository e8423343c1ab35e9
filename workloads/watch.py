"""The workload `watch`: clients write keys, others follow the changes from revision to revision (Jepsen's etcd test:
watch; etcd's robustness tests).

Each write changes two keys at once, so that one revision has two changes and a page of changes may end between them,
where a careless server loses one. Followers ask for short pages and go on where the last one ended; after healing every
node is asked for everything. Values count up from 1, so that each change names its write.
"""

from __future__ import annotations

from typing import Any

import msgspec

from workloads.generator import DONE, Context, Emit, Event, Finished, Generator, Pending, Step
from workloads.keyed import Clients, clients_of, final_operations, keyed_load
from workloads.session import Operation, Outcome
from workloads.stream import Stream
from workloads.workload import Workload, WorkloadOptions

__all__ = ["WATCH", "WatchKey"]

_WEIGHTS = (5, 5)
_PAGE = 5
"""Changes asked for at once: an odd number, so that pages end inside revisions."""


class WatchKey(msgspec.Struct, frozen=True):
    """Operations on one group of keys. `reached`: thread -> the revision up to which it has seen everything."""

    key: str
    remaining: int
    stream: Stream
    clients: Clients
    written: int = 0
    reached: dict[int, int] = {}

    def op(self, context: Context) -> Step:
        if self.remaining <= 0:
            return DONE
        thread = context.pick()
        if thread is None:
            return Pending(self)
        chosen, stream = self.stream.weighted(self.clients.weights)
        if chosen == 0 or thread in self.clients.readers:
            operation = Operation("watch", self.key, (self.reached.get(thread, 0), _PAGE))
            return Emit(operation, thread, self._with(stream, self.written))
        values = (self.written + 1, self.written + 2)
        return Emit(Operation("write", self.key, values), thread, self._with(stream, self.written + 2))

    def _with(self, stream: Stream, written: int) -> WatchKey:
        return WatchKey(self.key, self.remaining - 1, stream, self.clients, written, self.reached)

    def update(self, context: Context, event: Event) -> Generator:
        if not isinstance(event, Finished) or event.operation.key != self.key or event.operation.f != "watch":
            return self
        if event.completion.outcome is not Outcome.OK:
            return self
        reached = {**self.reached, event.thread: event.completion.value["revision"]}
        return WatchKey(self.key, self.remaining, self.stream, self.clients, self.written, reached)


def _generator(options: WorkloadOptions) -> Generator:
    clients = clients_of(options.threads, len(options.nodes), _WEIGHTS)

    def key(name: str, stream: Stream) -> Generator:
        return WatchKey(name, options.operations_per_key, stream, clients)

    return keyed_load(options, "watch", key)


def _final_generator(options: WorkloadOptions, keys: tuple[Any, ...]) -> Generator:
    """Every node is asked for all changes of every group."""
    return final_operations(options, [Operation("watch", key, (0, 0)) for key in keys])


WATCH = Workload(
    name="watch",
    functions=("watch", "write"),
    reads=("watch",),
    writes=("write",),
    model=None,
    generator=_generator,
    final_generator=_final_generator,
    description="Writes pairs of keys and follows their changes in short pages from the last revision seen (1 : 1); "
    "every follower sees all changes, each once, in one order.",
)
