"""Which engine searches: the compiled one where it was built (`checker.native`), or the pure Python one, always there.

Both do the same search, step for step: same verdict, same figures, same orders. Here belong the choice between them,
what `checker.partition` asks of either (`Subject`), and the pure Python one's answer to that.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

from checker import native
from checker.errors import EngineUnavailable
from checker.history import Operation
from checker.linearization import linearize
from checker.model import Model
from checker.preparation import find_impossible, refined
from checker.problem import NEVER, Problem, compile_problem
from checker.result import Stuck, Survivor
from checker.retirement import retire
from checker.search import Ending, Meter, OpenOperations, Pass, Search, SearchEnd, arrive
from checker.transitions import Transitions

__all__ = ["SURVIVORS_MAX", "Engine", "PassEnd", "PythonSubject", "Subject", "engine_for", "prepare", "relax"]

Engine: TypeAlias = Literal["auto", "python", "c"]

SURVIVORS_MAX = 10
"""Configurations shown when the search is stuck; Jepsen cuts at the same number: nobody reads more."""


@dataclass(frozen=True, slots=True)
class PassEnd:
    """How one pass ended, and how to write out what it found."""

    ending: Ending
    step: int
    """The furthest step reached."""
    linearization: Callable[[], tuple[Operation, ...]]
    """Only after LINEARIZED."""
    stuck: Callable[[], Stuck | None]
    """Only otherwise; None if nothing had to be placed."""
    uses: Callable[[], list[tuple[Operation, int]]]
    """Only after LINEARIZED: each use of a crashed operation, and the step in which it took effect."""


class Subject(Protocol):
    """A partition, prepared for an engine."""

    @property
    def engine(self) -> Literal["python", "c"]:
        """Which one."""

    @property
    def operations(self) -> int:
        """Those that count."""

    @property
    def steps(self) -> int:
        """Returns to be placed."""

    @property
    def crashed(self) -> bool:
        """An operation that counts never returned."""

    @property
    def worth_relaxing(self) -> bool:
        """An operation never returned, and the model is bounded: a relaxed pass may prove something."""

    def impossible(self) -> Operation | None:
        """An operation that no order can place, if the model sees one without a search."""

    @property
    def can_begin_late(self) -> bool:
        """It is known which states there may be in the middle: a late pass is possible."""

    def run(self, how: Pass, meter: Meter, begin: int = 0) -> PassEnd:
        """Search once. begin: the step at which a late pass begins. Raises ModelError for a wrong hint."""

    def relaxed(self, exact: frozenset[Hashable]) -> Subject:
        """With only the first crashed operation of each class, which a relaxed pass may use repeatedly. exact: labels
        of classes that are left as they are."""

    def within(self, horizon: int) -> Subject:
        """With crashed operations given up `horizon` steps after their call."""

    def states(self) -> int:
        """How many states have been met."""

    def verify_hints(self, entries_max: int) -> bool:
        """Check every hint in all reachable states; False if there are too many. Raises ModelError."""


def engine_for(engine: Engine) -> Literal["python", "c"]:
    """The engine that runs when `engine` is asked for. Raises EngineUnavailable for `c` where it is missing."""
    if engine == "c" and not native.available():
        raise EngineUnavailable(f"the compiled engine was asked for, but {native.why_unavailable()}")
    return "python" if engine == "python" or not native.available() else "c"


def prepare(operations: Sequence[Operation], model: Model[Any], engine: Engine) -> Subject:
    """Prepare a partition for an engine. Raises IllFormedHistory, and EngineUnavailable for `c` where it is missing."""
    if engine_for(engine) == "python":
        narrowed = refined(model, operations)
        problem = retire(compile_problem(operations, narrowed), narrowed)
        return PythonSubject(operations, narrowed, problem, Transitions(problem, narrowed))
    from checker.native.subject import prepare_native

    return prepare_native(operations, model)


class PythonSubject:
    """A partition for `checker.search`."""

    engine: Literal["python"] = "python"

    def __init__(
        self,
        operations: Sequence[Operation],
        model: Model[Any],
        problem: Problem,
        transitions: Transitions,
        *,
        is_relaxed: bool = False,
    ) -> None:
        self._all, self._model = operations, model
        self._problem, self._transitions = problem, transitions
        self._is_relaxed = is_relaxed
        self.operations = len(problem.operations)
        self.steps = len(problem.steps)
        self.crashed = NEVER in problem.deadlines
        self.worth_relaxing = self.crashed and not model.unbounded
        self.can_begin_late = transitions.lookahead is not None

    def impossible(self) -> Operation | None:
        """See Subject, as for the rest."""
        return find_impossible(self._model, self._all)

    def run(self, how: Pass, meter: Meter, begin: int = 0) -> PassEnd:
        problem, transitions = self._problem, self._transitions
        end = Search(problem, transitions, how, meter, begin).run()

        def order() -> tuple[Operation, ...]:
            numbers = linearize(problem, transitions, end.trail, len(problem.steps))
            return tuple(problem.operations[number] for number in numbers)

        def stuck() -> Stuck | None:
            if begin:
                return Stuck(problem.operations[problem.steps[end.step].returning], (), end.step, late=True)
            return _stuck(problem, transitions, end, relaxed=self._is_relaxed) if problem.steps else None

        def uses() -> list[tuple[Operation, int]]:
            found, trail = [], end.trail
            while trail is not None:
                trail, number, step = trail
                if problem.deadlines[number] == NEVER:
                    found.append((problem.operations[number], step))
            return found[::-1]

        return PassEnd(end.ending, end.step, order, stuck, uses)

    def relaxed(self, exact: frozenset[Hashable]) -> Subject:
        problem, transitions = relax(self._all, self._model, exact)
        return PythonSubject(self._all, self._model, problem, transitions, is_relaxed=True)

    def within(self, horizon: int) -> Subject:
        problem = retire(compile_problem(self._all, self._model), self._model, horizon)
        return PythonSubject(self._all, self._model, problem, Transitions(problem, self._model))

    def states(self) -> int:
        return len(self._transitions.states)

    def verify_hints(self, entries_max: int) -> bool:
        return self._transitions.close(entries_max)


def relax(
    operations: Sequence[Operation], model: Model[Any], exact: frozenset[Hashable]
) -> tuple[Problem, Transitions]:
    """The problem with only the first crashed operation of each class, which a relaxed pass may use repeatedly; all of
    the classes whose labels are in `exact`, each once."""
    seen: set[object] = set()
    kept = []
    for operation in operations:
        if operation.return_order is None:
            label = model.label(operation)
            if label in seen and label not in exact:
                continue
            seen.add(label)
        kept.append(operation)
    problem = compile_problem(kept, model)
    kinds = frozenset(kind for kind, one in enumerate(problem.classes) if model.label(one) in exact)
    problem = replace(retire(problem, model), exact=kinds)
    return problem, Transitions(problem, model)


def _stuck(problem: Problem, transitions: Transitions, end: SearchEnd, *, relaxed: bool) -> Stuck:
    at = problem.steps[end.step]
    operations = problem.operations
    open_now = OpenOperations(problem)
    open_now.seek(end.step)
    arrived = arrive(problem, transitions, end.step, end.survivors)
    survivors = tuple(
        Survivor(
            state=transitions.states[
                _state_after(problem, transitions, linearize(problem, transitions, trail, end.step))
            ],
            must=tuple(operations[number] for bit, number in open_now.holder.items() if must & bit),
            may=tuple(operations[number] for bit, number in open_now.holder.items() if may & bit & ~must),
        )
        for _, must, may, trail in arrived[:SURVIVORS_MAX]
    )
    order = linearize(problem, transitions, end.survivors[-1][3], end.step) if end.survivors else ()
    return Stuck(
        operation=operations[at.returning],
        prefix=tuple(operations[number] for number in order),
        step=end.step,
        survivors=survivors,
        relaxed=relaxed,
    )


def _state_after(problem: Problem, transitions: Transitions, order: Sequence[int]) -> int:
    """The true state, where the search may know only that it is a value nobody asks for."""
    state = 0
    for number in order:
        state = transitions.step(state, problem.class_of[number])
    return state
