"""The files as files: equal bytes, whole or absent, safe against what a system under test may answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from checker.records import CheckResult, Evidence, FaultApplied, FaultPlanned, LineType, RunEnd, Validity, Verdict
from reports import write_report
from reports.frame import operations_frame
from reports.headline import sentence
from reports.junit import junit_xml
from reports.run_record import read_run
from reports.statistics import availability
from reports.summary import summary_markdown
from tests.reports.directories import (
    COMMAND,
    SECOND,
    HistoryBuilder,
    a_check,
    a_run,
    a_verdict,
    fault_lines,
    invalid_directory,
    write_directory,
)
from tests.reports.pages import read_page

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}{% raw %}",
    "```\n# heading | cell",
    "]]><!--",
    "nul\x00 esc\x1b rtl\u202e",
    "$x_{1}$ ☃ 漢",
)


def outputs(directory: Path) -> dict[str, bytes]:
    names = ("report.html", "junit.xml", "summary.md")
    plots = sorted(path.relative_to(directory).as_posix() for path in (directory / "plots").iterdir())
    return {name: (directory / name).read_bytes() for name in (*names, *plots)}


def test_equal_inputs_give_equal_bytes_in_another_process_with_other_hashes(tmp_path: Path, invalid: Path) -> None:
    again = invalid_directory(tmp_path / "elsewhere")
    code = "import sys, pathlib, reports; reports.write_report(pathlib.Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", code, str(again)], check=True, env=environment)
    assert outputs(again) == outputs(invalid)


def test_writing_again_changes_nothing_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_directory(tmp_path, run=a_run(), faults=fault_lines(), verdict=a_verdict(a_check()))
    write_report(tmp_path)
    first = outputs(tmp_path)
    write_report(tmp_path)
    assert outputs(tmp_path) == first
    assert [path.name for path in tmp_path.rglob("*.tmp")] == []


def test_importing_reports_loads_neither_matplotlib_nor_pandas() -> None:
    """`histrio --help` must not pay a second for pictures it does not draw (style-anchors §3.7)."""
    code = "import sys, reports; print(sorted({'matplotlib', 'pandas', 'numpy', 'jinja2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


# ── hostile values ───────────────────────────────────────────────────────────────────────────────────────────────────


def hostile_directory(directory: Path) -> Path:
    everything = " ".join(HOSTILE)
    builder = HistoryBuilder()
    for number, text in enumerate(HOSTILE):
        builder.add(
            process=number, f=text, key=text, argument={text: [text]}, result=text, node=text, error=text,
            call_ns=number * SECOND, return_ns=number * SECOND + SECOND // 2,
            outcome=(LineType.OK, LineType.FAIL, LineType.INFO)[number % 3],
        )  # fmt: skip
    history = builder.lines()
    indexes = tuple(line.index for line in history if line.type is LineType.INVOKE)
    evidence = Evidence(summary=everything, indexes=indexes, figures={everything: HOSTILE})
    told = Evidence(summary=everything, details=HOSTILE)
    checks = (
        CheckResult(name=everything, validity=Validity.INVALID, anomaly=everything, key=everything, evidence=evidence),
        CheckResult(name="told", validity=Validity.INVALID, anomaly=HOSTILE[3], evidence=told, budget={HOSTILE[0]: 1}),
    )
    faults = (
        FaultPlanned(id=everything, time_ns=0, kind=HOSTILE[0], family=everything, at={}, for_ns=SECOND),
        FaultApplied(id=everything, time_ns=SECOND, resolved=HOSTILE, rule=everything),
    )
    run = a_run(
        name=everything, seed=3, environment=everything, system=everything, system_options={everything: everything},
        bug=everything, workload=everything, nemesis=HOSTILE, skipped={everything: everything}, command=everything,
        nodes=HOSTILE, histrio_version=everything, end=RunEnd(time_ns=9 * SECOND, reason="error", error=everything),
    )  # fmt: skip
    verdict = Verdict(validity=Validity.INVALID, signature=everything, checks=checks)
    plan = msgspec.json.encode({"seed": HOSTILE}).decode()
    return write_directory(directory, run=run, history=history, faults=faults, verdict=verdict, plan=plan)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = hostile_directory(tmp_path_factory.mktemp("hostile"))
    write_report(directory)
    return directory


def test_no_value_becomes_markup_or_script_in_the_page(hostile: Path) -> None:
    page = read_page((hostile / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("script") == 1
    assert page.scripts[0].strip().startswith("for (const button")
    assert "img" not in page.tags
    assert [name for _, name, _ in page.attributes if name.startswith("on")] == []
    assert "49" not in page.said("sentence"), "no value is run as a template"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert len(page.svgs) >= 5
    assert not any(c in page.text for c in "\x00\x1b\u202e")


def test_the_junit_file_stays_well_formed_whatever_the_values(hostile: Path) -> None:
    root = ET.parse(hostile / "junit.xml").getroot()
    failures = list(root.iter("failure"))
    assert len(failures) == 2
    assert "<script>alert(1)</script>" in failures[0].attrib["message"]


def test_the_step_summary_keeps_values_within_their_cells_and_fences(hostile: Path) -> None:
    lines = (hostile / "summary.md").read_text(encoding="utf-8").split("\n")
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 4
    assert {len(line.replace("\\|", "").split("|")) for line in table} == {7}
    outside, fence = [], ""
    for line in lines:
        if not fence and line.startswith("```"):
            fence = line[: len(line) - len(line.lstrip("`"))]
        elif fence and line == fence:
            fence = ""
        elif not fence:
            outside.append(line)
    assert fence == "", "every fence is closed"
    assert not any("<script>" in line or "<img" in line or line.startswith("# ") for line in outside)


# ── junit.xml and summary.md ─────────────────────────────────────────────────────────────────────────────────────────


def junit_of(directory: Path, verdict: Verdict | None) -> ET.Element:
    write_directory(directory, run=a_run(), verdict=verdict)
    data = read_run(directory)
    frame = operations_frame(data)
    return ET.fromstring(junit_xml(data, sentence(data, frame, availability(frame))).encode())


@pytest.mark.parametrize(
    ("validity", "element"),
    [(Validity.VALID, None), (Validity.INVALID, "failure"), (Validity.UNKNOWN, "error"),
     (Validity.VACUOUS, "error"), (Validity.HARNESS_ERROR, "error")],
)  # fmt: skip
def test_a_check_passes_as_a_test_only_when_it_is_valid(
    tmp_path: Path, validity: Validity, element: str | None
) -> None:
    root = junit_of(tmp_path, a_verdict(a_check("liveness", validity)))
    case = root.find(".//testcase[@name='liveness']")
    assert case is not None
    assert [child.tag for child in case] == ([element] if element else [])
    if element:
        message = case[0].attrib["message"]
        assert "seed 7" in message
        assert COMMAND in message


def test_a_verdict_that_is_worse_than_its_checks_is_red_too(tmp_path: Path) -> None:
    verdict = Verdict(validity=Validity.INVALID, signature="x", checks=(a_check(),))
    root = junit_of(tmp_path, verdict)
    assert (root.attrib["tests"], root.attrib["failures"]) == ("2", "1")


def test_a_verdict_without_checks_is_no_passed_file_of_zero_tests(tmp_path: Path) -> None:
    root = junit_of(tmp_path, Verdict(validity=Validity.VACUOUS, signature=None, checks=()))
    assert (root.attrib["tests"], root.attrib["errors"]) == ("1", "1")


def test_the_step_summary_holds_verdict_violation_and_replay_line(invalid: Path) -> None:
    text = (invalid / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("## ✗ INVALID\n")
    assert "| linearizability \\[x\\] | invalid | stale-read |" in text
    assert "✗   17.400 .. 17.403 s    process 900 at n1  read x → 1   ← contradiction" in text
    assert text.rstrip().endswith(f"```sh\n{COMMAND}\n```")


def test_the_step_summary_stays_small_however_much_a_check_has_to_say(tmp_path: Path) -> None:
    """GitHub refuses a step summary above 1,024 KiB."""
    talkative = Evidence(summary="s" * 5_000, details=("d" * 5_000,) * 400)
    checks = [a_check("first", Validity.INVALID, anomaly="a", evidence=talkative)]
    checks += [a_check(f"check-{n}", evidence=Evidence(summary="s" * 5_000)) for n in range(300)]
    write_directory(tmp_path, run=a_run(), verdict=a_verdict(*checks))
    data = read_run(tmp_path)
    assert len(summary_markdown(data, "a run", ()).encode()) < 1_000_000
