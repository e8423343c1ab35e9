"""Planted bugs of reads: codes R of the catalogue. Broken clients are `raft_trio_clients`."""

from __future__ import annotations

from dataclasses import replace

from histrio.systems.planted_bug import PlantedBug
from histrio.systems.raft_trio_hunts import (
    LEADER_CUT_OFF_LONG,
    LEADER_KILLED,
    LEADER_STOPPED_AND_CUT_OFF,
    paper,
)
from histrio.systems.raft_trio_real_hunts import READS_WAIT_FOR_OLD_LEADER
from histrio.systems.system import Bug
from raft_trio.build import Build
from raft_trio.types import LogIndex, Role

__all__ = ["SERVICE_BUGS"]


def _stale_local_read(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, local_read_index=lambda role, commit: 0))


def _leader_local_read(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, read_needs_round=lambda: False))


def _read_before_term_commit(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, leader_may_read=lambda commit_term, term: True))


def _read_old_ack(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, round_to_join=lambda sent: sent))


def _read_before_applied(build: Build) -> Build:
    return replace(build, node_rules=replace(build.node_rules, may_read=lambda applied, read_index: True))


def _follower_own_commit(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, local_read_index=_commit_of_a_follower))


def _commit_of_a_follower(role: Role, commit: LogIndex) -> LogIndex | None:
    return commit if role is Role.FOLLOWER else None


SERVICE_BUGS = (
    PlantedBug(
        Bug(
            name="stale_local_read",
            reference="R1; etcd #741, Redis-Raft #19",
            change="any node answers reads from its own state",
            detectors=("linearizability",),
            hunt=LEADER_CUT_OFF_LONG,
        ),
        _stale_local_read,
    ),
    PlantedBug(
        Bug(
            name="leader_local_read",
            reference="R2; consul #54",
            change="a leader answers reads at once, without asking a quorum whether it still leads",
            detectors=("linearizability",),
            hunt=paper(LEADER_STOPPED_AND_CUT_OFF),
        ),
        _leader_local_read,
    ),
    PlantedBug(
        Bug(
            name="read_before_term_commit",
            reference="R6; etcd #7331, tikv #6340, redisraft #22",
            change="a new leader answers reads before it has committed in its term",
            detectors=("linearizability",),
            hunt=paper(LEADER_KILLED),
        ),
        _read_before_term_commit,
    ),
    PlantedBug(
        Bug(
            name="read_old_ack",
            reference="R7; etcd #20418, #21399",
            change="answers to a round that began before a read confirm it",
            detectors=("linearizability",),
            hunt=paper(LEADER_STOPPED_AND_CUT_OFF),
            real_hunt=READS_WAIT_FOR_OLD_LEADER,
        ),
        _read_old_ack,
    ),
    PlantedBug(
        Bug(
            name="read_before_applied",
            reference="R9; thesis §6.4",
            change="a read is answered before the state has reached its read index",
            detectors=("linearizability",),
            hunt=LEADER_CUT_OFF_LONG,
        ),
        _read_before_applied,
    ),
    PlantedBug(
        Bug(
            name="follower_own_commit",
            reference="R10; thesis §6.4",
            change="a follower reads at its own commit index",
            detectors=("linearizability",),
            hunt=LEADER_CUT_OFF_LONG,
        ),
        _follower_own_commit,
    ),
)
