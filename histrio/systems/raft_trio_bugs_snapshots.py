"""Planted bugs of snapshots: codes S of the catalogue."""

from __future__ import annotations

from dataclasses import replace

from histrio.systems.planted_bug import PlantedBug
from histrio.systems.raft_trio_hunts import SNAPSHOTS, SNAPSHOTS_IN_CHUNKS
from histrio.systems.system import Bug
from raft_trio.build import Build
from raft_trio.sessions import Sessions
from raft_trio.types import LogIndex

__all__ = ["SNAPSHOT_BUGS"]


def _snap_uncommitted(build: Build) -> Build:
    due = build.node_rules.due_for_snapshot

    def further(applied: LogIndex, snapshot: LogIndex, threshold: int) -> LogIndex | None:
        index = due(applied, snapshot, threshold)
        return None if index is None else index + 1

    return replace(build, node_rules=replace(build.node_rules, due_for_snapshot=further))


def _snap_drop_suffix(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, keep_suffix_after_install=lambda log, index, term: False))


def _snap_stale_install(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, snapshot_is_newer=lambda index, commit: True))


def _snap_no_sessions(build: Build) -> Build:
    return replace(
        build, node_rules=replace(build.node_rules, sessions_in_snapshot=lambda sessions: Sessions().snapshot())
    )


def _chunk_offset_ignored(build: Build) -> Build:
    rules = replace(
        build.rules,
        chunk_fits=lambda received, offset: True,
        snapshot_is_whole=lambda actual_digest, announced_digest: True,
    )
    return replace(build, rules=rules)


SNAPSHOT_BUGS = (
    PlantedBug(
        Bug(
            name="snap_uncommitted",
            reference="S2; ruvector-raft",
            change="a snapshot is said to cover one entry more than was applied",
            detectors=("state-machine-safety", "node-exits"),
            hunt=SNAPSHOTS,
        ),
        _snap_uncommitted,
    ),
    PlantedBug(
        Bug(
            name="snap_drop_suffix",
            reference="S4; etcd #1763, #1837",
            change="a follower that installs a snapshot removes the entries behind it, also those that match",
            detectors=("committed-entries-durable", "node-exits"),
            hunt=SNAPSHOTS,
        ),
        _snap_drop_suffix,
    ),
    PlantedBug(
        Bug(
            name="snap_stale_install",
            reference="S5; ruvector-raft, RedisLabs/raft #49",
            change="a snapshot older than what is committed is taken",
            detectors=("monotone-commit", "committed-entries-durable"),
            hunt=SNAPSHOTS,
        ),
        _snap_stale_install,
    ),
    PlantedBug(
        Bug(
            name="snap_no_sessions",
            reference="S8; thesis §6.3, redisraft #568",
            change="the sessions of clients are not in the snapshot",
            detectors=("state-machine-safety", "linearizability"),
            hunt=SNAPSHOTS,
        ),
        _snap_no_sessions,
    ),
    PlantedBug(
        Bug(
            name="chunk_offset_ignored",
            reference="S10; RedisLabs/raft #162, etcd #18055",
            change="chunks of a snapshot are put together as they come, and the whole is not compared",
            detectors=("node-exits", "state-machine-safety"),
            hunt=SNAPSHOTS_IN_CHUNKS,
        ),
        _chunk_offset_ignored,
    ),
)
