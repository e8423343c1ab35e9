"""The workload `unique-ids`: clients ask for numbers that nobody else ever gets (Jepsen, Maelstrom: unique-ids).

All clients on all nodes draw from one counter for the whole run, so that what a fault leaves behind meets every later
number. Nothing is read; the answers alone must differ. After healing every node gives one more.
"""

from __future__ import annotations

from typing import Any

from workloads.combinators import repeat
from workloads.generator import Generator, once
from workloads.keyed import final_operations, paced
from workloads.session import Operation
from workloads.workload import Workload, WorkloadOptions

__all__ = ["UNIQUE_IDS"]


def _generator(options: WorkloadOptions) -> Generator:
    return paced(options, repeat(once(Operation("generate", f"{options.key_prefix}ids"))))


def _final_generator(options: WorkloadOptions, keys: tuple[Any, ...]) -> Generator:
    return final_operations(options, [Operation("generate", key) for key in keys])


UNIQUE_IDS = Workload(
    name="unique-ids",
    functions=("generate",),
    reads=(),
    writes=("generate",),
    model=None,
    generator=_generator,
    final_generator=_final_generator,
    description="Every client asks one counter for numbers, by increment-and-get; no two answers may be the same.",
)
