"""What a workload is, and the list of all workloads.

A workload says what clients do and which model judges it; it knows neither faults nor the system under test. Here
belong the record, the options and the registry; each workload has a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from workloads.errors import InvalidOptions
from workloads.generator import Generator

__all__ = ["Workload", "WorkloadOptions"]


class WorkloadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What every workload is told. Raises InvalidOptions when made."""

    threads: int
    """Clients, bound to nodes round-robin."""
    nodes: tuple[str, ...]
    rate_hz: float
    """Operations per second over all clients, as far as the system keeps up; 0: as fast as the clients can."""
    time_limit_ns: int
    """Length of the load phase."""
    seed: int
    key_prefix: str = "r"
    """Keys are this and a number."""
    operations_per_key: int = 150
    """After so many operations a key is left alone until the final reads (Jepsen's etcd test: 200)."""
    key_skew: float = 0.0
    """How unevenly live keys are used: the n-th in proportion to n^-skew (Zipf's law); 0: all alike."""

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise InvalidOptions("threads", self.threads, "at least one client is needed")
        if not self.nodes:
            raise InvalidOptions("nodes", self.nodes, "at least one node is needed")
        if not self.rate_hz >= 0:
            raise InvalidOptions("rate_hz", self.rate_hz, "must be operations per second, or 0 for no limit")
        if self.time_limit_ns <= 0:
            raise InvalidOptions("time_limit_ns", self.time_limit_ns, "must be more than 0")
        if self.operations_per_key < 1:
            raise InvalidOptions("operations_per_key", self.operations_per_key, "must be 1 or more")
        if not 0 <= self.key_skew <= 10:
            raise InvalidOptions("key_skew", self.key_skew, "must be a number of 0 to 10")


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What clients do, and how it is judged."""

    name: str
    functions: tuple[str, ...]
    """Every `f` it invokes; each must succeed at least once, else the run is vacuous."""
    reads: tuple[str, ...]
    """Those that observe and change nothing."""
    writes: tuple[str, ...]
    """Those that may change something."""
    model: str | None
    """Name of the checker's model; None: other checks alone judge it."""
    generator: Callable[[WorkloadOptions], Generator]
    """Operations of the load phase; ends by itself at the time limit."""
    final_generator: Callable[[WorkloadOptions, tuple[Any, ...]], Generator]
    """Reads, or whatever else shows the end state, after healing; given the keys that the load phase touched, in order
    of their first use."""
    description: str
    """One or two sentences for `histrio list` and the documentation."""
