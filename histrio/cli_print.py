"""How verdicts and catalogues look on stdout: text for people, JSON for programs. No deciding, no writing.

The JSON shapes are part of the public contract (docs/command-line.md): keys are added, never changed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import msgspec

from checker.records import CheckResult, Validity, Verdict
from histrio.catalogue import Catalogue, Entry

__all__ = ["COLOURS", "VerdictAnswer", "catalogue_text", "check_text", "entries_text", "json_text", "verdict_text"]

COLOURS = {
    Validity.VALID: "green",
    Validity.UNKNOWN: "yellow",
    Validity.VACUOUS: "yellow",
    Validity.HARNESS_ERROR: "magenta",
    Validity.INVALID: "red",
}
"""Colour only repeats what the word beside it says."""
DETAIL_LINES_MAX = 40
"""About one screen; the report has the rest."""
INDENT = 2

Paint = Callable[[str, str], str]


class VerdictAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What `run`, `demo` and `check DIR` print with --json."""

    validity: Validity
    signature: str | None
    exit_code: int
    seed: int
    directory: str
    report: str | None
    replay: str
    """The command that runs the recorded trial again, bit for bit."""
    run: str | None
    """The command that plans and runs the same trial without the directory."""
    expected: str | None = None
    """The --expect value."""
    checks: tuple[CheckResult, ...]


def json_text(value: object) -> str:
    """Indented JSON; paths as text."""
    encoded = msgspec.json.encode(value, enc_hook=_plain)
    return msgspec.json.format(encoded, indent=2).decode()


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def verdict_text(verdict: Verdict, *, seed: int, paint: Paint) -> str:
    """The verdict in a line, then a line for each check; if not all are valid, only for those, with their evidence."""
    word = paint(str(verdict.validity).upper(), COLOURS[verdict.validity])
    lines = [f"{word}  {verdict.signature or 'nothing found'}  (seed {seed})", ""]
    unsettled = sorted(
        (check for check in verdict.checks if check.validity is not Validity.VALID),
        key=lambda check: -check.validity.severity,
    )
    shown = unsettled or verdict.checks
    width = max((len(check.name) for check in shown), default=0)
    lines += [_check_line(check, width, paint) for check in shown]
    valid = [check.name for check in verdict.checks if check.validity is Validity.VALID]
    if unsettled and valid:
        others = f"valid: {', '.join(valid)}"
        lines += textwrap.wrap(others, 100, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    for check in unsettled:
        if check.evidence.details:
            lines += ["", f"{check.name}:", *_details(check)]
    return "\n".join(lines)


def check_text(name: str, check: CheckResult, *, paint: Paint, explain: bool) -> str:
    """`name: valid`, and with `explain` the evidence of a check that is not content below it."""
    lines = [f"{name}: {paint(str(check.validity), COLOURS[check.validity])}"]
    if explain and check.validity is not Validity.VALID:
        lines += [f"  {check.evidence.summary}", *_details(check)]
    return "\n".join(lines)


def catalogue_text(catalogue: Catalogue) -> str:
    """Every registry with its names and their meaning."""
    sections = (
        ("environments", catalogue.environments),
        ("systems", catalogue.systems),
        ("workloads", catalogue.workloads),
        ("nemeses", catalogue.nemeses),
        ("bugs", catalogue.bugs),
        ("models", catalogue.models),
        ("formats", catalogue.formats),
    )
    width = max((_width(entry) for _, entries in sections for entry in entries), default=0)
    return "\n\n".join("\n".join([title, *_entries(entries, width)]) for title, entries in sections)


def entries_text(entries: tuple[Entry, ...]) -> str:
    """One registry."""
    return "\n".join(_entries(entries, max(map(_width, entries), default=0)))


def _width(entry: Entry) -> int:
    return max([len(entry.name), *(INDENT + len(kind.name) for kind in entry.kinds)])


def _entries(entries: tuple[Entry, ...], width: int) -> list[str]:
    lines = []
    for entry in entries:
        notes = [entry.about]
        if entry.system:
            notes.append(f"({entry.system})")
        if entry.unavailable:
            notes.append(f"[{entry.unavailable}]")
        lines.append(f"  {entry.name:<{width}}  {' '.join(notes)}".rstrip())
        lines += [f"  {'':{INDENT}}{line[2:]}" for line in _entries(entry.kinds, width - INDENT)]
    return lines


def _check_line(check: CheckResult, width: int, paint: Paint) -> str:
    padded = f"{check.validity:<13}"
    return f"  {check.name:<{width}}  {paint(padded, COLOURS[check.validity])} {check.evidence.summary}"


def _details(check: CheckResult) -> list[str]:
    details = [f"  {line}" for line in check.evidence.details[:DETAIL_LINES_MAX]]
    rest = len(check.evidence.details) - DETAIL_LINES_MAX
    return [*details, f"  … {rest} more lines in verdict.json"] if rest > 0 else details
