"""The wall clock: the only module of the project that reads it.

Wall time names a run's directory, dates `run.json`, paces the progress line and makes up a seed where none was given.
It never enters a history, a trace, a plan or a verdict: those take the run's own clock.
"""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["seed_at", "utc_now"]


def utc_now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one owner of the wall clock


def seed_at(moment: datetime) -> int:
    """A seed for a run that was given none: below 10^9, so that it is easily read out and typed."""
    return (int(moment.timestamp()) * 1_000_000 + moment.microsecond) % 1_000_000_007 % 10**9
