"""The workload `append`: elements are added to lists, which are read whole (Jepsen and Elle: list-append, one key).

A list shows its own history: a read names every append before it, in order. So an append that is lost, or that took
effect twice because a retry was not recognised, is seen by every later read; in a register the next write hides it.
Elements count up from 1 per list, so that each is appended once.
"""

from __future__ import annotations

from workloads.generator import Generator
from workloads.keyed import DrawnKey, clients_of, final_reads, keyed_load
from workloads.session import Operation
from workloads.stream import Stream
from workloads.workload import Workload, WorkloadOptions

__all__ = ["APPEND"]

_WEIGHTS = (5, 5)


def _read(key: str, number: int, stream: Stream) -> tuple[Operation, Stream]:
    return Operation("read", key), stream


def _append(key: str, number: int, stream: Stream) -> tuple[Operation, Stream]:
    return Operation("append", key, number), stream


def _generator(options: WorkloadOptions) -> Generator:
    clients = clients_of(options.threads, len(options.nodes), _WEIGHTS)

    def key(name: str, stream: Stream) -> Generator:
        return DrawnKey(name, options.operations_per_key, stream, clients, (_read, _append))

    return keyed_load(options, "append", key)


APPEND = Workload(
    name="append",
    functions=("read", "append"),
    reads=("read",),
    writes=("append",),
    model="list-append",
    generator=_generator,
    final_generator=final_reads,
    description="Appends to many short-lived lists and reads of them whole (1 : 1); each element is appended once, so "
    "that a lost or repeated append is seen by every later read.",
)
