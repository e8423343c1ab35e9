"""Every model, every pass of the engine forced, against brute force (issue 4, acceptance; checker.md §4.6 and §5).

The random histories have crashed operations, tied ranks and, for the priority queue, several next states. Each one is
judged by the passes that users get and by one forced sequence of passes; every third, by the model without refinements.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from msgspec import structs

from checker.history import Operation
from checker.linearization import replay
from checker.model import Model
from checker.models import MODELS
from checker.partition import Decision, check_operations
from checker.search import Pass
from tests.checker.model_histories import SCRIPTS, small_history
from tests.checker.oracle import is_linearizable
from tests.checker.test_engine_agrees_with_brute_force import PORTFOLIOS

PER_SCRIPT = 334
"""Times 18 scripts: more than 6,000 histories."""

PER_SLICE = 4_000
"""Soak: histories of one slice; 50 slices are 200,000."""

FORCED = tuple(passes for passes in PORTFOLIOS.values() if passes is not None)
EXACT = tuple(passes for passes in FORCED if not any(how.relaxed for how in passes))
"""For models that the search never relaxes (`Model.unbounded`)."""


def agrees(operations: Sequence[Operation], model: Model[Any], passes: Sequence[Pass] | None, *, legal: bool) -> bool:
    """Whether the engine's decision is the right one, and an order that it gives holds for the plain model."""
    result = check_operations(operations, model, passes=passes)
    if result.decision is not (Decision.OK if legal else Decision.ILLEGAL):
        return False
    order = result.linearization
    return order is None or replay(operations, order, replace(model, refine=None)) is None


def disagreements(script: str, seeds: Iterable[int]) -> list[int]:
    wrong = []
    for seed in seeds:
        model, operations = small_history(script, Random(f"{seed}/{script}"))
        legal = is_linearizable(operations, model)
        plain = replace(model, refine=None, impossible=None, footprint=None)
        portfolios = EXACT if model.unbounded and seed % 20 else FORCED
        forced = portfolios[seed % len(portfolios)]
        if not (
            agrees(operations, model, None, legal=legal)
            and agrees(operations, model, forced, legal=legal)
            and (seed % 3 or agrees(operations, plain, (Pass("depth-first", width=2),), legal=legal))
        ):
            wrong.append(seed)
    return wrong


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_model_gets_the_verdict_of_brute_force(script: str) -> None:
    assert disagreements(script, range(PER_SCRIPT)) == []


def test_every_model_has_a_script() -> None:
    assert {script.partition(",")[0] for script in SCRIPTS} == set(MODELS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_random_histories_are_not_one_sided(script: str) -> None:
    drawn = (small_history(script, Random(f"{seed}/{script}")) for seed in range(100))
    assert 30 < sum(is_linearizable(operations, model) for model, operations in drawn) < 93


@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name].impossible is not None])
def test_a_cheap_condition_never_blames_a_legal_history_and_often_finds_an_illegal_one(name: str) -> None:
    """Issue 4: cheap necessary conditions first. The operation named must be one that returned."""
    found = illegal = 0
    for seed in range(150):
        model, operations = small_history(name, Random(f"{seed}/{name}"))
        subject = [one for one in operations if one.outcome != "fail" or model.failure_observes(one)]
        assert model.impossible is not None
        culprit = model.impossible(model, subject)
        legal = is_linearizable(operations, model)
        assert culprit is None or not legal, seed
        found, illegal = found + (culprit is not None), illegal + (not legal)
    assert found > illegal // 10


def without_real_time(model: Model[Any], operations: Sequence[Operation]) -> Operation | None:
    """A planted fault: a queue's condition asked of a stack."""
    taking = MODELS["fifo-queue"].impossible
    assert taking is not None
    renamed = {"push": "enqueue", "pop": "dequeue"}
    return taking(model, [structs.replace(one, f=renamed[one.f]) for one in operations])


def test_brute_force_finds_a_wrong_condition() -> None:
    """A differential test that no fault fails would be no gate."""
    wrong = 0
    for seed in range(100):
        model, operations = small_history("stack", Random(f"{seed}/stack"))
        faulty = replace(model, impossible=without_real_time)
        wrong += not agrees(operations, faulty, None, legal=is_linearizable(operations, model))
    assert wrong > 0


@pytest.mark.soak
@pytest.mark.parametrize("part", range(50))
def test_two_hundred_thousand_histories_get_the_verdict_of_brute_force(part: int) -> None:
    """In slices: `-k "brute_force and [7]"` runs one; HISTRIO_SOAK_BASE shifts the seeds to fresh ones."""
    base = int(os.environ.get("HISTRIO_SOAK_BASE", "1000000")) + part * PER_SLICE
    share = -(-PER_SLICE // len(SCRIPTS))
    assert {script: wrong for script in SCRIPTS if (wrong := disagreements(script, range(base, base + share)))} == {}
