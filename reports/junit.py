"""junit.xml: one test case per check, so that any CI shows a violation as a failed test.

Only a check that passed is a passed test. Unknown, vacuous and harness errors are `<error>`, never `<skipped>`: green
by omission is what this file must not be.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from checker.records import CheckResult, Validity
from reports.checks_text import check_title, story_lines
from reports.headline import banner, replay_command
from reports.run_record import RunData
from reports.wording import printable

__all__ = ["junit_xml"]

TEXT_LENGTH_MAX = 20_000


def junit_xml(data: RunData, sentence: str) -> str:
    """The file's text. `sentence`: the run in one sentence, kept as a property."""
    cases = [_case(data, check) for check in (data.verdict.checks if data.verdict else ())]
    if not _verdict_is_covered(data):
        cases.append(_verdict_case(data, sentence))
    failures = sum(case.find("failure") is not None for case in cases)
    errors = sum(case.find("error") is not None for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}
    root = ET.Element("testsuites", {"name": "histrio", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": _suite_name(data), **counts, "skipped": "0"})
    properties = ET.SubElement(suite, "properties")
    for name, value in (("seed", str(data.run.seed)), ("replay", replay_command(data)), ("run", sentence)):
        ET.SubElement(properties, "property", {"name": name, "value": printable(value)})
    suite.extend(cases)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite_name(data: RunData) -> str:
    run = data.run
    bug = f".{run.bug}" if run.bug else ""
    return printable(f"histrio.{run.system}.{run.workload}.{run.environment}{bug}")


def _verdict_is_covered(data: RunData) -> bool:
    """Some test case already is as bad as the verdict: the file is red whenever the verdict is."""
    if data.verdict is None or not data.verdict.checks:
        return False
    return max(check.validity.severity for check in data.verdict.checks) >= data.verdict.validity.severity


def _case(data: RunData, check: CheckResult) -> ET.Element:
    case = ET.Element("testcase", {"classname": _suite_name(data), "name": check_title(check)})
    if check.validity is not Validity.VALID:
        word = "failure" if check.validity is Validity.INVALID else "error"
        summary = f"{check.validity}: {printable(check.evidence.summary)}"
        text = "\n".join(story_lines(data, check))
        _problem(case, word, printable(check.anomaly or str(check.validity)), summary, data, text)
    return case


def _verdict_case(data: RunData, sentence: str) -> ET.Element:
    """Stands for the verdict when there is none, or when it is worse than each of its checks."""
    case = ET.Element("testcase", {"classname": _suite_name(data), "name": "verdict"})
    if data.verdict is None or data.verdict.validity is not Validity.VALID:
        found = banner(data.validity)
        word = "failure" if data.verdict and data.verdict.validity is Validity.INVALID else "error"
        notes = "\n".join(printable(note) for note in data.notes)
        _problem(case, word, found.word.lower(), f"{found.word}: {sentence}", data, notes)
    return case


def _problem(case: ET.Element, word: str, kind: str, summary: str, data: RunData, text: str) -> None:
    command = replay_command(data)
    message = f"{summary} (seed {data.run.seed}; replay: {command})"
    problem = ET.SubElement(case, word, {"type": kind, "message": message})
    body = text[:TEXT_LENGTH_MAX]
    problem.text = f"{body}\n\nseed   {data.run.seed}\nreplay {command}\n"
