"""From the results of many checks to the verdict of one run, and from that to an exit code.

Here belong composition, signatures, exit codes and the guard that keeps a crashed check from passing for a verdict; no
check itself. The order of severity is `Validity.severity`; the numbers are those of docs/architecture.md.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import assert_never

from checker.records import CheckResult, Evidence, Validity, Verdict

__all__ = ["compose", "exit_code", "guarded", "guarded_all", "signature_of"]

NO_CHECKS = "no-checks"


def compose(checks: Sequence[CheckResult]) -> Verdict:
    """The verdict of a run: the most severe validity; among equally severe checks the first one names the signature.

    A run that nothing judged is vacuous, never valid.
    """
    if not checks:
        return Verdict(validity=Validity.VACUOUS, signature=NO_CHECKS, checks=())
    worst = max(checks, key=lambda check: check.validity.severity)
    signature = None if worst.validity is Validity.VALID else signature_of(worst)
    return Verdict(validity=worst.validity, signature=signature, checks=tuple(checks))


def signature_of(check: CheckResult) -> str:
    """What shrinking and de-duplication hold constant: `check/class/kinds`, for an invariant `rule/class/role`.

    Kinds come from `figures["kinds"]`, sorted and joined by `+`, else the role from `figures["role"]`; parts that the
    check does not know are left out. No times, keys, nodes or terms, which change from seed to seed.
    """
    figures = check.evidence.figures
    parts = [check.name]
    if check.anomaly:
        parts.append(check.anomaly)
    kinds, role = figures.get("kinds"), figures.get("role")
    if isinstance(kinds, list | tuple) and kinds:
        parts.append("+".join(sorted({str(kind) for kind in kinds})))
    elif role:
        parts.append(str(role))
    return "/".join(parts)


def exit_code(validity: Validity) -> int:
    """The process's exit code for a verdict. 1 is reserved for `invalid`: nothing else may end with it."""
    match validity:
        case Validity.VALID:
            return 0
        case Validity.INVALID:
            return 1
        case Validity.UNKNOWN:
            return 2
        case Validity.VACUOUS:
            return 3
        case Validity.HARNESS_ERROR:
            return 70  # EX_SOFTWARE of sysexits.h
        case _:
            assert_never(validity)


def guarded(name: str, check: Callable[[], CheckResult]) -> CheckResult:
    """Run one check. An exception inside it becomes a harness error of that name: it says nothing about the system."""
    try:
        return check()
    except Exception as error:
        return _crashed(name, error)


def guarded_all(name: str, checks: Callable[[], Sequence[CheckResult]]) -> tuple[CheckResult, ...]:
    """As `guarded`, for a function that gives several results; if it crashes, the one result is called `name`."""
    try:
        return tuple(checks())
    except Exception as error:
        return (_crashed(name, error),)


def _crashed(name: str, error: Exception) -> CheckResult:
    kind = type(error).__name__
    return CheckResult(
        name=name,
        validity=Validity.HARNESS_ERROR,
        anomaly="checker-crashed",
        evidence=Evidence(
            summary=f"the check {name} itself failed with {kind}: {error}",
            details=tuple("".join(traceback.format_exception(error)).splitlines()),
            figures={"error": kind, "message": str(error)},
        ),
    )
