"""All workloads by name. A literal: a workload exists if it is written here."""

from __future__ import annotations

from workloads.errors import UnknownWorkload
from workloads.register import REGISTER
from workloads.workload import Workload

__all__ = ["WORKLOADS", "workload_named"]

WORKLOADS: dict[str, Workload] = {
    "register": REGISTER,
}


def workload_named(name: str) -> Workload:
    """The workload called `name`. Raises UnknownWorkload with a suggestion."""
    try:
        return WORKLOADS[name]
    except KeyError:
        raise UnknownWorkload(name, tuple(WORKLOADS)) from None
