"""summary.md: what a pull request's reader needs on one screen, in GitHub's Markdown.

Values come from the system under test: in tables they are escaped, elsewhere they stand in code fences that are longer
than any run of backticks within.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reports.checks_text import budget_text, check_title, story_lines
from reports.headline import banner, by_severity, fault_kinds, replay_command, worst_checks
from reports.run_record import RunData
from reports.wording import counted, printable

__all__ = ["summary_markdown"]

CHECKS_MAX = 50
STORY_LINES_MAX = 60


def summary_markdown(data: RunData, sentence: str, gaps: Sequence[str]) -> str:
    """The file's text. `gaps`: what was not tested, one sentence each."""
    found = banner(data.validity)
    blocks = [f"## {found.sign} {found.word}", _escaped(sentence), *_checks(data), *_violation(data), *_faults(data)]
    if gaps:
        blocks.append("**Not tested**\n\n" + "\n".join(f"- {_escaped(gap)}" for gap in gaps))
    blocks.append(f"**Replay** (seed {data.run.seed})\n\n{_fenced([replay_command(data)], 'sh')}")
    return "\n\n".join(blocks) + "\n"


def _checks(data: RunData) -> list[str]:
    checks = by_severity(data.verdict)
    if not checks:
        return []
    rows = ["| Check | Verdict | Class | What it says | Budget |", "| --- | --- | --- | --- | --- |"]
    for check in checks[:CHECKS_MAX]:
        texts = (
            check_title(check),
            str(check.validity),
            check.anomaly or "",
            check.evidence.summary,
            budget_text(check),
        )
        rows.append("| " + " | ".join(_escaped(text) for text in texts) + " |")
    if len(checks) > CHECKS_MAX:
        rows.append(f"| … | | | {len(checks) - CHECKS_MAX} more, none more severe | |")
    return ["\n".join(rows)]


def _violation(data: RunData) -> list[str]:
    worst = next(iter(worst_checks(data.verdict)), None)
    if worst is None:
        return []
    lines = story_lines(data, worst)
    if len(lines) > STORY_LINES_MAX:
        lines = (*lines[:STORY_LINES_MAX], f"… {len(lines) - STORY_LINES_MAX} more lines in report.html")
    story = [_fenced(lines, "text")] if lines else []
    return [f"**First violation: {_escaped(check_title(worst))}**", _escaped(worst.evidence.summary), *story]


def _faults(data: RunData) -> list[str]:
    if not data.faults:
        return []
    parts = [f"{_escaped(kind)} ({counts})" for kind, counts in fault_kinds(data)]
    return [f"**{counted(len(data.faults), 'fault')}**: {', '.join(parts)}"]


def _escaped(text: str) -> str:
    """Text that Markdown, its tables and inline HTML leave alone."""
    flat = printable(text).replace("\n", " ")
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~@!])", r"\\\1", flat)


def _fenced(lines: Sequence[str], language: str) -> str:
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence + language, *lines, fence])
