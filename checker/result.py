"""What is known about one partition after a check: the types, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from checker.history import Operation

__all__ = ["Decision", "Result", "Statistics", "Stuck", "Survivor"]


class Decision(StrEnum):
    """What is known about a partition."""

    OK = "ok"
    ILLEGAL = "illegal"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the search cost."""

    configurations: int
    frontier_max: int
    states: int
    steps: int
    """Returns that the search had to place."""
    hints_verified: bool = False
    """The model's hints were checked in every reachable state, not only in those that the search met."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """One configuration that was possible just before: the state, what must and what may still take effect."""

    state: object
    must: tuple[Operation, ...]
    may: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Stuck:
    """Where an illegal (or undecided) search ended."""

    operation: Operation
    """Illegal: it cannot be placed by its return. Unknown: the furthest return that the search worked on."""
    prefix: tuple[Operation, ...]
    """A linearization of what precedes that return: one of the longest there are; if found `late`, the longest seen."""
    step: int
    """So many returns could be placed."""
    survivors: tuple[Survivor, ...] = ()
    """Configurations that were possible then, at most ten."""
    relaxed: bool = False
    """Found with crashed operations allowed to take effect repeatedly; the verdict holds all the more without."""
    late: bool = False
    """Found by a search that began in the middle, whatever came before; survivors are those of an earlier pass."""


@dataclass(frozen=True, slots=True)
class Result:
    """The judgement on one partition."""

    decision: Decision
    phase: str
    """The pass that decided."""
    statistics: Statistics
    engine: Literal["python", "c"]
    """The engine that ran. Everything else in a result is the same for both."""
    linearization: tuple[Operation, ...] | None = None
    """Only for OK: an order that explains everything; crashed operations not in it never took effect."""
    stuck: Stuck | None = None
    """Only for ILLEGAL and UNKNOWN."""
