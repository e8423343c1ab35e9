"""Operations by hand, for tests of checks that need no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checker.history import Operation, Outcome
from checker.records import CheckResult, Validity

__all__ = ["CRASHED", "anomaly", "failed", "ok"]

CRASHED = None
"""The return of an operation that never ended."""


def ok(
    f: str, value: Any = None, result: Any = None, *, at: tuple[int, int | None], process: int = 0, key: str = "k"
) -> Operation:
    """An operation called and returned at these times, which are its ranks too; CRASHED makes it `info`."""
    call, returned = at
    return Operation(
        index=call,
        process=process,
        f=f,
        key=key,
        value=value,
        outcome=Outcome.INFO if returned is None else Outcome.OK,
        result=None if returned is None else value if result is None else result,
        call_ns=call,
        return_ns=returned,
        call_order=call,
        return_order=returned,
    )


def failed(
    f: str, value: Any = None, *, error: str, at: tuple[int, int], process: int = 0, key: str = "k"
) -> Operation:
    """An operation that certainly did not happen."""
    return Operation(
        index=at[0],
        process=process,
        f=f,
        key=key,
        value=value,
        outcome=Outcome.FAIL,
        error=error,
        call_ns=at[0],
        return_ns=at[1],
        call_order=at[0],
        return_order=at[1],
    )


def anomaly(result: CheckResult, anomalies: Sequence[tuple[str, str]]) -> str | None:
    """The class of what was found, which must be one that the check documents; None if nothing was."""
    if result.validity is Validity.VALID:
        assert result.anomaly is None
        return None
    assert result.validity is Validity.INVALID
    assert result.anomaly in dict(anomalies)
    return result.anomaly
