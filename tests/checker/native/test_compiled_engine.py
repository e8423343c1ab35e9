"""The compiled engine does the search of the pure Python one, step for step; and both agree with brute force (issue 4).

Equality is asked of everything that a result says: decision, pass, figures, the order, the operation it got stuck at,
the longest prefix and the surviving configurations. The pure Python engine is tested against brute force by itself.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec import structs

from checker import native, partition
from checker.errors import EngineUnavailable, IllFormedHistory, ModelError
from checker.history import Frozen, History, Operation, Outcome
from checker.linearizability import check_history
from checker.linearization import replay
from checker.model import Model, Traits
from checker.models import MODELS
from checker.partition import Budget, Decision, Engine, Result, check_operations
from checker.records import HistoryLine, LineType
from checker.search import Pass
from tests.checker.generating import Shape, random_history, spoil
from tests.checker.model_histories import SCRIPTS
from tests.checker.model_histories import small_history as small_history_of
from tests.checker.native.compiling import COMPILER, compiled, load
from tests.checker.oracle import is_linearizable
from tests.checker.test_engine_agrees_with_brute_force import MODELS_UNDER_TEST, PORTFOLIOS, small_history

CAS = MODELS["cas-register"]

ENGINES: tuple[Engine, ...] = ("python", "c")

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler on this machine")


@pytest.fixture(scope="module", autouse=True)
def _engine_from_this_source(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The engine under test is compiled from the source beside it, not what an older installation left behind."""
    if COMPILER is None:
        if not native.available():
            pytest.skip("no compiled engine, and no compiler to build one")
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        use(load("fresh", compiled(tmp_path_factory.mktemp("engine"), {}, "-O1")), patch)
        yield


def use(module: Any, patch: pytest.MonkeyPatch) -> None:
    """Let the compiled engine be `module`."""
    patch.setattr(native, "why_unavailable", lambda: None)
    if importlib.util.find_spec("checker.native._engine") is None:
        patch.setitem(__import__("sys").modules, "checker.native._engine", module)
    from checker.native import subject

    patch.setattr(subject, "_engine", module)


def both(
    operations: Sequence[Operation],
    model: Model[Any],
    passes: Sequence[Pass] | None,
    budget: Budget = partition.DEFAULT_BUDGET,
) -> tuple[Result, Result]:
    """What the two engines say, the name of the engine aside."""
    python = check_operations(operations, model, passes=passes, budget=budget, engine="python")
    compiled_one = check_operations(operations, model, passes=passes, budget=budget, engine="c")
    assert (python.engine, compiled_one.engine) == ("python", "c")
    return python, replace(compiled_one, engine="python")


def differences(seeds: Sequence[int], portfolios: Sequence[str] = tuple(PORTFOLIOS)) -> list[tuple[int, str, str]]:
    """(seed, portfolio, hints) wherever the two engines do not say the same."""
    wrong = []
    for seed in seeds:
        operations = small_history(seed)
        for name in portfolios:
            for rules, model in MODELS_UNDER_TEST.items():
                python, other = both(operations, model, PORTFOLIOS[name])
                if python != other:
                    wrong.append((seed, name, rules))
    return wrong


@needs_compiler
def test_the_source_compiles_without_a_warning(tmp_path: Path) -> None:
    assert compiled(tmp_path, {}, "-O2", "-Wshadow", "-Wstrict-prototypes").exists()


def test_both_engines_say_the_same_in_every_pass_with_and_without_hints() -> None:
    assert differences(range(50_000, 50_250)) == []


def test_the_compiled_engine_gives_the_verdict_of_brute_force() -> None:
    wrong = []
    for seed in range(60_000, 61_000):
        operations = small_history(seed)
        legal = is_linearizable(operations, CAS)
        for passes in PORTFOLIOS.values():
            result = check_operations(operations, CAS, passes=passes, engine="c")
            order = result.linearization
            if (result.decision is Decision.OK) != legal or (order and replay(operations, order, CAS) is not None):
                wrong.append(seed)
    assert wrong == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_both_engines_say_the_same_of_every_model(script: str) -> None:
    for seed in range(80):
        model, operations = small_history_of(script, Random(f"{seed}/{script}/native"))
        for name in ("default", "one at a time", "tiny caps"):
            python, other = both(operations, model, PORTFOLIOS[name])
            assert python == other, (seed, name)


@pytest.mark.parametrize("clients", [70, 130, 200, 300])
def test_both_engines_say_the_same_with_more_open_operations_than_a_machine_word_has_bits(clients: int) -> None:
    """Sets of 2, 3 (or 4) and 5 words: each width that is compiled by itself, and the general one."""
    for seed in range(4):
        rng = Random(f"{seed}/{clients}/wide")
        shape = Shape(400, clients, values=rng.choice([3, 0]), cas=rng.choice([0.0, 0.3]), crashed=rng.choice([0, 0.3]))
        operations = random_history(rng, shape)
        operations = spoil(rng, operations, shape) if seed % 2 else operations
        for passes in (None, PORTFOLIOS["chunks of two"]):
            python, other = both(operations, CAS, passes, Budget(1_500))
            assert python == other, seed


def test_an_order_of_many_operations_holds() -> None:
    """Trails are swept several times on the way."""
    operations = random_history(Random("long"), Shape(30_000, 10))
    result = check_operations(operations, CAS, budget=Budget(5_000_000), engine="c")
    assert result.decision is Decision.OK
    assert result.linearization is not None
    assert replay(operations, result.linearization, CAS) is None


def test_the_same_budget_gives_the_same_answer() -> None:
    operations = random_history(Random("budget"), Shape(300, 60, values=0, cas=0.2))
    for configurations in (1, 2, 50, 700):
        python, other = both(operations, CAS, None, Budget(configurations))
        assert python == other
        assert python.decision is Decision.UNKNOWN


def test_values_are_told_apart_as_python_tells_them() -> None:
    """true is not 1, 1.0 is not 1, [1] is [1]; an integer beyond 64 bits is a value like any other."""
    values: list[Any] = [1, True, 1.0, "1", [1], {"a": 1}, None, 1 << 80, Frozen("true")]
    for written in values:
        for read in values:
            operations = [
                Operation(
                    index=0, process=0, f="write", value=written, outcome=Outcome.OK, call_order=0, return_order=1
                ),
                Operation(index=2, process=0, f="read", result=read, outcome=Outcome.OK, call_order=2, return_order=3),
            ]
            python, other = both(operations, CAS, None)
            assert python == other


def test_what_the_model_does_not_know_is_reported_by_both() -> None:
    good = Operation(index=0, process=0, f="write", value=1, outcome=Outcome.OK, call_order=0, return_order=1)
    for bad in (
        structs.replace(good, f="increment"),
        structs.replace(good, f="cas", value=7),
        structs.replace(good, f="cas", value=[1, 2, 3]),
        structs.replace(good, return_order=-1),
    ):
        messages = []
        for engine in ENGINES:
            with pytest.raises(IllFormedHistory) as raised:
                check_operations([bad], CAS, engine=engine)
            messages.append(str(raised.value))
        assert messages[0] == messages[1]


def test_a_wrong_hint_is_an_error_of_the_model_in_the_compiled_engine_too() -> None:
    wrong = replace(CAS, traits=lambda operation: Traits(observer=True))
    with pytest.raises(ModelError, match="an observer, but it changes the state"):
        check_operations(random_history(Random(1), Shape(20, 3)), wrong, engine="c")


def test_a_model_that_raises_stops_the_search_with_its_own_error() -> None:
    def step(state: Any, operation: Operation) -> Any:
        raise ZeroDivisionError("the model is broken")

    with pytest.raises(ZeroDivisionError, match="the model is broken"):
        check_operations(random_history(Random(1), Shape(20, 3)), replace(CAS, step=step), engine="c")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that needs more memory than it may have ends as if its budget were used up."""
    from checker.native import subject

    monkeypatch.setattr(subject, "BYTES_MAX", 300_000)
    operations = random_history(Random("memory"), Shape(600, 80, values=150, cas=0.2))
    result = check_operations(operations, CAS, engine="c")
    assert result.decision is Decision.UNKNOWN


def test_a_limit_in_seconds_is_kept() -> None:
    operations = random_history(Random("seconds"), Shape(600, 80, values=150, cas=0.2))
    result = check_operations(operations, CAS, budget=Budget(10**9, seconds=0.0), engine="c")
    assert result.decision is Decision.UNKNOWN


def keyed(keys: int, operations_each: int) -> History:
    """Keys whose clients write and read one after the other; every third key ends with a read of an older value."""
    lines: list[HistoryLine] = []

    def add(process: int, kind: LineType, f: str, key: int, value: Any) -> None:
        place = len(lines)
        lines.append(HistoryLine(index=place, time_ns=place, process=process, type=kind, f=f, key=key, value=value))

    for key in range(keys):
        for number in range(operations_each):
            add(key, LineType.INVOKE, "write", key, number)
            add(key, LineType.OK, "write", key, number)
        add(key, LineType.INVOKE, "read", key, None)
        add(key, LineType.OK, "read", key, 0 if key % 3 == 2 else operations_each - 1)
    return History(lines)


def test_keys_judged_side_by_side_give_the_answer_of_keys_judged_in_turn() -> None:
    history = keyed(keys=12, operations_each=500)
    side_by_side = check_history(history, CAS, engine="c", explain=False)
    in_turn = check_history(history, CAS, engine="python", explain=False)
    assert side_by_side.evidence.figures["engine"] == "c"
    assert side_by_side.evidence.figures["illegal"] == [2, 5, 8, 11]
    figures = dict(in_turn.evidence.figures, engine="c")
    assert side_by_side == structs.replace(in_turn, evidence=structs.replace(in_turn.evidence, figures=figures))


def test_a_register_is_searched_without_the_interpreters_lock() -> None:
    """Another thread goes on while one long search runs."""
    operations = random_history(Random("lock"), Shape(1_000, 100, values=0, cas=0.3))
    ticks, done = 0, threading.Event()

    def search() -> None:
        check_operations(operations, CAS, budget=Budget(300_000), passes=(Pass("depth-first", width=64),), engine="c")
        done.set()

    thread = threading.Thread(target=search)
    thread.start()
    while not done.is_set():
        ticks += 1
    thread.join()
    assert ticks > 1_000


def test_an_engine_that_is_not_there_is_an_error_only_for_those_who_insist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "why_unavailable", lambda: "it was not built")
    operations = random_history(Random(1), Shape(20, 3))
    assert check_operations(operations, CAS).engine == "python"
    with pytest.raises(EngineUnavailable, match="asked for, but it was not built"):
        check_operations(operations, CAS, engine="c")


MUTANTS: dict[str, tuple[str, str, str]] = {
    "a returning operation that need not happen is not tried": (
        "search.c",
        "if (has(owed, returning) || has(left, returning)) {",
        "if (has(owed, returning)) {",
    ),
    "dominance forgets what must still happen": (
        "antichain.h",
        "not_as_good |= (other[w] & ~must[w]) | (may[w] & ~other[W + w]);",
        "not_as_good |= may[w] & ~other[W + w];",
    ),
    "every operation absorbs, not only constant ones": (
        "search.c",
        "        if (move.constant)\n",
        "        if (move.after >= 0)\n",
    ),
    "an operation takes effect twice": (
        "search.c",
        "if (!(s->pass->relaxed && has(s->open.reusable, move.slot)))",
        "if (s->pass->relaxed)",
    ),
    "a value is forgotten one step too early": (
        "search.c",
        "if (o->looks_ahead && o->facts[after].mentioned_until < step) {",
        "if (o->looks_ahead && o->facts[after].mentioned_until <= step) {",
    ),
    "the depth-first search drops what waits": (
        "search.c",
        "frame->waiting.n = n - taken;",
        "frame->waiting.n = 0;",
    ),
    "writers that are still to come are overlooked": (
        "search.c",
        "if (about->made_until > step) return false;",
        "if (about->made_until < 0) return false;",
    ),
    "observers take effect where they are illegal": (
        "search.c",
        "step_of(s, state, open->pool[at].kind) >= 0)",
        "step_of(s, state, open->pool[at].kind) >= REFUSED)",
    ),
    "a failed cas says nothing": (
        "oracle.c",
        "case CAS_REFUSED: return state == op->from ? REFUSED : state;",
        "case CAS_REFUSED: return state;",
    ),
    "absorbed operations are lost from the order": (
        "witness.c",
        "w->order_n += w->absorbable_n;",
        "w->order_n += 0;",
    ),
}
"""Hand-made faults of the engine: (file, text, what it becomes)."""


@needs_compiler
@pytest.mark.parametrize("fault", MUTANTS)
def test_brute_force_finds_a_planted_fault_of_the_compiled_engine(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verdicts and orders alone must give it away, without the other engine."""
    file, original, broken = MUTANTS[fault]
    use(load("mutant", compiled(tmp_path, {file: (original, broken)}, "-O0")), monkeypatch)
    assert any(wrong_verdict(seed) for seed in range(4_000))


def wrong_verdict(seed: int) -> bool:
    operations = small_history(seed)
    legal: bool | None = None
    for passes in (None, PORTFOLIOS["one at a time"]):
        result = check_operations(operations, CAS, passes=passes, engine="c")
        legal = is_linearizable(operations, CAS) if legal is None else legal
        order = result.linearization
        if (result.decision is Decision.OK) != legal or (order and replay(operations, order, CAS) is not None):
            return True
    return False


@pytest.mark.soak
def test_forty_thousand_histories_get_the_same_answer_from_both_engines() -> None:
    assert differences(range(100_000, 140_000), ("default", "one at a time", "tiny caps")) == []
