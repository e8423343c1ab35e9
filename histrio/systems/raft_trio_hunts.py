"""Trials in which planted bugs of raft_trio show themselves: who is hit when, and how busy the clients are.

Random chaos finds about half of the catalogue within a few runs; the rest needs a scenario (`docs/bugs.md`). A scenario
finds many bugs, so it is one saved plan, named after the bug it was first made for, and the correct build passes it.
"""

from __future__ import annotations

from dataclasses import replace

from histrio.systems.system import Hunt

__all__ = [
    "ALL_STOP",
    "BLIND_RETRIES",
    "DISK_FAILS",
    "FIGURE_8",
    "FOLLOWER_LOSES_POWER",
    "FOUR_STOP",
    "HALVES",
    "LEADER_CUT_OFF",
    "LEADER_CUT_OFF_LONG",
    "LEADER_KILLED",
    "LEADER_STOPPED_AND_CUT_OFF",
    "LAGGARD_STANDS",
    "LONGER_LOG_STANDS",
    "RETRIES",
    "SNAPSHOTS",
    "SNAPSHOTS_IN_CHUNKS",
    "VOTERS_LOSE_POWER",
    "drawn",
    "paper",
]


def drawn(workload: str) -> Hunt:
    """Partitions and kills as every seed draws them: what breaks the promise of one workload needs no scenario."""
    return Hunt(workload=workload, time_limit_s=5.0)


def paper(hunt: Hunt) -> Hunt:
    """The same against plain paper Raft: the defences of a modern one hide many bugs."""
    return replace(hunt, options={**hunt.options, "profile": "paper"})


ALL_STOP = Hunt(
    plan="vote_cleared_same_term.1",
    scenario="all nodes stand still for 350 ms and go on at the same instant: all stand for election in the same term",
    time_limit_s=3.0,
)
FOUR_STOP = replace(ALL_STOP, plan="half_quorum.1", scenario="as before, with four nodes", nodes=4)
LAGGARD_STANDS = Hunt(
    plan="no_log_check.1",
    scenario="a follower misses 300 ms of entries and comes back when the leader is killed",
    nodes=3,
    time_limit_s=3.0,
)
LONGER_LOG_STANDS = Hunt(
    plan="vote_by_length.1",
    scenario="a leader that was cut off with many uncommitted entries comes back when its successor is killed",
    nodes=3,
    rate_hz=300.0,
    concurrency=60,
)
HALVES = Hunt(plan="self_vote_twice.1", scenario="two nodes are cut off from three", time_limit_s=3.5)
LEADER_KILLED = Hunt(
    plan="vote_not_persisted.1",
    scenario="the leader is killed again and again and comes back after 250 ms",
    nodes=3,
    time_limit_s=3.0,
)
LEADER_CUT_OFF = Hunt(
    plan="match_is_last.1",
    scenario="the leader is cut off until another is elected, with many writes that only it has",
    nodes=3,
    time_limit_s=3.5,
    rate_hz=300.0,
    concurrency=60,
)
LEADER_CUT_OFF_LONG = Hunt(
    plan="stale_local_read.1",
    scenario="the leader is cut off while others write",
    nodes=3,
    time_limit_s=3.0,
    concurrency=30,
)
LEADER_STOPPED_AND_CUT_OFF = Hunt(
    plan="leader_local_read.1",
    scenario="the leader stands still, is cut off, and finds reads waiting when it goes on",
    nodes=3,
    time_limit_s=3.5,
    rate_hz=100.0,
    concurrency=60,
)
FIGURE_8 = Hunt(
    plan="fig8.1",
    scenario="Figure 8 of the Raft paper: a leader with unreplicated entries is cut off; its successor too, with one of"
    " its own; the first leads again, and is cut off when it commits",
    nodes=3,
    time_limit_s=3.2,
    rate_hz=60.0,
    concurrency=60,
)
DISK_FAILS = Hunt(
    plan="fsync_error_ignored.1",
    scenario="the disk of a node fails for 120 ms, at the end of which the node loses power",
    nodes=3,
    time_limit_s=3.2,
)
FOLLOWER_LOSES_POWER = Hunt(
    plan="ack_before_fsync.1",
    scenario="one follower is cut off, the other loses power when it appends, the leader is cut off when that is back",
    nodes=3,
    time_limit_s=4.5,
    rate_hz=300.0,
)
VOTERS_LOSE_POWER = Hunt(
    plan="vote_not_fsynced.1",
    scenario="the leader is killed, and those who vote next lose power when they have voted",
    time_limit_s=3.0,
)
RETRIES = Hunt(
    plan="no_dedup.1",
    scenario="the leader is cut off while clients that retry append to lists",
    workload="append",
    options={"client": "retrying"},
    nodes=3,
    time_limit_s=2.0,
)
BLIND_RETRIES = replace(
    RETRIES,
    plan="blind_retry.1",
    scenario="the leader is cut off while clients that retry count",
    workload="counter",
)
SNAPSHOTS = Hunt(
    plan="snap_drop_suffix.1",
    scenario="followers are cut off for 60 ms, one after the other, and need a snapshot each time",
    options={"snapshot_threshold": "2", "trailing_logs": "0"},
    nodes=3,
    time_limit_s=3.8,
    rate_hz=600.0,
    concurrency=30,
)
SNAPSHOTS_IN_CHUNKS = replace(SNAPSHOTS, options={**SNAPSHOTS.options, "snapshot_chunk_bytes": "100"})
