"""Directories of runs that were cut off, failed, or never judged: the page is written and says so (architecture §2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from checker.errors import MalformedInput
from checker.records import RunEnd, Validity
from reports import write_report
from reports.run_record import read_run
from tests.reports.directories import (
    SECOND,
    HistoryBuilder,
    a_check,
    a_run,
    a_verdict,
    busy_trace,
    fault_lines,
    write_directory,
)
from tests.reports.pages import Page, read_page


def some_history() -> Any:
    builder = HistoryBuilder()
    builder.add(process=1, f="write", key="x", argument=1, result=1, call_ns=SECOND, return_ns=SECOND + 5_000_000)
    builder.add(process=2, f="read", key="x", call_ns=2 * SECOND, return_ns=None)
    return builder.lines()


def reported(directory: Path) -> tuple[Page, str, str]:
    page = read_page(write_report(directory).read_text(encoding="utf-8"))
    texts = [(directory / name).read_text(encoding="utf-8") for name in ("summary.md", "junit.xml")]
    return page, texts[0], texts[1]


def test_a_run_that_nobody_judged_is_neither_green_nor_red(tmp_path: Path) -> None:
    write_directory(tmp_path, run=a_run(), faults=fault_lines())
    page, summary, junit = reported(tmp_path)
    assert "NOT JUDGED" in page.text
    assert "not judged yet" in page.said("sentence")
    assert "No check has judged this run." in page.said("checks")
    assert summary.startswith("## … NOT JUDGED")
    assert 'tests="1" failures="0" errors="1"' in junit


def test_a_killed_harness_leaves_a_reportable_directory(tmp_path: Path) -> None:
    """The last line may be torn; open operations count as info (architecture §2)."""
    write_directory(tmp_path, run=a_run(end=None), history=some_history(), faults=fault_lines(), trace=busy_trace(200))
    for name in ("history.jsonl", "faults.jsonl", "trace.jsonl"):
        with (tmp_path / name).open("ab") as file:
            file.write(b'{"index":3,"time_')
    page, summary, _ = reported(tmp_path)
    assert "The run has no end mark: the harness was killed." in page.text
    assert "The unterminated last line of history.jsonl was dropped." in page.text
    assert ["read", "info", "1", "50 %", "", "", "", ""] in page.rows["operations"]
    assert "no end mark" in page.said("replay")
    assert "harness was killed" in summary


def test_a_torn_line_in_a_run_that_completed_is_an_error_with_file_and_line(tmp_path: Path) -> None:
    write_directory(tmp_path, run=a_run(), history=some_history())
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b'{"index":3,"time_')
    with pytest.raises(MalformedInput, match=r"history\.jsonl:5: "):
        write_report(tmp_path)


def test_without_a_trace_the_leaders_are_unknown_and_the_page_says_so(tmp_path: Path) -> None:
    write_directory(tmp_path, run=a_run(), faults=fault_lines(), trace=None)
    page, _, _ = reported(tmp_path)
    assert "trace.jsonl is missing: leaders and terms are unknown" in page.said("untested")
    assert not (tmp_path / "plots" / "leaders.svg").exists()


def test_an_empty_trace_is_no_trace(tmp_path: Path) -> None:
    write_directory(tmp_path, run=a_run(), trace=())
    assert any("trace.jsonl holds no event" in absence for absence in read_run(tmp_path).absences)
    (tmp_path / "trace.jsonl").write_bytes(b"")
    data = read_run(tmp_path)
    assert data.trace is None
    assert any("trace.jsonl is empty" in absence for absence in data.absences)


def test_without_faults_the_page_says_that_only_calm_was_seen(tmp_path: Path) -> None:
    write_directory(tmp_path, run=a_run(nemesis=()), verdict=a_verdict(a_check()))
    page, _, _ = reported(tmp_path)
    assert "no faults" in page.said("sentence")
    assert "No fault was recorded." in page.said("faults")
    assert "only the undisturbed system was seen" in page.said("untested")


def test_without_operations_nothing_is_measured_and_the_page_says_so(tmp_path: Path) -> None:
    vacuous = a_check("vacuity", Validity.VACUOUS)
    write_directory(tmp_path, run=a_run(), faults=fault_lines(), verdict=a_verdict(vacuous))
    page, _, _ = reported(tmp_path)
    assert "VACUOUS" in page.text
    assert "no operations" in page.said("sentence")
    assert "No client ever invoked an operation" in page.text
    assert "nothing can be said about availability" in page.said("plots")
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["faults.svg"]


def test_a_run_in_which_nothing_succeeded_still_has_its_pictures(tmp_path: Path) -> None:
    builder = HistoryBuilder()
    builder.add(process=2, f="read", key="x", call_ns=2 * SECOND, return_ns=None)
    write_directory(
        tmp_path, run=a_run(), history=builder.lines(), verdict=a_verdict(a_check("vacuity", Validity.VACUOUS))
    )
    page, _, _ = reported(tmp_path)
    assert "longest unavailability 58 s" in page.said("sentence")
    assert "No operation read ever succeeded." in page.said("untested")
    assert (tmp_path / "plots" / "availability.svg").exists()


@pytest.mark.parametrize("history", ["missing", "empty"])
def test_a_harness_that_failed_says_what_went_wrong(tmp_path: Path, history: str) -> None:
    end = RunEnd(time_ns=3 * SECOND, reason="error", error="KeyError: 'n9'")
    verdict = a_verdict(a_check("engine", Validity.HARNESS_ERROR))
    write_directory(tmp_path, run=a_run(end=end), history=None, faults=None, trace=None, verdict=verdict)
    if history == "empty":
        (tmp_path / "history.jsonl").write_bytes(b"")
    page, summary, junit = reported(tmp_path)
    assert "HARNESS ERROR" in page.text
    assert "The harness failed during the run: KeyError: 'n9'" in summary
    assert "<error" in junit
    assert "There is nothing to draw." in page.said("plots")


@pytest.mark.parametrize(
    ("reason", "said"),
    [("event-budget", "event budget"), ("time-budget", "time budget"), ("interrupted", "interrupted by its user")],
)
def test_a_run_that_did_not_finish_says_why(tmp_path: Path, reason: Any, said: str) -> None:
    write_directory(tmp_path, run=a_run(end=RunEnd(time_ns=SECOND, reason=reason)))
    page, _, _ = reported(tmp_path)
    assert said in page.text


def test_a_completed_run_without_its_history_is_an_error(tmp_path: Path) -> None:
    write_directory(tmp_path, run=a_run(), history=None)
    with pytest.raises(MalformedInput, match=r"history\.jsonl: is missing or empty"):
        write_report(tmp_path)


def test_a_directory_that_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MalformedInput, match=r"run\.json: cannot be read"):
        write_report(tmp_path)


@pytest.mark.parametrize("name", ["run.json", "verdict.json", "plan.json"])
def test_a_broken_file_is_an_error_that_names_it_and_leaves_the_old_report(tmp_path: Path, name: str) -> None:
    write_directory(tmp_path, run=a_run(), history=some_history(), verdict=a_verdict(a_check()), plan="{}")
    (tmp_path / "report.html").write_text("the old report")
    (tmp_path / name).write_text('{"validity": ')
    with pytest.raises(MalformedInput, match=name):
        write_report(tmp_path)
    assert (tmp_path / "report.html").read_text() == "the old report"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"type": "ok", "process": 7}, "process 7 completes what it never invoked"),
        ({"type": "invoke", "process": 2}, "process 2 invokes while an operation is open"),
    ],
)
def test_lines_that_cannot_be_paired_are_an_error_with_file_and_line(
    tmp_path: Path, line: dict[str, Any], problem: str
) -> None:
    write_directory(tmp_path, run=a_run(), history=some_history())
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(msgspec.json.encode({"index": 3, "time_ns": 3 * SECOND, "f": "read", **line}) + b"\n")
    with pytest.raises(MalformedInput, match=rf"history\.jsonl:5: {problem}"):
        write_report(tmp_path)


def test_a_fault_that_was_never_planned_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    write_directory(tmp_path, run=a_run(), history=some_history(), faults=fault_lines()[12:])
    with pytest.raises(MalformedInput, match=r"faults\.jsonl: "):
        write_report(tmp_path)
