"""The workload `set`: elements are added, each as a key of its own, and read all together (Jepsen: set-full).

Additions never compete, so nothing but a loss can keep one from being read: the plainest question there is. Reads go
over a range of keys, which no other workload does with so many. Elements count up from 1 per set.
"""

from __future__ import annotations

from workloads.generator import Generator
from workloads.keyed import DrawnKey, clients_of, final_reads, keyed_load
from workloads.session import Operation
from workloads.stream import Stream
from workloads.workload import Workload, WorkloadOptions

__all__ = ["SET"]

_WEIGHTS = (5, 5)


def _read(key: str, number: int, stream: Stream) -> tuple[Operation, Stream]:
    return Operation("read", key), stream


def _add(key: str, number: int, stream: Stream) -> tuple[Operation, Stream]:
    return Operation("add", key, number), stream


def _generator(options: WorkloadOptions) -> Generator:
    clients = clients_of(options.threads, len(options.nodes), _WEIGHTS)

    def key(name: str, stream: Stream) -> Generator:
        return DrawnKey(name, options.operations_per_key, stream, clients, (_read, _add))

    return keyed_load(options, "set", key)


SET = Workload(
    name="set",
    functions=("read", "add"),
    reads=("read",),
    writes=("add",),
    model="set",
    generator=_generator,
    final_generator=final_reads,
    description="Adds elements to many short-lived sets, each element a key of its own, and reads a set as a range of "
    "keys (1 : 1); tells when each element became visible for good, and which never did.",
)
