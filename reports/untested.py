"""What a run did not test, in sentences: the part of a report that keeps a green page honest.

Here belong the reasons to trust a run less. What was tested is in the tables.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from checker.faults import FaultStatus
from checker.records import Validity
from reports.run_record import RunData
from reports.wording import counted, printable

__all__ = ["untested"]


def untested(data: RunData, frame: pd.DataFrame) -> tuple[str, ...]:
    """One sentence per gap; empty when there is none that the directory shows."""
    return (
        *map(printable, (*data.notes, *data.absences)),
        *_skipped(data),
        *_faults(data),
        *_functions(frame),
        *_checks(data),
    )


def _skipped(data: RunData) -> Iterable[str]:
    for kind, reason in sorted(data.run.skipped.items()):
        yield f"Faults of kind {printable(kind)} were not injected: {printable(reason)}"


def _faults(data: RunData) -> Iterable[str]:
    if not data.faults:
        yield "No fault was injected: only the undisturbed system was seen."
    for kind in sorted({fault.kind for fault in data.faults}):
        own = [fault for fault in data.faults if fault.kind == kind]
        never = sum(fault.applied_ns is None for fault in own)
        idle = sum(fault.status is FaultStatus.NO_EFFECT and fault.applied_ns is not None for fault in own)
        unverified = sum(fault.status is FaultStatus.UNVERIFIED for fault in own)
        if never:
            yield f"{counted(never, 'fault')} of kind {printable(kind)} never began."
        if idle:
            yield f"{counted(idle, 'fault')} of kind {printable(kind)} had no effect."
        if unverified:
            yield f"The effect of {counted(unverified, 'fault')} of kind {printable(kind)} was never counted."


def _functions(frame: pd.DataFrame) -> Iterable[str]:
    succeeded = set(frame.loc[frame["outcome"] == "ok", "f"])
    for f in sorted(set(frame["f"]) - succeeded):
        yield f"No operation {printable(f)} ever succeeded."


def _checks(data: RunData) -> Iterable[str]:
    if data.verdict is None:
        return
    done = {check.name for check in data.verdict.checks}
    for name in data.run.checks:
        if name not in done:
            yield f"The check {printable(name)} was planned, but the verdict does not mention it."
    for check in data.verdict.checks:
        if check.validity is Validity.UNKNOWN:
            yield f"The check {printable(check.name)} did not finish: {printable(check.evidence.summary)}"
