"""report.html: what a reviewer finds on it. Design: harness-anchors §4.4; words: architecture §4."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from checker.jsonl import read_jsonl
from checker.records import Evidence, HistoryLine, LineType, Validity
from reports import write_report
from tests.reports.directories import (
    COMMAND,
    HistoryBuilder,
    a_check,
    a_run,
    a_verdict,
    fault_lines,
    stale_read,
    stale_read_check,
    write_directory,
)
from tests.reports.pages import Page, read_page

SECTIONS = ("replay", "checks", "faults", "plots", "operations", "untested", "glossary")


@cache
def the_page(directory: Path) -> Page:
    return read_page((directory / "report.html").read_text(encoding="utf-8"))


def test_the_banner_says_the_verdict_in_a_word_and_the_run_in_one_sentence(busy: Path) -> None:
    page = the_page(busy)
    assert re.search(r"<h1>.*✓.*VALID</h1>", page.text)
    assert page.said("sentence") == (
        "5-node raft_trio, register, 60 s simulated, 12,000 operations on 24 keys (92 % ok), "
        "6 effective faults of 2 families; linearizable; longest unavailability 2.31 s."
    )


def test_the_sections_come_in_the_agreed_order(busy: Path, invalid: Path) -> None:
    def order(page: Page) -> list[str]:
        return [value for tag, name, value in page.attributes if tag == "section" and name == "id"]

    assert order(the_page(busy)) == list(SECTIONS)
    assert order(the_page(invalid)) == ["failure", *SECTIONS]


def test_the_command_and_seed_that_repeat_the_run_can_be_copied(busy: Path) -> None:
    page = the_page(busy)
    assert page.said("command") == COMMAND
    assert "Seed 7" in page.said("replay")
    assert "histrio 0.1.0, Python 3.11.9" in page.said("replay")
    assert "partition-halves" in page.said("replay"), "the plan is on the page"


def test_counts_on_the_page_equal_a_naive_recount_of_the_history(busy: Path) -> None:
    lines = read_jsonl(busy / "history.jsonl", HistoryLine, format="histrio/history").records
    recount = Counter((line.f, str(line.type)) for line in lines if line.type is not LineType.INVOKE)
    rows = the_page(busy).rows["operations"]
    assert {(row[0], row[1]): int(row[2].replace(",", "")) for row in rows} == dict(recount)


def test_latencies_on_the_page_equal_a_naive_recount_of_the_history(busy: Path) -> None:
    lines = read_jsonl(busy / "history.jsonl", HistoryLine, format="histrio/history").records
    calls: dict[int, int] = {}
    latencies = []
    for line in lines:
        if line.type is LineType.INVOKE:
            calls[line.process] = line.time_ns
        elif line.f == "read" and line.type is LineType.OK:
            latencies.append((line.time_ns - calls[line.process]) / 1e6)
    latencies.sort()
    row = next(row for row in the_page(busy).rows["operations"] if row[:2] == ["read", "ok"])
    shown = [float(cell.removesuffix(" ms")) for cell in row[4:]]
    naive = [latencies[round(q * (len(latencies) - 1))] for q in (0.5, 0.95, 0.99, 1.0)]
    assert shown == pytest.approx(naive, rel=0.02)


def test_every_fault_is_listed_with_its_evidence_and_status(busy: Path) -> None:
    rows = the_page(busy).rows["faults"]
    assert [row[0].split()[-1] for row in rows[:3]] != []
    by_id = {row[0][-2:]: row for row in rows}
    assert by_id["f1"][4:6] == ["dropped_packets 4,211", "✓ effective"]
    assert by_id["f1"][1] == "6.000 s to 11.000 s"
    assert by_id["f4"][5] == "∅ no-effect"
    assert by_id["f6"][5] == "? unverified"
    assert by_id["f9"][1] == "never began"
    assert float(by_id["f3"][6].removesuffix(" s")) > 2, "the partition at 15 s silenced the system for 2.3 s"


def test_what_was_not_tested_is_said(busy: Path) -> None:
    said = the_page(busy).said("untested")
    assert "Faults of kind clock-skew were not injected: the simulator's clocks do not drift yet" in said
    assert "1 fault of kind partition-one-way had no effect." in said
    assert "1 fault of kind kill never began." in said
    assert "The effect of 1 fault of kind pause was never counted." in said


def test_a_check_that_was_planned_and_is_absent_from_the_verdict_is_said(tmp_path: Path) -> None:
    write_directory(tmp_path, run=a_run(checks=("linearizability", "liveness")), verdict=a_verdict(a_check()))
    write_report(tmp_path)
    assert "The check liveness was planned, but the verdict does not mention it." in the_page(tmp_path).said("untested")


def test_all_plots_are_inline_and_well_formed_and_also_files(busy: Path) -> None:
    page = the_page(busy)
    names = ["latency", "quantiles", "throughput", "availability", "leaders", "faults"]
    ids = [value for tag, name, value in page.attributes if tag == "figure" and name == "id"]
    assert ids == [f"plot-{name}" for name in names]
    assert len(page.svgs) == len(names)
    assert sorted(path.stem for path in (busy / "plots").iterdir()) == sorted(names)
    for path in (busy / "plots").iterdir():
        assert path.read_text(encoding="utf-8").strip() in page.text


def test_the_page_asks_nothing_of_the_network(busy: Path, invalid: Path) -> None:
    for directory in (busy, invalid):
        page = the_page(directory)
        loading = [
            value for _, name, value in page.attributes if name in ("src", "srcset", "xlink:href", "href", "action")
        ]
        assert [value for value in loading if not value.startswith(("#", "data:image/png;base64,"))] == []
        assert not {"link", "img", "iframe", "object"} & set(page.tags)
        assert "@import" not in page.text
        assert re.findall(r"url\((?!#)", page.text) == []
        policy = next(
            v for tag, name, v in page.attributes if tag == "meta" and name == "content" and "default-src" in v
        )
        assert policy.startswith("default-src 'none'")


def test_ids_are_unique_although_seven_pictures_share_the_page(invalid: Path) -> None:
    counts = Counter(value for _, name, value in the_page(invalid).attributes if name == "id")
    assert [name for name, count in counts.items() if count > 1] == []


def test_every_reference_inside_a_picture_finds_its_target(busy: Path) -> None:
    page = the_page(busy)
    ids = {value for _, name, value in page.attributes if name == "id"}
    wanted = set(re.findall(r"url\(#([^)]+)\)", page.text)) | set(re.findall(r'href="#([^"]+)"', page.text))
    assert wanted - ids == set()


def test_a_run_of_12000_operations_stays_below_one_and_a_half_megabytes(busy: Path) -> None:
    assert (busy / "report.html").stat().st_size < 1_500_000


def test_ink_and_grid_follow_the_page_in_light_and_dark(busy: Path) -> None:
    svg = (busy / "plots" / "throughput.svg").read_text(encoding="utf-8")
    assert "currentColor" in svg
    assert "var(--grid" in svg
    assert "#010203" not in svg
    assert "prefers-color-scheme: dark" in (busy / "report.html").read_text(encoding="utf-8")


# ── a violation ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_violation_is_told_first_with_reason_picture_and_text(invalid: Path) -> None:
    page = the_page(invalid)
    assert "✗ INVALID" in re.sub("<[^>]+>", "", page.text.split("</h1>")[0].split("<h1>")[1])
    said = page.said("failure")
    assert "stale-read" in said
    assert "process 900 read x = 1 at 17.4 s" in said
    assert "read x → 1 ← contradiction" in said
    assert "Signature: linearizability/stale-read" in said
    picture = page.svgs[0]
    assert any("✗ contradiction: read x → 1" in "".join(text.itertext()) for text in picture.iter())
    assert (invalid / "plots" / "contradiction.svg").exists()


def test_the_sentence_names_the_planted_bug_and_the_class_of_the_violation(invalid: Path) -> None:
    sentence = the_page(invalid).said("sentence")
    assert "with the planted bug read_without_quorum" in sentence
    assert "; not linearizable (stale-read) on x; " in sentence


def test_the_most_severe_check_is_the_first_row(invalid: Path) -> None:
    assert the_page(invalid).rows["checks"][0][:3] == ["linearizability [x]", "✗ invalid", "stale-read"]
    assert the_page(invalid).rows["checks"][0][-1] == "configurations 812 of 2,000,000"


def test_a_violated_invariant_is_told_by_the_lines_of_its_check(tmp_path: Path) -> None:
    """Rules over traces name no operations: their evidence is text (architecture §7)."""
    evidence = Evidence(
        summary="n1 and n2 both led in term 4", details=("n1  became leader in 4", "n2  became leader in 4")
    )
    check = a_check("election-safety", Validity.INVALID, anomaly="two-leaders-in-a-term", evidence=evidence)
    write_directory(tmp_path, run=a_run(), faults=fault_lines(), verdict=a_verdict(check))
    write_report(tmp_path)
    said = the_page(tmp_path).said("failure")
    assert "n2 became leader in 4" in said
    assert "election-safety violated (two-leaders-in-a-term)" in the_page(tmp_path).said("sentence")
    assert not (tmp_path / "plots" / "contradiction.svg").exists()


def test_pictures_of_an_earlier_state_of_the_directory_do_not_stay(tmp_path: Path) -> None:
    history = HistoryBuilder()
    stale_read(history, begin_ns=0, key="x")
    lines = history.lines()
    write_directory(tmp_path, run=a_run(), history=lines, verdict=a_verdict(stale_read_check(lines)))
    write_report(tmp_path)
    pictures = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert pictures == {"contradiction", "latency", "quantiles", "throughput", "availability"}
    write_directory(tmp_path, run=a_run(), faults=fault_lines())
    (tmp_path / "verdict.json").unlink()
    write_report(tmp_path)
    assert {path.stem for path in (tmp_path / "plots").iterdir()} == {"faults"}
