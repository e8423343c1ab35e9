"""All workloads by name. A literal: a workload exists if it is written here."""

from __future__ import annotations

from workloads.append import APPEND
from workloads.bank import BANK
from workloads.counter import COUNTER
from workloads.element_set import SET
from workloads.errors import UnknownWorkload
from workloads.lock import LOCK
from workloads.queue import QUEUE
from workloads.register import REGISTER
from workloads.unique_ids import UNIQUE_IDS
from workloads.watch import WATCH
from workloads.workload import Workload

__all__ = ["WORKLOADS", "workload_named"]

WORKLOADS: dict[str, Workload] = {
    "register": REGISTER,
    "append": APPEND,
    "set": SET,
    "counter": COUNTER,
    "unique-ids": UNIQUE_IDS,
    "bank": BANK,
    "lock": LOCK,
    "queue": QUEUE,
    "watch": WATCH,
}


def workload_named(name: str) -> Workload:
    """The workload called `name`. Raises UnknownWorkload with a suggestion."""
    try:
        return WORKLOADS[name]
    except KeyError:
        raise UnknownWorkload(name, tuple(WORKLOADS)) from None
