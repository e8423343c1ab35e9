"""The engine against brute force, every pass forced, and mutants of the engine against the same test.

checker.md §5 tells why: two real bugs of the prototype were found by exactly this test, and by nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
from msgspec import structs

from checker import engines, partition, search
from checker.history import Operation, Outcome
from checker.linearization import replay
from checker.model import Model, Refused, Traits
from checker.models import MODELS
from checker.partition import Decision, check_operations
from checker.search import Pass
from tests.checker.generating import Shape, random_history, spoil
from tests.checker.oracle import is_linearizable

CAS = MODELS["cas-register"]

PORTFOLIOS: dict[str, tuple[Pass, ...] | None] = {
    "default": None,
    "breadth-first": (Pass("breadth-first"),),
    "one at a time": (Pass("depth-first", width=1, burst=1),),
    "chunks of two": (Pass("depth-first", width=2),),
    "relaxed first": (Pass("relaxed", frontier_max=50, relaxed=True), Pass("depth-first", width=1)),
    "tiny caps": (
        Pass("breadth-first", frontier_max=1),
        Pass("depth-first", width=1, configurations_max=3),
        Pass("relaxed", frontier_max=2, relaxed=True),
        Pass("breadth-first", frontier_max=2),
        Pass("depth-first", width=1),
    ),
    "soon": (
        Pass("soon-1", horizon=1),
        Pass("soon-2", width=1, horizon=2),
        Pass("late-1", late=1),
        Pass("depth-first", width=2),
    ),
    "late": (
        Pass("depth-first", width=1, configurations_max=6),
        Pass("late-1", late=1),
        Pass("late-2", late=2, relaxed=True),
        Pass("late-2", late=2, relaxed=True),
        Pass("late-3", late=3),
        Pass("late-1-depth-first", width=1, late=1),
        Pass("depth-first", width=1),
    ),
}

MODELS_UNDER_TEST: dict[str, Model[Any]] = {
    "all rules": CAS,
    "no look-ahead": replace(CAS, footprint=None),
    "no hints": replace(CAS, footprint=None, traits=Model(name="", initial=None, step=CAS.step).traits),
}


def small_history(seed: int) -> list[Operation]:
    """3 to 9 operations by 2 to 5 clients, often with crashes and tied times, half of them spoiled."""
    rng = Random(f"{seed}/brute-force")
    shape = Shape(
        operations=rng.randrange(3, 10),
        clients=rng.randrange(2, 6),
        values=rng.choice([2, 3, 0]),
        cas=rng.choice([0.0, 0.3, 0.6]),
        read=rng.choice([0.2, 0.5]),
        crashed=rng.choice([0.0, 0.2, 0.5]),
        ties=rng.choice([0.0, 0.0, 0.4]),
        mismatch=rng.choice([0.0, 1.0]),
    )
    operations = random_history(rng, shape)
    for _ in range(rng.randrange(3)):
        operations = spoil(rng, operations, shape)
    return operations


def disagreements(seeds: Sequence[int], model: Model[Any], passes: Sequence[Pass] | None) -> list[int]:
    """Seeds on which the engine is wrong, or right with an order that does not hold."""
    wrong = []
    for seed in seeds:
        operations = small_history(seed)
        result = check_operations(operations, model, passes=passes, engine="python")
        expected = Decision.OK if is_linearizable(operations, model) else Decision.ILLEGAL
        order = result.linearization
        if result.decision is not expected or (order is not None and replay(operations, order, model) is not None):
            wrong.append(seed)
    return wrong


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_every_pass_gives_the_verdict_of_brute_force(portfolio: str) -> None:
    assert disagreements(range(250), CAS, PORTFOLIOS[portfolio]) == []


@pytest.mark.parametrize("rules", MODELS_UNDER_TEST)
def test_every_set_of_hints_gives_the_verdict_of_brute_force(rules: str) -> None:
    assert disagreements(range(5_000, 5_200), MODELS_UNDER_TEST[rules], PORTFOLIOS["chunks of two"]) == []


def test_the_random_histories_are_not_one_sided() -> None:
    """A differential test in which every history is legal would prove little."""
    legal = sum(is_linearizable(small_history(seed), CAS) for seed in range(300))
    assert 90 <= legal <= 240


MUTANTS: dict[str, tuple[str, str]] = {
    "a returning operation that need not happen is not tried": ("if (must | may) & bit and", "if must & bit and"),
    "dominance forgets what must still happen": (
        "if not other_must & ~must and not may & ~other_may:",
        "if not may & ~other_may:",
    ),
    "every operation absorbs, not only constant ones": (
        "            if constant:\n                owed &= ~absorbable",
        "            owed &= ~absorbable",
    ),
    "an operation takes effect twice": ("left = may & ~(used & ~reusable)", "left = may"),
    "observers take effect where they are illegal": ("                if after >= 0:\n", "                if after:\n"),
    "a value is forgotten one step too early": (
        "facts[after].mentioned_until < step:",
        "facts[after].mentioned_until <= step:",
    ),
    "writers that are still to come are overlooked": (
        "if about.made_until > step:",
        "if about.made_until < 0:",
    ),
    "the depth-first search drops what waits": (
        "frame.waiting = frame.waiting[: len(frame.waiting) - len(taken)]",
        "frame.waiting = []",
    ),
    "the depth-first search drops what it postpones": (
        "return not self.waiting and self.head == len(self.queue)",
        "return not self.waiting",
    ),
}
"""Hand-made faults of the engine: (text of checker/search.py, what it becomes)."""


@pytest.mark.parametrize("fault", MUTANTS)
def test_brute_force_finds_a_planted_fault_of_the_engine(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A differential test that no mutant fails would be no gate."""
    source = Path(search.__file__).read_text()
    original, broken = MUTANTS[fault]
    assert source.count(original) == 1
    mutant = ModuleType("mutant")
    monkeypatch.setitem(sys.modules, "mutant", mutant)
    exec(compile(source.replace(original, broken), "mutant", "exec"), mutant.__dict__)
    monkeypatch.setattr(engines, "Search", mutant.Search)
    monkeypatch.setattr(partition, "Ending", mutant.Ending)
    chunks = (range(start, start + 100) for start in range(0, 4_000, 100))
    assert any(disagreements(seeds, CAS, passes) for seeds in chunks for passes in (None, PORTFOLIOS["one at a time"]))


def dial_step(state: int, operation: Operation) -> int | Refused:
    match operation.f:
        case "turn":
            return (state + 1) % 3
        case "set":
            return int(operation.value)
        case _:
            return state if state == operation.result else Refused(f"the dial shows {state}")


DIAL: Model[Any] = Model(
    name="dial",
    initial=0,
    step=dial_step,
    label=lambda operation: (operation.f, operation.value, operation.result if operation.f == "read" else None),
    traits=lambda operation: Traits(
        observer=operation.f == "read", total=operation.f == "turn", constant=operation.f == "set"
    ),
)
"""A dial of three positions: `turn` is legal everywhere and no constant, crashed turns are equal to completed ones."""


def on_a_dial(rng: Random, operation: Operation) -> Operation:
    if operation.f == "read":
        return structs.replace(operation, result=rng.randrange(3))
    f, value = ("turn", None) if operation.f == "cas" else ("set", operation.value % 3)
    outcome = Outcome.INFO if operation.return_order is None else Outcome.OK
    return structs.replace(operation, f=f, value=value, result=None, outcome=outcome, error=None)


@pytest.mark.parametrize("portfolio", ["default", "one at a time", "tiny caps"])
def test_total_operations_that_are_no_constants_get_the_verdict_of_brute_force(portfolio: str) -> None:
    """Rule 4 of docs/checker.md, where a crashed or absorbed operation and one that must return are equal."""
    legal = 0
    for seed in range(300):
        rng = Random(f"{seed}/dial")
        shape = Shape(rng.randrange(4, 9), rng.randrange(3, 6), cas=0.5, read=0.3, crashed=rng.choice([0.0, 0.2]))
        operations = [on_a_dial(rng, one) for one in random_history(rng, shape)]
        operations = [one for one in operations if one.f != "read" or one.return_order is not None]
        expected = is_linearizable(operations, DIAL)
        result = check_operations(operations, DIAL, passes=PORTFOLIOS[portfolio], engine="python")
        assert (result.decision is Decision.OK) == expected, seed
        assert result.linearization is None or replay(operations, result.linearization, DIAL) is None
        legal += expected
    assert 60 < legal < 270


@pytest.mark.soak
def test_a_hundred_and_twenty_thousand_histories_give_the_verdict_of_brute_force() -> None:
    for passes in PORTFOLIOS.values():
        assert disagreements(range(10_000, 30_000), CAS, passes) == []
