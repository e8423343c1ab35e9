"""Snapshots in the simulated world, forced by small thresholds: under every fault nothing is lost or forgotten."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from checker.records import Snapshot, Validity
from histrio.errors import UsageProblem
from histrio.systems.raft_trio import RAFT_TRIO
from histrio.trial import TrialSpec
from tests.histrio.running import run

COMPACTING = TrialSpec(
    time_limit_s=4.0,
    nemesis=("all",),
    system_options={
        "snapshot_threshold": "15",
        "trailing_logs": "3",
        "snapshot_chunk_bytes": "150",
        "wal_segment_bytes": "3000",
    },
)


def test_runs_under_every_fault_are_valid_although_logs_begin_after_snapshots(tmp_path: Path) -> None:
    """Issue 3, item 4: chunked installation, sessions in snapshots, restarts from snapshots."""
    installed = taken = 0
    for seed in (1, 2):
        ran = run(tmp_path, msgspec.structs.replace(COMPACTING, seed=seed))
        assert ran.verdict.validity is Validity.VALID, ran.verdict.signature
        events = [line.event for line in ran.directory.read_trace().records]
        taken += sum(isinstance(event, Snapshot) for event in events)
        installed += sum(isinstance(event, Snapshot) and event.installed for event in events)
    assert taken >= 50
    assert installed >= 2


@pytest.mark.parametrize(
    ("name", "value"), [("snapshot_threshold", "0"), ("trailing_logs", "-1"), ("trailing_logs", "x")]
)
def test_a_threshold_that_is_no_whole_number_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageProblem, match=name):
        RAFT_TRIO.check_options({name: value})


def test_nothing_may_trail_behind_a_snapshot() -> None:
    """0 is the sharpest setting: every follower that is a little behind needs the snapshot."""
    RAFT_TRIO.check_options({"trailing_logs": "0"})
