"""Runs a recorded trial again and compares the two runs, event by event, through their trace hashes.

Replay exists in the simulator only, where it is bit-identical or the harness is broken; carrying the same plan out in
a real environment is called re-enacting and proves something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from histrio.clocks import utc_now
from histrio.errors import UsageProblem
from histrio.planning import plan_trial
from histrio.run import execute
from histrio.store import RunDirectory
from histrio.trial import Trial, spec_from_json

__all__ = ["ReplayResult", "recorded_trial", "replay"]


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """Two trace hashes and where the second run lies."""

    trace_hash_recorded: str | None
    trace_hash_now: str | None
    directory: Path

    @property
    def equal(self) -> bool:
        """Whether both runs ended and were the same, bit for bit."""
        return self.trace_hash_recorded is not None and self.trace_hash_recorded == self.trace_hash_now


def replay(directory: Path, store: Path) -> ReplayResult:
    """Run the trial of `directory` again, into a directory of its own below `store`.

    Raises UsageProblem for a run that is not of the simulator.
    """
    recorded = RunDirectory.load(directory)
    record = recorded.read_run()
    if record.environment != "sim":
        raise UsageProblem(
            f"a run in the environment {record.environment} cannot be replayed",
            why="only the simulator repeats a run bit for bit",
            fix=f"re-enact it: histrio run --env {record.environment} --plan {recorded.plan_json}",
        )
    trial = recorded_trial(recorded)
    place = RunDirectory.create(store, f"{record.name}-replay", started_at=utc_now(), seed=record.seed)
    execute(trial, place)
    end = place.read_run().end
    return ReplayResult(
        trace_hash_recorded=record.end.trace_hash if record.end else None,
        trace_hash_now=end.trace_hash if end else None,
        directory=place.path,
    )


def recorded_trial(directory: RunDirectory) -> Trial:
    """The trial that a run directory records: its options, and its plan as it was carried out."""
    record = directory.read_run()
    spec = spec_from_json(record.spec)
    planned = plan_trial(msgspec.structs.replace(spec, plan=directory.plan_json))
    return msgspec.structs.replace(planned, spec=spec, nemesis=record.nemesis, skipped=record.skipped)
