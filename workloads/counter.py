"""The workload `counter`: numbers are added to counters, which are read (Jepsen: counter).

An addition that takes effect twice, or although it was reported failed, makes the counter too high for ever, and one
that is lost too low: bounds that need no search. Additions are 1 or 2, so that one of each is told from two of one.
"""

from __future__ import annotations

from workloads.generator import Generator
from workloads.keyed import DrawnKey, clients_of, final_reads, keyed_load
from workloads.session import Operation
from workloads.stream import Stream
from workloads.workload import Workload, WorkloadOptions

__all__ = ["COUNTER"]

_WEIGHTS = (5, 5)
_ADDED_MAX = 2


def _read(key: str, number: int, stream: Stream) -> tuple[Operation, Stream]:
    return Operation("read", key), stream


def _add(key: str, number: int, stream: Stream) -> tuple[Operation, Stream]:
    drawn, stream = stream.below(_ADDED_MAX)
    return Operation("add", key, 1 + drawn), stream


def _generator(options: WorkloadOptions) -> Generator:
    clients = clients_of(options.threads, len(options.nodes), _WEIGHTS)

    def key(name: str, stream: Stream) -> Generator:
        return DrawnKey(name, options.operations_per_key, stream, clients, (_read, _add))

    return keyed_load(options, "counter", key)


COUNTER = Workload(
    name="counter",
    functions=("read", "add"),
    reads=("read",),
    writes=("add",),
    model="counter",
    generator=_generator,
    final_generator=final_reads,
    description="Adds 1 or 2 to many short-lived counters and reads them (1 : 1); an addition lost, or done twice, "
    "leaves the counter out of bounds.",
)
