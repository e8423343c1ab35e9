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
    for seed in (1, 2, 3):
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


def test_settings_that_exclude_each_other_are_refused() -> None:
    """A lease is a promise that plain Raft does not make."""
    with pytest.raises(UsageProblem, match="exclude"):
        RAFT_TRIO.check_options({"profile": "paper", "lease_reads": "on"})
    with pytest.raises(UsageProblem, match="lease_reads='maybe'"):
        RAFT_TRIO.check_options({"lease_reads": "maybe"})


def test_a_run_with_leases_and_two_nodes_that_wait_to_be_added_is_valid(tmp_path: Path) -> None:
    """Who is no member need not serve; leases are safe under every fault but clocks that run wild."""
    options = {"lease_reads": "on", "members": "3"}
    ran = run(tmp_path, msgspec.structs.replace(COMPACTING, system_options=options, nemesis=("partition", "kill")))
    assert ran.verdict.validity is Validity.VALID, ran.verdict.signature
