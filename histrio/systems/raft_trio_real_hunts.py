"""Trials on real processes in which planted bugs of raft_trio show themselves; `raft_trio_hunts` has the simulator's.

In a real world nothing is hit to the millisecond. So these plans arm a fault that waits for its moment in the node
itself (power that fails in the middle of the next write), or make the moment long (a disk that syncs late, a leader
that stands still for a second), and do it several times. The correct build passes them, too.
"""

from __future__ import annotations

from histrio.systems.system import Hunt

__all__ = [
    "LEADER_SYNCS_LATE",
    "NAMES_GET_LOST",
    "READS_WAIT_FOR_OLD_LEADER",
    "SYNC_FAILS",
    "VOTER_LOSES_POWER",
    "WRITER_LOSES_POWER",
]

VOTER_LOSES_POWER = Hunt(
    plan="local/vote_not_fsynced.1",
    scenario="the leader is killed; a follower loses power at the first sync after the election that follows",
    time_limit_s=6.0,
)
WRITER_LOSES_POWER = Hunt(
    plan="local/ack_before_fsync.1",
    scenario="a follower loses power in the middle of a write",
    nodes=3,
    time_limit_s=6.5,
)
SYNC_FAILS = Hunt(
    plan="local/fsync_error_ignored.1",
    scenario="the syncs of a node fail for 300 ms, in which it loses power",
    nodes=3,
    time_limit_s=5.0,
)
NAMES_GET_LOST = Hunt(
    plan="local/no_dir_fsync.1",
    scenario="a follower whose log lies in small files loses power in a write, and with it names that were not synced",
    options={"wal_segment_bytes": "8192"},
    nodes=3,
    time_limit_s=7.5,
)
LEADER_SYNCS_LATE = Hunt(
    plan="local/leader_self_match_early.1",
    scenario="each sync of the leader takes 50 ms longer; at the end of that it loses power in a write",
    nodes=3,
    time_limit_s=2.5,
)
READS_WAIT_FOR_OLD_LEADER = Hunt(
    plan="local/read_old_ack.1",
    scenario="the leader stands still for a second and is cut off; another is elected, and reads wait for the first",
    options={"profile": "paper", "operation_timeout_ms": "2000"},
    nodes=3,
    time_limit_s=7.5,
    concurrency=200,
)
