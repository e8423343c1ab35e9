"""Passes that begin in the middle (docs/checker.md, rule 14) refuse no legal history, wherever they begin."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from msgspec import structs

from checker.engines import prepare
from checker.models import MODELS
from checker.partition import Decision, check_operations
from checker.search import Ending, Meter, Pass
from tests.checker.generating import Shape, random_history
from tests.checker.native.compiling import COMPILER, compiled, load
from tests.checker.oracle import is_linearizable
from tests.checker.test_engine_agrees_with_brute_force import small_history

CAS = MODELS["cas-register"]

WAYS = (Pass("late"), Pass("late", width=1), Pass("late", relaxed=True), Pass("late", relaxed=True, width=1))


def refused(seed: int, engine: str = "python") -> int:
    """How many late passes of all that there can be find the history illegal."""
    operations = small_history(seed)
    subject = prepare(operations, CAS, engine)  # type: ignore[arg-type]
    relaxed = subject.relaxed(frozenset())
    ends = [
        (relaxed if how.relaxed else subject).run(how, Meter(100_000), begin).ending
        for begin in range(1, subject.steps)
        for how in WAYS
    ]
    assert {Ending.LINEARIZED, Ending.STUCK} >= set(ends)
    return ends.count(Ending.STUCK)


def test_a_search_that_begins_in_the_middle_refuses_no_legal_history() -> None:
    found = 0
    for seed in range(20_000, 20_500):
        late = refused(seed)
        found += late > 0
        assert not (late and is_linearizable(small_history(seed), CAS)), seed
    assert found > 50, "late passes that never find anything would pass this test too"


MUTANTS = {
    "what is open is not on offer": ("checker/search.py", "may & ~returned, None)", "0, None)"),
    "only the last value may be there": ("checker/lookahead.py", "deadline >= replaced]", "deadline > replaced + 1]"),
    "values of crashed operations are forgotten": (
        "checker/lookahead.py",
        "            until[print_.makes] = max(",
        "            until[print_.makes] = -1 if deadline > step + 100 else max(",
    ),
}
"""Hand-made faults: (file, text, what it becomes)."""


@pytest.mark.parametrize("fault", MUTANTS)
def test_brute_force_finds_a_planted_fault_of_late_passes(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from checker import lookahead, search, transitions

    file, original, broken = MUTANTS[fault]
    source = Path(file).read_text()
    assert source.count(original) == 1
    module = search if file.endswith("search.py") else lookahead
    mutant = dict(vars(module))
    exec(compile(source.replace(original, broken), "mutant", "exec"), mutant)
    if module is search:
        monkeypatch.setattr(search.Search, "_starts", mutant["Search"]._starts)
    else:
        monkeypatch.setattr(transitions, "possible_before", mutant["possible_before"])
    assert any(refused(seed) and is_linearizable(small_history(seed), CAS) for seed in range(2_000))


@pytest.mark.skipif(COMPILER is None, reason="no C compiler on this machine")
def test_brute_force_finds_a_planted_fault_of_late_passes_in_the_compiled_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from checker import native
    from checker.native import subject

    change = {"problem.c": ("if (until[(*states)[i]] >= replaced)", "if (until[(*states)[i]] > replaced + 1)")}
    monkeypatch.setattr(native, "why_unavailable", lambda: None)
    monkeypatch.setattr(subject, "_engine", load("late", compiled(tmp_path, change, "-O0")))
    assert any(refused(seed, "c") and is_linearizable(small_history(seed), CAS) for seed in range(2_000))


def test_an_illegal_history_of_many_clients_is_decided_where_it_is_illegal() -> None:
    """Breadth-first this takes hundreds of thousands of configurations (issue 4)."""
    decided = 0
    for seed in range(8):
        rng = Random(f"{seed}/late")
        operations = random_history(rng, Shape(1_000, 40, values=8, cas=0.4))
        reads = [place for place, one in enumerate(operations) if one.f == "read" and place > 400]
        result = check_operations(operations, CAS)
        for _ in range(50):
            place, other = rng.choice(reads), rng.choice(reads)
            operations[place] = structs.replace(operations[place], result=operations[other].result)
            result = check_operations(operations, CAS)
            if result.decision is not Decision.OK:
                break
        assert result.decision is Decision.ILLEGAL
        assert result.stuck is not None
        assert result.stuck.late == result.phase.startswith("late-")
        assert result.stuck.prefix
        decided += result.stuck.late
    assert decided >= 2
