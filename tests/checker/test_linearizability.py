"""Verdicts on whole histories and the evidence for them: issue 2, checker.md §7."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec import structs

from checker.__main__ import main
from checker.errors import IllFormedHistory, ModelError
from checker.formats import load_history
from checker.history import History, Operation, Outcome
from checker.jsonl import JsonlWriter
from checker.linearizability import Budget, check_history, check_operations
from checker.linearization import replay
from checker.model import Footprint, Model, Refused, Traits
from checker.models import MODELS
from checker.partition import Decision
from checker.records import Header, HistoryLine, LineType, Validity
from checker.shrinking import shrink
from tests.checker.generating import Shape, random_history, spoil
from tests.checker.oracle import is_linearizable

CAS, REGISTER = MODELS["cas-register"], MODELS["register"]
SECOND = 1_000_000_000


def history(*events: tuple[int, str, str, Any]) -> History:
    """Events (process, type, f, value), one tenth of a second apart, on key x."""
    return History(
        HistoryLine(index=i, time_ns=(i + 1) * SECOND // 10, process=p, type=LineType(t), f=f, key="x", value=v)
        for i, (p, t, f, v) in enumerate(events)
    )


def done(process: int, f: str, value: Any, result: Any = None) -> list[tuple[int, str, str, Any]]:
    argument = None if f == "read" else value
    return [(process, "invoke", f, argument), (process, "ok", f, value if result is None else result)]


ANOMALIES: dict[str, Sequence[tuple[int, str, str, Any]]] = {
    "impossible-read": [*done(1, "write", 1), *done(2, "read", 9)],
    "future-read": [*done(2, "read", 9), *done(1, "write", 9)],
    "stale-read": [*done(1, "write", 1), *done(1, "write", 2), *done(2, "read", 2), *done(3, "read", 1)],
    "lost-write": [*done(1, "write", 1), *done(1, "write", 2), *done(3, "read", 1)],
    "impossible-cas": [*done(1, "write", 1), *done(1, "write", 2), *done(3, "cas", [1, 5])],
}


@pytest.mark.parametrize("anomaly", ANOMALIES)
def test_a_contradiction_is_called_by_its_name(anomaly: str) -> None:
    bystanders = [*done(8, "write", 7), *done(9, "read", 7)]
    result = check_history(history(*bystanders, *ANOMALIES[anomaly]), CAS)
    assert (result.validity, result.anomaly, result.key) == (Validity.INVALID, anomaly, "x")
    assert result.evidence.figures["core_minimal"]
    assert any(row.endswith("<── contradiction") for row in result.evidence.details)
    assert result.evidence.indexes[-1] == (
        4 if anomaly == "future-read" else len(bystanders) + len(ANOMALIES[anomaly]) - 2
    )


def test_the_contradiction_is_told_in_one_sentence_and_drawn() -> None:
    result = check_history(
        history(
            *done(1, "write", 3),
            *done(4, "read", 3),
            *done(2, "write", 5),
            (6, "invoke", "write", 8),
            *done(3, "read", 5),
            *done(7, "read", 3),
        ),
        REGISTER,
    )
    evidence = result.evidence
    assert evidence.summary == (
        "Process 7 read x=3 at 1.100 s, after process 3 had read x=5 at 0.900 s and nothing wrote 3 again."
    )
    assert evidence.details[:3] == (
        "process 4  ├──────┤                               read -> 3  0.300-0.400 s",
        "process 3                ├──────┤                 read -> 5  0.800-0.900 s",
        "process 7                              ├──────┤   read -> 3  1.000-1.100 s  <── contradiction",
    )
    assert evidence.indexes == (2, 7, 9)
    assert any("is refused (the register holds 5, not 3)" in line for line in evidence.details)


def test_a_legal_history_is_valid_and_says_over_what() -> None:
    result = check_history(history(*done(1, "write", 1), *done(2, "read", 1)), REGISTER)
    assert (result.validity, result.anomaly, result.evidence.figures["keys"]) == (Validity.VALID, None, 1)


def test_an_empty_history_is_valid() -> None:
    assert check_history(History([]), REGISTER).validity is Validity.VALID


def test_a_spent_budget_is_unknown_and_says_which_key_and_how_far() -> None:
    operations = random_history(Random("budget"), Shape(operations=60, clients=12))
    lines = as_lines(operations, key="y")
    result = check_history(History(lines), CAS, budget=Budget(configurations=40))
    assert (result.validity, result.key) == (Validity.UNKNOWN, "y")
    assert "key y" in result.evidence.summary
    assert "40 configurations" in result.evidence.summary
    assert result.evidence.figures["placed"] > 0
    assert result.budget["configurations_max"] == 40
    again = check_history(History(lines), CAS, budget=Budget(configurations=40))
    assert again == result


def as_lines(operations: Sequence[Operation], key: Any = None) -> list[HistoryLine]:
    events = []
    for one in operations:
        events.append((one.call_order, 0, one, LineType.INVOKE, one.value))
        if one.return_order is not None:
            value = one.result if one.outcome is Outcome.OK else None
            events.append((one.return_order, 1, one, LineType(one.outcome.value), value))
    return [
        HistoryLine(index=i, time_ns=i, process=one.process, type=kind, f=one.f, key=key, value=value, error=one.error)
        for i, (_, _, one, kind, value) in enumerate(sorted(events, key=lambda event: event[:2]))
    ]


def test_the_worst_key_is_reported_and_the_others_are_counted() -> None:
    lines = [
        structs.replace(line, index=2 * place + shift, time_ns=2 * place + shift, key=key, process=line.process + shift)
        for place, line in enumerate(history(*ANOMALIES["impossible-read"]).lines)
        for shift, key in ((0, "bad"), (1, "good"))
    ]
    lines = [structs.replace(one, value=1) if one.key == "good" and one.value == 9 else one for one in lines]
    lines = [structs.replace(one, process=one.process * 10 + (one.key == "good")) for one in lines]
    result = check_history(History(lines), REGISTER)
    assert (result.key, result.evidence.figures["keys"], result.evidence.figures["illegal"]) == ("bad", 2, ["bad"])


def test_every_minimal_core_is_illegal_by_brute_force_even_if_the_rest_crashed() -> None:
    """Weakening is sound: docs/checker.md. The core plus all other writes, crashed, has no linearization."""
    shape = Shape(operations=9, clients=3, values=3)
    checked = 0
    for seed in range(250):
        rng = Random(f"{seed}/core")
        operations = spoil(rng, random_history(rng, shape), shape)
        result = check_operations(operations, CAS)
        if result.stuck is None:
            continue
        core = shrink(operations, result.stuck, CAS, allowance=100_000)
        kept = {one.index for one in core.operations}
        weak = [
            one
            if one.index in kept
            else structs.replace(one, outcome=Outcome.INFO, result=None, return_ns=None, return_order=None)
            for one in operations
            if one.index in kept or (one.f != "read" and one.outcome is not Outcome.FAIL)
        ]
        assert not is_linearizable(weak, CAS)
        assert core.minimal
        checked += 1
    assert checked > 40


def test_a_model_that_calls_a_write_an_observer_is_an_error_not_a_verdict() -> None:
    lying = Model(name="lying", initial=None, step=REGISTER.step, traits=lambda operation: Traits(observer=True))
    with pytest.raises(ModelError, match=r"lying declares write\(1\) an observer"):
        check_history(history(*done(1, "write", 1), *done(2, "read", 1)), lying)


def test_a_hint_that_is_wrong_only_where_the_search_never_looks_is_found_before_an_illegal_verdict() -> None:
    """checker.md §4.2: an eager choice made on a wrong hint hides the states that would refute it."""

    def step(state: int, operation: Operation) -> int | Refused:
        match operation.f:
            case "odd":
                return 9 if state == 1 else state
            case "read":
                return state if state == operation.result else Refused("another value")
            case _:
                return int(operation.value)

    lying = Model(name="lying", initial=0, step=step, traits=lambda one: Traits(observer=one.f == "odd"))
    events = [*done(3, "write", 1), (1, "invoke", "odd", None), *done(2, "read", 9), (1, "ok", "odd", 1)]
    with pytest.raises(ModelError, match="an observer, but it changes the state"):
        check_history(history(*events), lying)


def test_a_wrong_footprint_is_an_error_not_a_verdict() -> None:
    lying = Model(name="lying", initial=None, step=REGISTER.step, footprint=lambda operation: Footprint())
    with pytest.raises(ModelError, match="with a footprint"):
        check_history(history(*done(1, "write", 1), *done(2, "read", 1)), lying)


def test_an_operation_that_the_model_does_not_know_is_named() -> None:
    with pytest.raises(IllFormedHistory, match="a register has no operation 'cas'"):
        check_history(history(*done(1, "cas", [1, 2])), REGISTER)
    with pytest.raises(IllFormedHistory, match=r"must be \[from, to\]"):
        check_history(history(*done(1, "cas", 5)), CAS)


def test_a_failed_cas_is_an_observation_only_if_the_system_says_that_it_compared() -> None:
    lines = history(*done(1, "write", 1), (2, "invoke", "cas", [1, 2])).lines
    failed = HistoryLine(index=3, time_ns=SECOND, process=2, type=LineType.FAIL, f="cas", key="x", error="not-leader")
    assert check_history(History([*lines, failed]), CAS).validity is Validity.VALID
    compared = structs.replace(failed, error="cas-mismatch")
    assert check_history(History([*lines, compared]), CAS).anomaly == "impossible-cas"


def test_a_register_can_start_with_a_value() -> None:
    subject = history(*done(1, "read", 4))
    assert check_history(subject, REGISTER).validity is Validity.INVALID
    assert check_history(subject, REGISTER.starting_at(4)).validity is Validity.VALID


def test_two_thousand_operations_by_fifty_clients_are_decided_with_an_order_that_holds() -> None:
    """Issue 2 allows 5 s; the budget below is about one second of work."""
    for values in (5, 0):
        operations = random_history(Random(f"{values}/wide"), Shape(2_000, 50, values=values))
        result = check_operations(operations, CAS, budget=Budget(60_000))
        assert result.decision is Decision.OK
        assert result.linearization is not None
        assert replay(operations, result.linearization, CAS) is None


def test_replay_refuses_orders_that_do_not_hold() -> None:
    first, second, third = history(*done(1, "write", 1), *done(2, "write", 2), *done(3, "read", 2)).operations
    operations = [first, second, third]
    assert replay(operations, [first, second, third], REGISTER) is None
    assert replay(operations, [first, third], REGISTER) == "operation 2 is missing"
    assert replay(operations, [second, first, third], REGISTER) is not None
    assert replay(operations, [first, second, second, third], REGISTER) == "an operation is placed twice"
    assert replay([third], [third], REGISTER) == "operation 4 is refused: the register holds nil, not 2"


# ── the command, and histories recorded by others ────────────────────────────────────────────────────────────────────


def shared_data(folder: str) -> Path:
    root = Path(__file__).resolve().parents[2]
    named = os.environ.get("HISTRIO_SHARED_DATA")
    path = (Path(named) if named else root.parent / "shared" / "data") / folder
    if not path.is_dir():
        pytest.skip(f"no recorded histories at {path}: set HISTRIO_SHARED_DATA")
    return path


def test_the_etcd_logs_get_their_known_verdicts_by_both_readings_of_a_failed_cas() -> None:
    folder = shared_data("porcupine-etcd")
    for name, legal in json.loads((folder / "expected.json").read_text()).items():
        operations = load_history(folder / name).history.operations
        compared = [structs.replace(one, error="cas-mismatch") if one.f == "cas" else one for one in operations]
        for reading in (operations, compared):
            result = check_operations(reading, CAS)
            assert (result.decision is Decision.OK) == legal, name
            assert result.linearization is None or replay(reading, result.linearization, CAS) is None


def saved(path: Path, lines: Sequence[HistoryLine]) -> str:
    writer = JsonlWriter(path, Header(format="histrio/history"))
    writer.append(*lines)
    writer.close()
    return str(path)


def test_the_command_exits_with_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    legal = saved(tmp_path / "legal", history(*done(1, "write", 1), *done(2, "read", 1)).lines)
    illegal = saved(tmp_path / "illegal", history(*ANOMALIES["stale-read"]).lines)
    hard = saved(tmp_path / "hard", as_lines(random_history(Random("budget"), Shape(operations=60, clients=12))))
    broken = tmp_path / "broken"
    broken.write_text("nothing\n")
    assert main([legal, "--model", "register"]) == 0
    assert main([hard, "--model", "cas-register", "--budget", "40"]) == 2
    assert main([hard, illegal, "--model", "cas-register", "--budget", "40"]) == 1
    assert main([str(broken), "--model", "register"]) == 64
    assert main([legal, "--model", "register", "--initial", "{"]) == 64
    capsys.readouterr()
    assert main([illegal, "--model", "register", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["class"] == "stale-read"
    with pytest.raises(SystemExit) as caught:
        main([legal, "--model", "regster"])
    assert caught.value.code == 64


def test_the_command_runs_by_itself_and_imports_nothing_heavy(tmp_path: Path) -> None:
    legal = saved(tmp_path / "legal", history(*done(1, "write", 1), *done(2, "read", 1)).lines)
    root = Path(__file__).resolve().parents[2]
    code = (
        "import sys; from checker.__main__ import main; exit = main(sys.argv[1:]);"
        "assert not {'trio', 'pandas', 'matplotlib', 'docker', 'click'} & set(sys.modules); sys.exit(exit)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, legal, "--model", "register"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "valid" in ended.stdout
