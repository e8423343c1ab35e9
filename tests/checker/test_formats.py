"""Reading histories: recognised by content, and anything broken is named with file and line (issue 2)."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from checker.errors import MalformedInput
from checker.formats import load_history
from checker.history import Outcome
from checker.jsonl import JsonlWriter
from checker.records import Header, HistoryLine, LineType

LOG = (
    "INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n"
    "INFO  jepsen.util - 4\t:invoke\t:cas\t[1 2]\n"
    "INFO  jepsen.util - 1  :invoke :read   nil\n"
    "INFO  jepsen.util - 4\t:info\t:cas\t:timed-out\n"
    "INFO  jepsen.util - 1  :ok     :read   2\n"
)
EDN = """; a comment
[{:process :nemesis, :type :info, :f :kill, :value nil}
 {:process 4, :type :invoke, :f :cas, :value [1 2], :time 10}
 #_ {:process 9, :type :invoke, :f :read}
 {:process 1, :type :invoke, :f :read, :value nil, :time 9}
 {:process 4, :type :info, :f :cas, :value :timed-out, :time 12}
 {:process 1, :type :ok, :f :read, :value 2, :time 13}]
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (LOG, "jepsen-log"),
        (EDN, "jepsen-edn"),
        (EDN.replace("[{", "({").replace("}]", "})"), "jepsen-edn"),
        ("{:process 4, :type :invoke, :f :cas, :value [1 2]}" + EDN[EDN.index("\n #_") : -2], "jepsen-edn"),
    ],
)
def test_jepsens_formats_say_the_same_thing(tmp_path: Path, text: str, kind: str) -> None:
    loaded = load_history(written(tmp_path / "any-name", text))
    cas, read = loaded.history.operations
    assert loaded.format == kind
    assert (cas.process, cas.f, cas.value, cas.outcome, cas.error) == (4, "cas", [1, 2], Outcome.INFO, "timed-out")
    assert (read.process, read.f, read.result, read.outcome) == (1, "read", 2, Outcome.OK)


def test_our_own_history_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    lines = [
        HistoryLine(index=0, time_ns=5, process=1, type=LineType.INVOKE, f="write", key="x", value=3),
        HistoryLine(index=1, time_ns=9, process=1, type=LineType.OK, f="write", key="x", value=3),
    ]
    writer = JsonlWriter(path, Header(format="histrio/history"))
    writer.append(*lines)
    writer.close()
    loaded = load_history(path)
    assert loaded.format == "histrio/history"
    assert loaded.history.lines == tuple(lines)

    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(MalformedInput, match=r"history\.jsonl:3: "):
        load_history(path)
    cut = load_history(path, complete=False)
    assert cut.history.operations[0].outcome is Outcome.INFO
    assert len(cut.warnings) == 1


def test_a_line_cut_in_half_in_the_middle_is_named_by_file_and_line(tmp_path: Path) -> None:
    own = '{"format":"histrio/history"}\n{"index":0,"time_ns":1,"process":1,"ty\n{"index":1}\n'
    for complete in (True, False):
        with pytest.raises(MalformedInput, match=r"h:2: not a line of histrio/history"):
            load_history(written(tmp_path / "h", own), complete=complete)
    with pytest.raises(MalformedInput, match=r"l:3: not a Jepsen log line"):
        load_history(written(tmp_path / "l", LOG.replace("1  :invoke :read   nil", "1  :inv")))
    with pytest.raises(MalformedInput, match=r"e:2: \[ is never closed"):
        load_history(written(tmp_path / "e", EDN.replace("}]", "}")))


def test_lines_that_are_no_history_are_named_by_file_and_line(tmp_path: Path) -> None:
    text = EDN.replace(":process 1, :type :ok", ":process 2, :type :ok")
    with pytest.raises(
        MalformedInput, match=r"x:7: a return without a call: process 2 completes an operation that it has not invoked"
    ):
        load_history(written(tmp_path / "x", text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("hello", ":1: not a history in a format we know"),
        ("[{:process 1, :type :invoked, :f :read}]", "type invoked"),
        ("[{:process 1, :type :invoke}]", "f None"),
        ("[{:process 1 :type}]", "a map with a key but no value"),
        ("[1 2]", "expected a map"),
        ("{:process 1, :type :invoke, :f :read, :time 1.5}", "time 1.5"),
        ("[" * 100, "nested more than"),
        ("[{:process 1, :type :invoke, :f :read, :value " + "9" * 5000 + "}]", "5000 digits"),
        ("[)", "closes the ["),
    ],
)
def test_broken_text_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(MalformedInput) as caught:
        load_history(written(tmp_path / "x", text))
    assert problem in str(caught.value)


def test_what_is_no_text_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"[\n\xff]")
    with pytest.raises(MalformedInput, match=r"x:2: not UTF-8"):
        load_history(tmp_path / "x")
    with pytest.raises(MalformedInput, match="cannot be read"):
        load_history(tmp_path)


@pytest.mark.parametrize("text", [LOG, EDN, '{"format":"histrio/history"}\n' + '{"index":0,"time_ns":1,"process":1}\n'])
def test_random_damage_gives_typed_errors_only(tmp_path: Path, text: str) -> None:
    """Cuts, doubled pieces and stray characters, 120 of them: a reader fails with our errors or not at all."""
    rng = Random("damage")
    path = tmp_path / "x"
    failed = 0
    for _ in range(120):
        place, length = rng.randrange(len(text)), rng.randrange(1, 8)
        stray = "".join(rng.choice('[]{}()"\\:#_;\n\t 0aN') for _ in range(rng.randrange(4)))
        path.write_text(text[:place] + stray + text[place + length :])
        try:
            load_history(path)
        except MalformedInput:
            failed += 1
    assert failed > 30
