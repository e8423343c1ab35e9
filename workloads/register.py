"""The workload `register`: reads, writes and compare-and-sets on many independent registers.

Choices, and why.

*Mix* 5 : 3 : 2 of read, write and cas: half reads, because only reads accuse; enough writes that a stale read is soon
older than an acknowledged one. Half of the clients of each node only read, as in Jepsen's register tests (`reserve`):
at a cut-off node every write waits for its timeout, and clients that do both would soon all wait and see nothing of
what the node still answers. The others make up for it, so that the mix holds. It takes two clients for every node.

*Values*: each key counts up from 1, so no value is written twice to the same key. Jepsen draws from 0 … 4 to let
compare-and-sets hit by chance. With five values every open write of an outage excuses a fifth of all later reads, and
a write that took effect twice or although it failed is hidden by the next equal one. A value written once names its
writer: any read of it that comes too early, too late, or after a definite failure is a contradiction by itself. The
search also has fewer configurations to keep.

*Compare-and-sets* must hit to be worth anything. The generator sees completions, so three in four expect the newest
value that any client has seen on the key; the others expect one of the eight values before it, and mostly miss. Both
outcomes say something about the state.

*Keys* live for 150 operations, three at a time for every 2n clients, each operation on one drawn by chance. One after
the other they would last 0.75 s at 200 Hz, shorter than most faults; so they last three times as long, and what one
outage leaves open is spread over three searches.
"""

from __future__ import annotations

import msgspec

from workloads.generator import DONE, Context, Emit, Event, Finished, Generator, Pending, Step
from workloads.keyed import Clients, clients_of, final_reads, keyed_load
from workloads.session import Operation, Outcome
from workloads.stream import Stream
from workloads.workload import Workload, WorkloadOptions

__all__ = ["REGISTER", "WEIGHTS", "RegisterKey"]

WEIGHTS = (5, 3, 2)
"""Of read, write and cas."""
_CAS_CURRENT_OF_4 = 3
_CAS_BACK_MAX = 8


class RegisterKey(msgspec.Struct, frozen=True):
    """Operations on one register. `seen`: the newest value known to have been in it; `written`: the last one issued."""

    key: str
    remaining: int
    stream: Stream
    clients: Clients
    written: int = 0
    seen: int | None = None

    def op(self, context: Context) -> Step:
        if self.remaining <= 0:
            return DONE
        thread = context.pick()
        if thread is None:
            return Pending(self)
        chosen, stream = self.stream.weighted(self.clients.weights)
        if chosen == 0 or thread in self.clients.readers:
            return Emit(Operation("read", self.key), thread, self._after(stream, self.written))
        value = self.written + 1
        if chosen == 1 or self.seen is None:  # nothing to compare with yet: write
            return Emit(Operation("write", self.key, value), thread, self._after(stream, value))
        expected, stream = _expected(self.seen, stream)
        return Emit(Operation("cas", self.key, (expected, value)), thread, self._after(stream, value))

    def _after(self, stream: Stream, written: int) -> RegisterKey:
        return RegisterKey(self.key, self.remaining - 1, stream, self.clients, written, self.seen)

    def update(self, context: Context, event: Event) -> Generator:
        if not isinstance(event, Finished) or event.operation.key != self.key:
            return self
        value = _value_left(event)
        if value is None or (self.seen is not None and value <= self.seen):
            return self
        return RegisterKey(self.key, self.remaining, self.stream, self.clients, self.written, value)


def _expected(seen: int, stream: Stream) -> tuple[int, Stream]:
    """The value a compare-and-set expects."""
    draw, stream = stream.below(4)
    if draw < _CAS_CURRENT_OF_4:
        return seen, stream
    back, stream = stream.below(_CAS_BACK_MAX)
    return max(1, seen - 1 - back), stream


def _value_left(event: Finished) -> int | None:
    """The value which a successful operation found or left in the register."""
    if event.completion.outcome is not Outcome.OK:
        return None
    operation = event.operation
    value = event.completion.value if operation.f == "read" else operation.value
    newest = value[1] if operation.f == "cas" else value
    return newest if isinstance(newest, int) else None


def _generator(options: WorkloadOptions) -> Generator:
    clients = clients_of(options.threads, len(options.nodes), WEIGHTS)

    def key(name: str, stream: Stream) -> Generator:
        return RegisterKey(name, options.operations_per_key, stream, clients)

    return keyed_load(options, "register", key)


REGISTER = Workload(
    name="register",
    functions=("read", "write", "cas"),
    reads=("read",),
    writes=("write", "cas"),
    model="cas-register",
    generator=_generator,
    final_generator=final_reads,
    description="Reads, writes and compare-and-sets (5 : 3 : 2) on many short-lived registers; every value is written "
    "once per register, so that each read names its writer.",
)
