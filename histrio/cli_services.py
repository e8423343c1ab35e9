"""What the commands call: one record of functions, so that a command can be run against any others, as tests do.

Only the shape is here; the program's own functions are put in by `histrio.cli_composition`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from checker.records import CheckResult, Verdict
from histrio.bug_score import BugScore
from histrio.campaign import CampaignSpec, Row
from histrio.catalogue import Catalogue
from histrio.clocks import utc_now
from histrio.environments.environment import Progress
from histrio.store import RunDirectory
from histrio.trial import Trial, TrialSpec

__all__ = ["HistoryAnswer", "HistoryQuestion", "Replayed", "Services"]


class Replayed(Protocol):
    """What a replay found."""

    @property
    def trace_hash_recorded(self) -> str | None:
        """The recorded run's digest of every simulated event; None if it was cut off."""
        ...

    @property
    def trace_hash_now(self) -> str | None:
        """The replay's."""
        ...

    @property
    def equal(self) -> bool:
        """Whether the replay was the same run, bit for bit."""
        ...

    @property
    def directory(self) -> Path:
        """The replay's run directory."""
        ...


class HistoryQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """How a history file is to be judged by itself."""

    model: str
    initial: msgspec.Raw | None = None
    """The state before the first operation, as JSON; None: the model's own."""
    format: str | None = None
    """Files of another format are refused; None: any that is recognised."""
    budget: int | None = None
    """Configurations to explore before the answer is `unknown`; None: the checker's own limit."""
    whole: bool = True
    """Whether the last line must be finished; it need not in a run that was cut off."""


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the checker says of one file."""

    result: CheckResult
    warnings: tuple[str, ...] = ()


Ran = tuple[int, bool]
"""(trials that were run twice, whether the time ran out)."""


@dataclass(frozen=True, slots=True)
class Services:
    """The work behind the commands."""

    catalogue: Callable[[], Catalogue]
    plan_trial: Callable[[TrialSpec], Trial]
    execute: Callable[[Trial, RunDirectory, Callable[[Progress], None]], None]
    judge: Callable[[Path], Verdict]
    """Reads a run directory, writes its verdict.json."""
    write_report: Callable[[Path], Path]
    """Reads a judged run directory, gives the path of report.html."""
    replay: Callable[[Path, Path], Replayed]
    """(recorded run directory, store for the replay)"""
    check_history: Callable[[Path, HistoryQuestion], HistoryAnswer]
    run_campaign: Callable[[CampaignSpec, int, bool, float | None, Callable[[Row], bool], Callable[[str], None]], Ran]
    """(campaign, processes, whether to leave the packages as they are, seconds, taker of rows, taker of progress)."""
    score_bugs: Callable[[tuple[str, ...], Sequence[int], Path], Iterable[BugScore]]
    """(names of planted bugs, none for all; seeds; folder of saved plans)."""
    build_image: Callable[[Callable[[str], None]], str]
    """Gives the image's name and base; the argument takes progress."""
    now: Callable[[], datetime] = utc_now
