"""The verdict as a word and a sign, and the one sentence that says what was run and what came of it.

Here belong sentences about a whole run, used by the page, the step summary and the JUnit file alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from checker.faults import FaultStatus
from checker.records import CheckResult, Validity, Verdict
from reports.run_record import RunData
from reports.statistics import Availability
from reports.wording import counted, duration, percent, printable, value_text

__all__ = ["Banner", "banner", "by_severity", "fault_kinds", "replay_command", "sentence", "worst_checks"]

ENVIRONMENT_WORDS = {"sim": "simulated", "local": "on local processes", "docker": "in containers"}


@dataclass(frozen=True, slots=True)
class Banner:
    """`tone` selects the colour; the word and the sign say the same without it."""

    word: str
    sign: str
    tone: str
    meaning: str


_BANNERS = {
    Validity.VALID: Banner("VALID", "✓", "valid", "Every check passed, and the run tested what was asked for."),
    Validity.INVALID: Banner("INVALID", "✗", "invalid", "The system broke a promise. The evidence is below."),
    Validity.UNKNOWN: Banner("UNKNOWN", "?", "unknown", "A check ran out of its budget before it could decide."),
    Validity.VACUOUS: Banner("VACUOUS", "∅", "vacuous", "Nothing was found, but the run did not test what was asked."),
    Validity.HARNESS_ERROR: Banner(
        "HARNESS ERROR", "⚠", "error", "The harness failed: this says nothing of the system."
    ),
}
_NOT_JUDGED = Banner("NOT JUDGED", "…", "none", "There is no verdict yet.")


def banner(validity: Validity | None) -> Banner:
    """Word, sign and meaning of a validity; None: there is no verdict."""
    return _NOT_JUDGED if validity is None else _BANNERS[validity]


def by_severity(verdict: Verdict | None) -> tuple[CheckResult, ...]:
    """The checks, most severe first, otherwise in the order in which they ran."""
    return tuple(sorted(verdict.checks, key=lambda check: -check.validity.severity)) if verdict else ()


def worst_checks(verdict: Verdict | None) -> tuple[CheckResult, ...]:
    """The checks that decided an invalid verdict; empty for any other."""
    return tuple(check for check in by_severity(verdict) if check.validity is Validity.INVALID)


def replay_command(data: RunData) -> str:
    """The command line that repeats the run; for a run that recorded none, the one that replays its directory."""
    return printable(data.run.command) or "histrio replay ."


def sentence(data: RunData, frame: pd.DataFrame, found: Availability) -> str:
    """What was run and what came of it, in one sentence of plain text."""
    parts = [_what_was_run(data), _operations(data, frame), _faults(data)]
    outcome = [_outcome(data.verdict)]
    if found.longest is not None:
        outcome.append(f"longest unavailability {duration(found.longest.length_s)}")
    return f"{', '.join(parts)}; {'; '.join(outcome)}."


def fault_kinds(data: RunData) -> tuple[tuple[str, str], ...]:
    """What became of the faults of each kind: (`kill`, `3 effective, 1 no-effect`), sorted by kind."""
    rows = []
    for kind in sorted({fault.kind for fault in data.faults}):
        statuses = [fault.status for fault in data.faults if fault.kind == kind]
        counts = [f"{statuses.count(status)} {status}" for status in FaultStatus if status in statuses]
        rows.append((printable(kind), ", ".join(counts)))
    return tuple(rows)


def _what_was_run(data: RunData) -> str:
    run = data.run
    bug = f" with the planted bug {printable(run.bug)}" if run.bug else ""
    where = ENVIRONMENT_WORDS.get(run.environment, f"in {printable(run.environment)}")
    system = f"{len(run.nodes)}-node {printable(run.system)}{bug}"
    return f"{system}, {printable(run.workload)}, {duration(data.end_ns / 1e9)} {where}"


def _operations(data: RunData, frame: pd.DataFrame) -> str:
    if not data.operations:
        return "no operations"
    keys = len({value_text(operation.key, length_max=10**6) for operation in data.operations})
    ok = int((frame["outcome"] == "ok").sum())
    on_keys = f" on {counted(keys, 'key')}" if any(operation.key is not None for operation in data.operations) else ""
    return f"{counted(len(frame), 'operation')}{on_keys} ({percent(ok, len(frame))} ok)"


def _faults(data: RunData) -> str:
    effective = [fault for fault in data.faults if fault.status is FaultStatus.EFFECTIVE]
    if not data.faults:
        return "no faults"
    if not effective:
        return f"{counted(len(data.faults), 'fault')} planned and none effective"
    families = len({fault.family for fault in effective})
    return f"{counted(len(effective), 'effective fault')} of {counted(families, 'family', 'families')}"


def _outcome(verdict: Verdict | None) -> str:
    if verdict is None:
        return "not judged yet"
    worst = next(iter(by_severity(verdict)), None)
    if worst is None or verdict.validity is not worst.validity:
        return str(verdict.validity)
    match verdict.validity:
        case Validity.VALID:
            names = {check.name for check in verdict.checks}
            return (
                "linearizable" if "linearizability" in names else f"all {counted(len(verdict.checks), 'check')} passed"
            )
        case Validity.INVALID:
            anomaly = f" ({printable(worst.anomaly)})" if worst.anomaly else ""
            on_key = f" on {value_text(worst.key)}" if worst.key is not None else ""
            broken = "not linearizable" if worst.name == "linearizability" else f"{printable(worst.name)} violated"
            return f"{broken}{anomaly}{on_key}"
        case Validity.UNKNOWN | Validity.VACUOUS | Validity.HARNESS_ERROR:
            return f"{verdict.validity} ({printable(worst.name)})"
