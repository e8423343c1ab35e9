"""Broken histories of every format: typed errors with file and line, no hang, no unbounded memory (issue 4).

Valid files are damaged at random: cut, doubled, swapped, sprinkled with strange bytes and numbers. What can still be
read is judged, so that the models meet strange values too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from checker.errors import IllFormedHistory, MalformedInput
from checker.formats import load_history, locate
from checker.linearizability import Budget, check_history
from checker.models import MODELS

LOG = "".join(
    f"INFO  jepsen.util - {process}\t:{kind}\t:{f}\t{value}\n"
    for process, kind, f, value in [
        (":nemesis", "info", "start", "nil"),
        (4, "invoke", "cas", "[1 2]"),
        (1, "invoke", "read", "nil"),
        (2, "invoke", "write", "1"),
        (4, "info", "cas", ":timed-out"),
        (2, "ok", "write", "1"),
        (1, "ok", "read", "2"),
        (2, "invoke", "cas", "[2 3]"),
        (2, "fail", "cas", "[2 3]"),
    ]
)
EDN = """; a comment
[{:process :nemesis, :type :info, :f :kill, :value nil}
 {:process 4, :type :invoke, :f :cas, :value [1 2], :time 10}
 #_ {:process 9, :type :invoke, :f :read}
 {:process 1, :type :invoke, :f :read, :value nil, :time 11}
 {:process 4, :type :info, :f :cas, :value :timed-out, :time 12}
 {:process 1, :type :ok, :f :read, :value #{"a" "\\u00e4"}, :time 13}
 {:process 1, :type :invoke, :f :txn, :value [[:read :x nil] [:write :y 2]], :time 14}
 {:process 1, :type :ok, :f :txn, :value [[:read :x 1] [:write :y 2]], :time 15}]
"""
PORCUPINE = """{:process 0, :type :invoke, :f :append, :key "0", :value "x 0 0 y"}
{:process 1, :type :invoke, :f :get, :key "0", :value nil}
{:process 0, :type :ok, :f :append, :key "0", :value "x 0 0 y"}
{:process 1, :type :ok, :f :get, :key "0", :value "x 0 0 y"}
{:process 1, :type :invoke, :f :put, :key "1", :value ""}
{:process 1, :type :ok, :f :put, :key "1", :value ""}
"""
OWN = """{"format":"histrio/history","version":1,"clock":"virtual"}
{"index":0,"time_ns":1,"process":1,"type":"invoke","f":"write","key":"x","value":3}
{"index":1,"time_ns":2,"process":2,"type":"invoke","f":"read","key":"x"}
{"index":2,"time_ns":3,"process":1,"type":"ok","f":"write","key":"x","value":3,"position":[1,4]}
{"index":3,"time_ns":3,"process":2,"type":"ok","f":"read","key":"x","value":[3,{"a":null}],"node":"n1"}
{"index":4,"time_ns":3,"process":3,"type":"invoke","f":"dequeue","key":"x"}
{"index":5,"time_ns":3,"process":3,"type":"fail","f":"dequeue","key":"x","error":"empty"}
"""
VALID = {"log": LOG, "edn": EDN, "porcupine": PORCUPINE, "own": OWN}
FITTING = {"log": "cas-register", "edn": "multi-register", "porcupine": "key-value", "own": "register"}
STRANGE: tuple[str, ...] = (
    *'[]{}()"\\:#_;\n\t 0aN,-.',
    "\x00",
    "\ud7ff",
    "nil",
    "null",
    "true",
    "1e999",
    "-1",
    "1/2",
    "9" * 30,
    "9" * 5_000,
    "[" * 70,
    "{" * 2_000,
    '"' * 3,
    "٣",
    "#_",
    "#inst ",
    ":process",
    ":type :ok",
    '"type":"ok"',
    '"f":"cas"',
    ":f :append",
    "acquire",
    "NaN",
)


Damage = Callable[[str, Random], str]


def damaged(text: str, rng: Random) -> bytes:
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        damage: Damage = DAMAGES[rng.randrange(len(DAMAGES))]
        text = damage(text or "[", rng)
    raw = text.encode()
    if rng.random() < 0.1:
        place = rng.randrange(len(raw) + 1)
        raw = raw[:place] + bytes([rng.randrange(256)]) + raw[place + 1 :]
    return raw


def cut(text: str, rng: Random) -> str:
    place = rng.randrange(len(text))
    return text[:place] + text[place + rng.randrange(1, 12) :]


def sprinkle(text: str, rng: Random) -> str:
    place = rng.randrange(len(text))
    return text[:place] + rng.choice(STRANGE) + text[place + rng.randrange(4) :]


def replace_word(text: str, rng: Random) -> str:
    words = text.split(" ")
    words[rng.randrange(len(words))] = rng.choice(STRANGE)
    return " ".join(words)


def shuffle_lines(text: str, rng: Random) -> str:
    lines = text.splitlines(keepends=True)
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "".join(lines)


def double_line(text: str, rng: Random) -> str:
    lines = text.splitlines(keepends=True)
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return "".join(lines)


def drop_line(text: str, rng: Random) -> str:
    lines = text.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return "".join(lines)


DAMAGES: tuple[Damage, ...] = (cut, sprinkle, sprinkle, replace_word, shuffle_lines, double_line, drop_line)


def outcome_of(path: Path, raw: bytes, rng: Random, fitting: str) -> str:
    """`read`, `refused` (with file, and with a line unless the whole file is meant), `unjudgeable` or `judged`."""
    path.write_bytes(raw)
    try:
        loaded = load_history(path, complete=rng.random() < 0.8)
    except MalformedInput as error:
        return "refused" if is_located(error, path) else f"refused without file and line: {error}"
    model = MODELS[rng.choice([fitting, rng.choice(sorted(MODELS))])]
    try:
        check_history(loaded.history, model, budget=Budget(500), explain=rng.random() < 0.2)
    except IllFormedHistory as error:
        found = locate(path, loaded, error)
        return "unjudgeable" if is_located(found, path) else f"unjudgeable without line: {error}"
    return "judged"


def is_located(error: MalformedInput, path: Path) -> bool:
    """Only an empty file has no line."""
    return str(error).startswith(f"{path}:") and (error.line is not None or "the file is empty" in error.problem)


def outcomes(path: Path, seeds: range) -> dict[str, int]:
    counts: dict[str, int] = {}
    for seed in seeds:
        rng = Random(f"{seed}/damage")
        kind = rng.choice(sorted(VALID))
        outcome = outcome_of(path, damaged(VALID[kind], rng), rng, FITTING[kind])
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts


def test_two_thousand_broken_files_give_typed_errors_with_file_and_line(tmp_path: Path) -> None:
    counts = outcomes(tmp_path / "x", range(2_000))
    assert set(counts) == {"refused", "judged", "unjudgeable"}
    assert counts["refused"] > 700
    assert counts["judged"] > 40
    assert counts["unjudgeable"] > 100


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_a_hundred_thousand_broken_files_give_typed_errors_with_file_and_line(tmp_path: Path, part: int) -> None:
    base = int(os.environ.get("HISTRIO_SOAK_BASE", "1000000")) + part * 10_000
    counts = outcomes(tmp_path / "x", range(base, base + 10_000))
    assert set(counts) == {"refused", "judged", "unjudgeable"}
    assert counts["refused"] > 3_500


@pytest.mark.parametrize("kind", VALID)
def test_the_files_that_are_damaged_were_valid(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    path.write_text(VALID[kind])
    assert load_history(path).history.operations


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{:process 1, :type :ok, :f :read, :value 1}", "x:1: a return without a call"),
        (
            "{:process 1, :type :invoke, :f :read}{:process 1, :type :ok, :f :read}\n{:process 1, :type :ok, :f :read}",
            "x:2: an operation returns twice: process 1 completes what it called at index 0, but that returned",
        ),
        (OWN.replace('"time_ns":2', '"time_ns":0'), "x:3: time runs backwards, from 1 ns to 0 ns"),
        ("{:type :invoke, :f :read}", "x:1: process None (expected a number or :nemesis)"),
        ("{:process true, :type :invoke, :f :read}", "x:1: process True"),
        ('{"format":"histrio/history"}\n{"index":0,"value":' + "[" * 100_000, "x:2: nested more than 64 deep"),
        ("INFO  jepsen.util - " + "9" * 5_000 + " :invoke :read nil", "x:1: a process of 5000 digits"),
    ],
)
def test_what_is_wrong_is_called_by_its_name(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    with pytest.raises(MalformedInput) as caught:
        load_history(path)
    assert problem in str(caught.value)


def test_jepsens_times_may_run_backwards_a_little_and_that_is_said(tmp_path: Path) -> None:
    """Jepsen stamps times before it takes the lock that orders the lines."""
    path = tmp_path / "x"
    path.write_text(EDN.replace(":time 13", ":time 9"))
    loaded = load_history(path)
    assert [line.time_ns for line in loaded.history.lines] == [10, 11, 12, 12, 14, 15]
    assert loaded.warnings == (
        f"{path}:7: time runs backwards by 0.000000 s, and in 0 other lines by less; "
        "the order of the lines was taken for the order of the events",
    )


def test_porcupines_text_is_recognised_and_its_keys_start_as_the_empty_text(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(PORCUPINE)
    loaded = load_history(path)
    assert (loaded.format, loaded.initial) == ("porcupine-kv", "")
    path.write_text(EDN)
    assert load_history(path).initial is None
