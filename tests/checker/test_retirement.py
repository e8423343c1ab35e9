"""Crashed operations lose their place when nobody can need them (docs/checker.md, rule 15): nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import ModuleType

import pytest
from msgspec import structs

from checker import engines, native, retirement
from checker.history import Operation, Outcome
from checker.lookahead import look_ahead
from checker.models import MODELS
from checker.partition import Decision, Engine, check_operations
from checker.problem import NEVER, compile_problem
from checker.retirement import retire
from checker.search import Pass
from tests.checker.generating import Shape, random_history
from tests.checker.native.compiling import COMPILER, compiled, load
from tests.checker.oracle import is_linearizable
from tests.checker.test_engine_agrees_with_brute_force import PORTFOLIOS

REGISTER, CAS = MODELS["register"], MODELS["cas-register"]


def many_crashed(seed: int) -> list[Operation]:
    """4 to 9 operations, half of them crashed; half of the reads say what any of them might have made."""
    rng = Random(f"{seed}/retirement")
    shape = Shape(
        operations=rng.randrange(4, 10),
        clients=rng.randrange(2, 5),
        values=rng.choice([2, 3, 0]),
        cas=rng.choice([0.0, 0.4, 0.6]),
        read=rng.choice([0.3, 0.5]),
        crashed=rng.choice([0.3, 0.6]),
        ties=rng.choice([0.0, 0.3]),
        mismatch=rng.choice([0.0, 0.0, 1.0]),
    )
    operations = random_history(rng, shape)
    made = [one.value if one.f == "write" else one.value[1] for one in operations if one.f != "read"]
    for place, one in enumerate(operations):
        if one.f == "read" and one.outcome is Outcome.OK and made and rng.random() < 0.5:
            operations[place] = structs.replace(one, result=rng.choice(made))
    return operations


def wrong(seeds: Sequence[int], engine: Engine) -> list[int]:
    found = []
    for seed in seeds:
        operations = many_crashed(seed)
        legal = is_linearizable(operations, CAS)
        for passes in (PORTFOLIOS["breadth-first"], PORTFOLIOS["soon"], (Pass("relaxed", relaxed=True),)):
            decision = check_operations(operations, CAS, passes=passes, engine=engine).decision
            if decision is (Decision.ILLEGAL if legal else Decision.OK):
                found.append(seed)
    return found


@pytest.mark.parametrize("engine", ["python", "c"])
def test_histories_of_mostly_crashed_operations_get_the_verdict_of_brute_force(engine: Engine) -> None:
    if engine == "c" and not native.available():
        pytest.skip("no compiled engine")
    assert wrong(range(800), engine) == []


@pytest.mark.soak
def test_twenty_thousand_histories_of_mostly_crashed_operations_get_the_verdict_of_brute_force() -> None:
    assert wrong(range(10_000, 30_000), "python") == []


MUTANTS = {
    "an operation lapses a step too early": (
        "found[number] = last + 1",
        "found[number] = max(last, called[number] + 1)",
    ),
    "what a crashed operation asks for is forgotten": (
        "            for value in print_.mentions:\n                if",
        "            for value in ():\n                if",
    ),
    "those who need another value are forgotten": (
        "if prints[kind].shuns), default=-1)",
        "if not prints), default=-1)",
    ),
}
"""Hand-made faults: (text of checker/retirement.py, what it becomes)."""


@pytest.mark.parametrize("fault", MUTANTS)
def test_brute_force_finds_a_planted_fault_of_retirement(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(retirement.__file__).read_text()
    original, broken = MUTANTS[fault]
    assert source.count(original) == 1
    mutant = ModuleType("mutant")
    exec(compile(source.replace(original, broken), "mutant", "exec"), mutant.__dict__)
    monkeypatch.setattr(engines, "retire", mutant.retire)
    assert any(wrong(range(start, start + 100), "python") for start in range(0, 10_000, 100))


@pytest.mark.skipif(COMPILER is None, reason="no C compiler on this machine")
def test_brute_force_finds_a_planted_fault_of_retirement_in_the_compiled_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from checker.native import subject

    change = {"problem.c": ("p->lapse[i] = last + 1;", "p->lapse[i] = last > called_in[i] ? last : last + 1;")}
    monkeypatch.setattr(native, "why_unavailable", lambda: None)
    monkeypatch.setattr(subject, "_engine", load("retired", compiled(tmp_path, change, "-O0")))
    assert any(wrong(range(start, start + 100), "c") for start in range(0, 10_000, 100))


def test_sets_stay_narrow_although_crashed_operations_add_up() -> None:
    """1 % of 20,000 writes of unique values crash: without retirement, more than a hundred would be open at the end."""
    operations = random_history(Random("narrow"), Shape(20_000, 10, values=0, cas=0.0, crashed=0.01))
    problem = compile_problem(operations, REGISTER)
    assert max(problem.bits).bit_length() > 100
    assert max(retire(problem, REGISTER).bits).bit_length() < 40


def test_nothing_is_retired_where_a_model_does_not_say_what_operations_ask_for() -> None:
    model = replace(CAS, footprint=None)
    problem = compile_problem(random_history(Random(1), Shape(300, 5, crashed=0.2)), model)
    assert set(retire(problem, model).lapses) == {NEVER}
    assert look_ahead(problem, model) is None
    assert set(retire(problem, model, horizon=10).lapses) != {NEVER}


def test_crashed_operations_that_take_effect_soon_or_never_are_decided_before_the_rest_is_tried() -> None:
    operations = random_history(Random("soon"), Shape(12_000, 8, crashed=0.005))
    result = check_operations(operations, CAS)
    assert (result.decision, result.phase) == (Decision.OK, "soon")
