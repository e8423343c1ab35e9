"""The results of the checks as text: name with key, budget, story of a violation.

Shared by the page, the step summary and the JUnit file, so that all three say the same.
"""

from __future__ import annotations

from checker.records import CheckResult
from reports.run_record import Operation, RunData
from reports.timeline import OPERATIONS_MAX, text_timeline
from reports.wording import printable, value_text

__all__ = ["budget_text", "check_title", "concerned", "detail_lines", "story_lines"]

LINES_MAX = 300
LINE_LENGTH_MAX = 500


def check_title(check: CheckResult) -> str:
    """`linearizability`, or with its key `linearizability [x]`."""
    return printable(check.name) + (f" [{value_text(check.key)}]" if check.key is not None else "")


def budget_text(check: CheckResult) -> str:
    """`configurations 1,200 of 2,000,000; seconds 3.1 of 60`; empty without a budget."""
    budget = check.budget
    parts = []
    for name, used in budget.items():
        if name.endswith("_max") and name.removesuffix("_max") in budget:
            continue
        limit = budget.get(f"{name}_max")
        words = printable(name.removesuffix("_max").replace("_", " "))
        if name.endswith("_max"):
            parts.append(f"{words} at most {_number(used)}")
        else:
            parts.append(f"{words} {_number(used)}" + (f" of {_number(limit)}" if limit is not None else ""))
    return "; ".join(parts)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


def concerned(data: RunData, check: CheckResult) -> tuple[Operation, ...]:
    """The operations that the evidence names, in its order: the contradiction is the last."""
    by_index = data.operations_by_index
    return tuple(by_index[index] for index in check.evidence.indexes if index in by_index)


def detail_lines(check: CheckResult) -> tuple[str, ...]:
    """The check's own lines of text, each and all cut to what a page bears."""
    details = check.evidence.details
    lines = tuple(printable(line, length_max=LINE_LENGTH_MAX) for line in details[:LINES_MAX])
    return lines if len(details) <= LINES_MAX else (*lines, f"… {len(details) - LINES_MAX:,} more in verdict.json")


def story_lines(data: RunData, check: CheckResult) -> tuple[str, ...]:
    """The violation as lines of text: the check's own words, or else a timeline of the operations it names."""
    if check.evidence.details:
        return detail_lines(check)
    operations = concerned(data, check)
    cut = len(operations) - OPERATIONS_MAX
    return ((f"({cut} earlier operations are not shown)",) if cut > 0 else ()) + text_timeline(operations)
