"""Types of the compiled module; its documentation is in module.c and registers.c."""

from collections.abc import Callable
from typing import Any, NewType

from checker.history import Operation, Outcome
from checker.transitions import Transitions

Problem = NewType("Problem", object)
End = NewType("End", object)

SOURCES: str
"""Digest of the sources it was built from."""

def compile_registers(
    operations: tuple[Operation, ...],
    initial: Any,
    vocabulary: int,
    looks_ahead: bool,
    freeze: Callable[[Any], Any],
    outcomes: tuple[Outcome, Outcome, Outcome],
    elsewhere: object,
    mismatch: str,
    horizon: int,
    /,
) -> Problem | None: ...
def compile_table(
    operations: tuple[Operation, ...],
    class_of: tuple[int, ...],
    traits: tuple[int, ...],
    lapses: tuple[int, ...],
    transitions: Transitions,
    looks_ahead: bool,
    /,
) -> Problem: ...
def relax(problem: Problem, exact: tuple[int, ...], /) -> Problem: ...
def hold(problem: Problem, exact: tuple[int, ...], /) -> None: ...
def crashed(problem: Problem, /) -> list[tuple[Operation, int]]: ...
def figures(problem: Problem, /) -> tuple[int, int, int, int, bool, bool]: ...
def impossible(problem: Problem, /) -> Operation | None: ...
def close(problem: Problem, entries_max: int, /) -> bool: ...
def states_before(problem: Problem, step: int, /) -> tuple[int, ...]: ...
def search(
    problem: Problem,
    width: int,
    burst: int,
    frontier_max: int,
    relaxed: bool,
    stop_at: int,
    configurations: int,
    frontier: int,
    seconds: float,
    bytes_max: int,
    begin: int,
    starts: tuple[int, ...] | None,
    /,
) -> tuple[int, int, int, int, End]: ...
def linearization(end: End, /) -> tuple[Operation, ...]: ...
def uses(end: End, /) -> list[tuple[Operation, int]]: ...
def stuck(
    end: End, survivors_max: int, /
) -> tuple[Operation, tuple[Operation, ...], list[tuple[int, tuple[tuple[Operation, ...], tuple[Operation, ...]]]]]: ...
def state(problem: Problem, number: int, /) -> Any: ...
