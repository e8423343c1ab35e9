"""Models with several next states against brute force that tries each of them (issue 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from msgspec import structs

from checker import native
from checker.history import Operation, Outcome
from checker.model import Refused, Traits
from checker.nondeterministic import NondeterministicModel
from checker.partition import Decision, Engine, check_operations
from tests.checker.generating import Shape, random_history
from tests.checker.test_engine_agrees_with_brute_force import PORTFOLIOS


def forgetful(state: Any, operation: Operation) -> Sequence[Any] | Refused:
    """A register that may forget an acknowledged write, and whose `swap` leaves one of two values."""
    match operation.f:
        case "write":
            return [operation.value, state]
        case "swap":
            return list(operation.value)
        case _:
            return [state] if state == operation.result else Refused(f"it holds {state}")


FORGETFUL: NondeterministicModel[Any] = NondeterministicModel(
    name="forgetful",
    initial=[None, 0],
    step=forgetful,
    label=lambda one: (one.f, str(one.value), one.result if one.f == "read" else None),
    traits=lambda one: Traits(observer=one.f == "read", total=one.f == "write", constant=one.f == "swap"),
)
PLAIN = replace(FORGETFUL, traits=NondeterministicModel(name="", initial=[], step=forgetful).traits)


def explained(left: list[Operation], state: Any) -> bool:
    """Brute force over orders and next states."""
    returns = [one.return_order for one in left if one.return_order is not None]
    if not returns:
        return True
    for one in left:
        if one.call_order <= min(returns):
            found = forgetful(state, one)
            rest = [other for other in left if other is not one]
            if not isinstance(found, Refused) and any(explained(rest, after) for after in found):
                return True
    return False


def drawn(seed: int) -> list[Operation]:
    rng = Random(f"{seed}/nondeterministic")
    shape = Shape(rng.randrange(3, 8), rng.randrange(2, 5), values=3, crashed=rng.choice([0.0, 0.3]), ties=0.1)
    operations = []
    for one in random_history(rng, shape):
        if one.f == "read":
            if one.return_order is not None:
                operations.append(structs.replace(one, result=rng.choice([None, 0, 1, 2])))
            continue
        outcome = Outcome.INFO if one.return_order is None else Outcome.OK
        f = "swap" if one.f == "cas" else "write"
        value = [rng.randrange(3), rng.randrange(3)] if f == "swap" else one.value
        operations.append(structs.replace(one, f=f, value=value, result=None, outcome=outcome, error=None))
    return operations


@pytest.mark.parametrize("engine", ["python", "c"])
def test_nondeterministic_models_get_the_verdict_of_brute_force(engine: Engine) -> None:
    if engine == "c" and not native.available():
        pytest.skip("no compiled engine")
    verdicts = {True: 0, False: 0}
    for seed in range(250):
        operations = drawn(seed)
        legal = any(explained(operations, state) for state in FORGETFUL.initial)
        verdicts[legal] += 1
        for model in (FORGETFUL, PLAIN):
            for name in ("default", "one at a time", "tiny caps", "soon"):
                result = check_operations(operations, model.to_model(), passes=PORTFOLIOS[name], engine=engine)
                assert (result.decision is Decision.OK) == legal, (seed, name)
    assert min(verdicts.values()) > 50
