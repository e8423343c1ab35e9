"""What workloads on many short-lived keys have in common: who reads, which keys are live, how they end.

Half of the clients of each node only read: at a cut-off node every write waits for its timeout, and clients that do
both would soon all wait and see nothing of what the node still answers (Jepsen: `reserve` n readers). A key is left
after so many operations and read again by every node after healing, so that searches stay short and faults meet all of
a key's life. What is done to a key is each workload's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from workloads.combinators import limit, repeat, sequence, until_ok
from workloads.generator import DONE, Context, Emit, Event, Generator, Pending, Step, once
from workloads.keys import live_keys
from workloads.session import Operation
from workloads.stream import Stream, named_stream
from workloads.threads import each_thread, on_threads
from workloads.timing import at_mean_rate, delay, time_limit
from workloads.workload import WorkloadOptions

__all__ = ["FINAL_LIMIT_NS", "Clients", "DrawnKey", "clients_of", "final_operations", "final_reads"]
__all__ += ["keyed_load", "paced"]

KEYS_PER_GROUP = 3
FINAL_TRIES = 10
FINAL_RETRY_NS = 300_000_000  # ten tries outlast an election
FINAL_LIMIT_NS = 30_000_000_000  # a cluster that does not answer by then has failed its liveness check anyway

KeyGenerator = Callable[[str, Stream], Generator]
"""(key, a stream of its own) -> the operations on it."""

Draw = Callable[[str, int, Stream], tuple[Operation, Stream]]
"""(key, number of this operation among the key's changes, stream) -> the operation."""


class Clients(msgspec.Struct, frozen=True):
    """What clients do: `readers` only read, the others draw by `weights`, of which the first is reading."""

    weights: tuple[int, ...]
    readers: frozenset[int] = frozenset()


def clients_of(threads: int, nodes: int, weights: tuple[int, ...]) -> Clients:
    """Half of the clients of each node read, rounded down; the others' weights keep `weights` over all clients.

    weights: of reading first; it must be half of all or more.
    """
    readers = threads // (2 * nodes) * nodes
    reads, *others = weights
    left = (reads * threads - sum(weights) * readers, *[weight * threads for weight in others])
    return Clients(left, frozenset(range(readers)))


class DrawnKey(msgspec.Struct, frozen=True):
    """Operations on one key, each drawn by weight and nothing else. `draws`: reading first; changes count from 1."""

    key: str
    remaining: int
    stream: Stream
    clients: Clients
    draws: tuple[Draw, ...]
    changes: int = 0

    def op(self, context: Context) -> Step:
        if self.remaining <= 0:
            return DONE
        thread = context.pick()
        if thread is None:
            return Pending(self)
        chosen, stream = self.stream.weighted(self.clients.weights)
        chosen = 0 if thread in self.clients.readers else chosen
        changes = self.changes + (chosen > 0)
        operation, stream = self.draws[chosen](self.key, changes, stream)
        rest = DrawnKey(self.key, self.remaining - 1, stream, self.clients, self.draws, changes)
        return Emit(operation, thread, rest)

    def update(self, context: Context, event: Event) -> Generator:
        return self


def keyed_load(options: WorkloadOptions, name: str, make: KeyGenerator) -> Generator:
    """Operations on three live keys for every 2n clients, at the rate and for the time that the options say."""
    stream = named_stream(options.seed, f"workload/{name}")
    groups = max(1, options.threads // (2 * len(options.nodes)))

    def key(number: int) -> Generator:
        return make(f"{options.key_prefix}{number}", stream.child(number))

    keys = live_keys(KEYS_PER_GROUP * groups, key, named_stream(options.seed, "workload/keys"), skew=options.key_skew)
    return paced(options, keys)


def paced(options: WorkloadOptions, generator: Generator) -> Generator:
    """The generator at the rate and for the time that the options say."""
    pace = named_stream(options.seed, "workload/pace")
    return time_limit(options.time_limit_ns, at_mean_rate(options.rate_hz, generator, pace))


def final_operations(options: WorkloadOptions, operations: Iterable[Operation]) -> Generator:
    """Every node is asked every operation, each by one client, until it succeeds or has been asked ten times.

    At most 30 s, so that a dead cluster does not keep the run from ending.
    """
    asked = [until_ok(limit(FINAL_TRIES, delay(FINAL_RETRY_NS, repeat(once(operation))))) for operation in operations]
    askers = range(min(options.threads, len(options.nodes)))
    return time_limit(FINAL_LIMIT_NS, on_threads(askers, each_thread(sequence(*asked))))


def final_reads(options: WorkloadOptions, keys: tuple[Any, ...]) -> Generator:
    """Every node is asked to read every key."""
    return final_operations(options, [Operation("read", key) for key in keys])
