"""The workload `bank`: money moves between accounts, and no read may see more or less of it (Jepsen: bank).

Each transfer is a transaction of a comparison and two increments, each read a range over all accounts. Accounts begin
with nothing and may be overdrawn to a limit, so the total is 0 at all times, before the first transfer too, and the
comparison refuses a share of the transfers. A total that is not 0 shows a transaction that was seen, or done, in part.
"""

from __future__ import annotations

from workloads.generator import Generator
from workloads.keyed import DrawnKey, clients_of, final_reads, keyed_load
from workloads.session import Operation
from workloads.stream import Stream
from workloads.workload import Workload, WorkloadOptions

__all__ = ["BANK"]

_WEIGHTS = (5, 5)
_ACCOUNTS = ("a", "b", "c", "d")
_AMOUNT_MAX = 5


def _read(key: str, number: int, stream: Stream) -> tuple[Operation, Stream]:
    return Operation("read", key), stream


def _transfer(key: str, number: int, stream: Stream) -> tuple[Operation, Stream]:
    giver, stream = stream.below(len(_ACCOUNTS))
    other, stream = stream.below(len(_ACCOUNTS) - 1)
    amount, stream = stream.below(_AMOUNT_MAX)
    taker = _ACCOUNTS[(giver + 1 + other) % len(_ACCOUNTS)]
    return Operation("transfer", key, (_ACCOUNTS[giver], taker, 1 + amount)), stream


def _generator(options: WorkloadOptions) -> Generator:
    clients = clients_of(options.threads, len(options.nodes), _WEIGHTS)

    def key(name: str, stream: Stream) -> Generator:
        return DrawnKey(name, options.operations_per_key, stream, clients, (_read, _transfer))

    return keyed_load(options, "bank", key)


BANK = Workload(
    name="bank",
    functions=("read", "transfer"),
    reads=("read",),
    writes=("transfer",),
    model="bank",
    generator=_generator,
    final_generator=final_reads,
    description="Transfers between the four accounts of many short-lived banks, by transactions that refuse to "
    "overdraw, and reads of all accounts (1 : 1); the total is 0 in every read.",
)
