"""A model's behaviour as a table of integers, filled on demand; every entry is checked against the model's hints.

The search asks only this table. Here belong interning, the table and the verification of hints, nothing else.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from checker.errors import ModelError
from checker.lookahead import Lookahead, ValueFacts, look_ahead, possible_before
from checker.model import ELSEWHERE, Model, Nothing, Refused
from checker.problem import Problem

__all__ = ["REFUSED", "Transitions"]

REFUSED = -1
"""In the table: the operation is illegal in the state."""


class Transitions:
    """States interned to integers (0 is the start) and the table state x class -> state, filled on demand.

    Every entry is checked against the class's traits when it is filled.
    """

    __slots__ = (
        "_constants",
        "_model",
        "_numbers",
        "_outside",
        "elsewhere",
        "facts",
        "lookahead",
        "problem",
        "rows",
        "states",
    )

    def __init__(self, problem: Problem, model: Model[Any]) -> None:
        self.problem = problem
        self._model = model
        self.states: list[Hashable] = [model.initial]
        self.rows: list[dict[int, int]] = [{}]
        self._numbers: dict[Hashable, int] = {model.initial: 0}
        self._constants: dict[int, int] = {}
        self._outside: dict[int, bool] = {}
        self.lookahead: Lookahead | None = look_ahead(problem, model)
        self.facts: list[ValueFacts] = []
        """Per state, if there is a look-ahead."""
        self.elsewhere = -2
        """The state ELSEWHERE, if there is a look-ahead; -2 is no state."""
        if self.lookahead is not None:
            self.facts.append(self.lookahead.about(model.initial))
            self.elsewhere = self._intern(ELSEWHERE)

    def step(self, state: int, kind: int) -> int:
        """The state after an operation of class `kind`, or REFUSED. Raises ModelError for a broken promise."""
        row = self.rows[state]
        known = row.get(kind)
        if known is not None:
            return known
        after = self._model.step(self.states[state], self.problem.classes[kind])
        number = REFUSED if isinstance(after, Refused) else self._intern(after)
        self._verify(state, kind, number)
        if self.lookahead is not None:
            self._verify_footprint(state, kind, number, self.lookahead)
        row[kind] = number
        return number

    def close(self, entries_max: int) -> bool:
        """Fill the table for all reachable states, at most `entries_max` entries; True if it is now complete.

        Verifies every hint everywhere it could matter: an eager choice made on the strength of a wrong hint hides the
        very states that would refute it.
        """
        kinds = range(len(self.problem.classes))
        state = 0
        while state < len(self.states):
            entries_max -= len(kinds)
            if entries_max < 0:
                return False
            known = self.rows[state]
            for kind in kinds:
                if kind not in known:
                    self.step(state, kind)
            state += 1
        return True

    def states_before(self, step: int) -> tuple[int, ...]:
        """Every state that may be when `step` begins, whatever came before. Only where there is a look-ahead."""
        assert self.lookahead is not None, "only the footprints of a model say which states there may be"
        found = possible_before(self.problem, self.lookahead, self._model.initial, step)
        return tuple(self._intern(value) for value in found)

    def _intern(self, state: Hashable) -> int:
        number = self._numbers.setdefault(state, len(self.states))
        if number == len(self.states):
            self.states.append(state)
            self.rows.append({})
            if self.lookahead is not None:
                self.facts.append(self.lookahead.about(state))
        return number

    def _verify(self, state: int, kind: int, after: int) -> None:
        traits = self.problem.traits[kind]
        if after == REFUSED:
            if traits.total or traits.constant:
                self._broken(state, kind, "legal in every state, but it is refused")
            return
        if traits.observer and after != state:
            self._broken(state, kind, "an observer, but it changes the state")
        if traits.constant and self._constants.setdefault(kind, after) != after:
            self._broken(state, kind, "constant, but it leads elsewhere from another state")

    def _verify_footprint(self, state: int, kind: int, after: int, lookahead: Lookahead) -> None:
        declared, value = lookahead.footprints[kind], self.states[state]
        inside = value in declared.mentions
        if after == REFUSED:
            if not (declared.shuns if inside else declared.demands):
                self._broken(state, kind, "with a footprint that does not say that it is refused")
            return
        if declared.shuns if inside else declared.demands:
            self._broken(state, kind, "with a footprint that says that it is refused, but it is legal")
        if after != state and (isinstance(declared.makes, Nothing) or self.states[after] != declared.makes):
            self._broken(state, kind, "with a footprint that makes another value")
        if (
            not inside
            and value != declared.makes
            and self._outside.setdefault(kind, after == state) != (after == state)
        ):
            self._broken(state, kind, "with a footprint that does not mention it, but treats it unlike other states")

    def _broken(self, state: int, kind: int, promise: str) -> None:
        model, operation = self._model, self.problem.classes[kind]
        raise ModelError(
            f"model {model.name} declares {model.describe_operation(operation)} {promise} "
            f"in state {self.states[state]!r}"
        )
