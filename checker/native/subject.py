"""A partition for the compiled search. Registers are compiled and judged in C alone; any other model is asked, once for
each state and class of operations, through the table that the pure Python search uses too.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal

from checker import engines
from checker.history import Operation, Outcome, freeze
from checker.model import ELSEWHERE, Model, Traits
from checker.models.key_value import KEY_VALUE
from checker.models.register import CAS_REGISTER, MISMATCH, REGISTER
from checker.native import _engine
from checker.preparation import find_impossible, refined
from checker.problem import Problem, compile_problem
from checker.result import Stuck, Survivor
from checker.retirement import retire
from checker.search import Ending, Meter, Pass
from checker.transitions import Transitions

__all__ = ["BYTES_MAX", "prepare_native"]

BYTES_MAX = 4 << 30
"""Memory that one pass may hold; a pass that needs more ends as if its budget were used up."""

ENDINGS = (Ending.LINEARIZED, Ending.STUCK, Ending.TOO_WIDE, Ending.SPENT)
_KNOWN = (REGISTER, CAS_REGISTER, KEY_VALUE)
"""Models that are compiled too; their places are the vocabularies of registers.c."""

OUTCOMES = (Outcome.OK, Outcome.FAIL, Outcome.INFO)


def prepare_native(operations: Sequence[Operation], model: Model[Any], horizon: int | None = None) -> engines.Subject:
    """Prepare a partition. horizon: crashed operations are given up so many steps after their call
    (`checker.retirement`). Raises IllFormedHistory for an operation that the model does not know."""
    given = tuple(operations)
    vocabulary = next((place for place, known in enumerate(_KNOWN) if _is_like(model, known)), None)
    if vocabulary is not None:
        looks_ahead = model.footprint is not None or model.refine is not None
        compiled = _engine.compile_registers(
            given, model.initial, vocabulary, looks_ahead, freeze, OUTCOMES, ELSEWHERE, MISMATCH, horizon or 0
        )
        if compiled is not None:
            return RegisterSubject(given, model, compiled, is_relaxed=False)
    narrowed = refined(model, given)
    problem = retire(compile_problem(given, narrowed), narrowed, horizon)
    return TableSubject(given, narrowed, problem, Transitions(problem, narrowed), is_relaxed=False)


def _is_like(model: Model[Any], known: Model[Any]) -> bool:
    """True for a model that does what a compiled one does: one of ours, but for its start and its look-ahead."""
    return (
        model.step is known.step
        and model.label is known.label
        and model.traits is known.traits
        and model.problem is known.problem
        and model.failure_observes is known.failure_observes
        and (model.footprint is None or model.footprint is known.footprint)
        and model.impossible is known.impossible
        and model.refine is known.refine
        and model.unbounded is known.unbounded
    )


class RegisterSubject:
    """A register, or one key of a key-value store: the model is compiled too."""

    engine: Literal["c"] = "c"

    def __init__(
        self, operations: tuple[Operation, ...], model: Model[Any], compiled: _engine.Problem, *, is_relaxed: bool
    ) -> None:
        self._all, self._model, self._compiled, self._is_relaxed = operations, model, compiled, is_relaxed
        self.operations, self.steps, _, _, self.crashed, self.can_begin_late = _engine.figures(compiled)
        self._bounded = not model.unbounded or self.can_begin_late  # a key without appends is as bounded as a register
        self.worth_relaxing = self.crashed and self._bounded

    def impossible(self) -> Operation | None:
        """See Subject, as for the rest."""
        return _engine.impossible(self._compiled)

    def run(self, how: Pass, meter: Meter, begin: int = 0) -> engines.PassEnd:
        compiled = self._compiled
        starts = _engine.states_before(compiled, begin) if begin else None
        return _run(
            compiled,
            how,
            meter,
            lambda number: _engine.state(compiled, number),
            begin,
            starts,
            is_relaxed=self._is_relaxed,
        )

    def relaxed(self, exact: frozenset[Hashable]) -> engines.Subject:
        if not self._bounded:  # relaxing is not worth it, so it is not compiled
            narrowed = refined(self._model, self._all)
            problem, transitions = engines.relax(self._all, narrowed, exact)
            return TableSubject(self._all, narrowed, problem, transitions, is_relaxed=True)
        label = self._model.label
        kinds = {kind: None for one, kind in _engine.crashed(self._compiled) if exact and label(one) in exact}
        relaxed = _engine.relax(self._compiled, tuple(kinds))
        return RegisterSubject(self._all, self._model, relaxed, is_relaxed=True)

    def within(self, horizon: int) -> engines.Subject:
        return prepare_native(self._all, self._model, horizon)

    def states(self) -> int:
        return _engine.figures(self._compiled)[3]

    def verify_hints(self, entries_max: int) -> bool:
        return _engine.close(self._compiled, entries_max)


class TableSubject:
    """Any model: it is asked through Transitions, which verifies its hints."""

    engine: Literal["c"] = "c"

    def __init__(
        self,
        operations: tuple[Operation, ...],
        model: Model[Any],
        problem: Problem,
        transitions: Transitions,
        *,
        is_relaxed: bool,
    ) -> None:
        self._all, self._model, self._transitions, self._is_relaxed = operations, model, transitions, is_relaxed
        self._compiled = _engine.compile_table(
            problem.operations,
            problem.class_of,
            tuple(_bits(traits) for traits in problem.traits),
            problem.lapses,
            transitions,
            transitions.lookahead is not None,
        )
        _engine.hold(self._compiled, tuple(problem.exact))
        self.operations, self.steps, _, _, self.crashed, _ = _engine.figures(self._compiled)
        self.worth_relaxing = self.crashed and not model.unbounded
        self.can_begin_late = transitions.lookahead is not None

    def impossible(self) -> Operation | None:
        """See Subject, as for the rest."""
        return find_impossible(self._model, self._all)

    def run(self, how: Pass, meter: Meter, begin: int = 0) -> engines.PassEnd:
        state_of = self._transitions.states.__getitem__
        starts = self._transitions.states_before(begin) if begin else None
        return _run(self._compiled, how, meter, state_of, begin, starts, is_relaxed=self._is_relaxed)

    def relaxed(self, exact: frozenset[Hashable]) -> engines.Subject:
        problem, transitions = engines.relax(self._all, self._model, exact)
        return TableSubject(self._all, self._model, problem, transitions, is_relaxed=True)

    def within(self, horizon: int) -> engines.Subject:
        problem = retire(compile_problem(self._all, self._model), self._model, horizon)
        return TableSubject(self._all, self._model, problem, Transitions(problem, self._model), is_relaxed=False)

    def states(self) -> int:
        return len(self._transitions.states)

    def verify_hints(self, entries_max: int) -> bool:
        return self._transitions.close(entries_max)


def _bits(traits: Traits) -> int:
    return traits.observer * 1 + traits.total * 2 + traits.constant * 4


def _run(
    compiled: _engine.Problem,
    how: Pass,
    meter: Meter,
    state_of: Callable[[int], Any],
    begin: int,
    starts: tuple[int, ...] | None,
    *,
    is_relaxed: bool,
) -> engines.PassEnd:
    stop_at = meter.configurations_max
    if how.configurations_max is not None:
        stop_at = min(stop_at, meter.configurations + how.configurations_max)
    left = meter.seconds_left()
    ending, step, meter.configurations, meter.frontier_max, end = _engine.search(
        compiled,
        how.width or 0,
        how.burst,
        how.frontier_max or 0,
        how.relaxed,
        stop_at,
        meter.configurations,
        meter.frontier_max,
        -1.0 if left is None else max(left, 0.0),
        BYTES_MAX,
        begin,
        starts,
    )
    steps = _engine.figures(compiled)[1]

    def stuck() -> Stuck | None:
        if not steps:
            return None
        operation, prefix, survivors = _engine.stuck(end, 0 if begin else engines.SURVIVORS_MAX)
        if begin:
            return Stuck(operation, (), step, late=True)
        shown = tuple(Survivor(state_of(state), must, may) for state, (must, may) in survivors)
        return Stuck(operation, prefix, step, shown, relaxed=is_relaxed)

    return engines.PassEnd(ENDINGS[ending], step, lambda: _engine.linearization(end), stuck, lambda: _engine.uses(end))
