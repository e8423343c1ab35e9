"""Planted bugs of replication and commitment: codes L and C of the catalogue."""

from __future__ import annotations

from dataclasses import replace

from histrio.systems.planted_bug import PlantedBug
from histrio.systems.raft_trio_hunts import FIGURE_8, LEADER_CUT_OFF, LEADER_KILLED, LONGER_LOG_STANDS, paper
from histrio.systems.raft_trio_real_hunts import LEADER_SYNCS_LATE
from histrio.systems.system import Bug
from raft_trio import kv
from raft_trio.build import Build
from raft_trio.core.log import RaftLog
from raft_trio.machine import StateMachine
from raft_trio.messages import AppendEntriesRequest
from raft_trio.rules import RULES, Merge

__all__ = ["REPLICATION_BUGS"]


def _no_prev_check(build: Build) -> Build:
    return replace(
        build, rules=replace(build.rules, accepts_append=lambda log, request: request.prev_index <= log.last_index)
    )


def _trunc_always(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, merge=_merge_by_replacing))


def _merge_by_replacing(log: RaftLog, request: AppendEntriesRequest) -> Merge:
    first = request.prev_index + 1
    return (first if first <= log.last_index else None), request.entries


def _overwrite_no_trunc(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, merge=_merge_keeping_tail))


def _merge_keeping_tail(log: RaftLog, request: AppendEntriesRequest) -> Merge:
    """What conflicts is replaced; entries behind it stay, as far as their terms allow them to be written at all."""
    cut, entries = RULES.merge(log, request)
    if cut is None or not entries:
        return cut, entries
    tail = log.between(entries[-1].index + 1, log.last_index)
    return cut, entries + tail


def _no_conflict_trunc(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, merge=_merge_keeping_conflicts))


def _merge_keeping_conflicts(log: RaftLog, request: AppendEntriesRequest) -> Merge:
    return None, tuple(entry for entry in request.entries if entry.index > log.last_index)


def _seed_append(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, merge=lambda log, request: (None, request.entries)))


def _match_is_last(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, match_to_acknowledge=lambda request, last_index: last_index))


def _hb_prev0(build: Build) -> Build:
    rules = replace(
        build.rules,
        heartbeat_prev=lambda match, next_index: 0,
        commit_to_tell=lambda commit, match: commit,
        match_to_acknowledge=lambda request, last_index: last_index,
    )
    return replace(build, rules=rules)


def _hint_off_by_one(build: Build) -> Build:
    after = build.rules.next_after_refusal
    return replace(build, rules=replace(build.rules, next_after_refusal=lambda log, response: after(log, response) + 1))


def _fig8(build: Build) -> Build:
    return replace(
        build,
        rules=replace(
            build.rules, leader_commit=lambda commit, quorum_match, match_term, term: max(commit, quorum_match)
        ),
    )


def _commit_beyond(build: Build) -> Build:
    return replace(
        build,
        rules=replace(
            build.rules,
            commit_to_tell=lambda commit, match: commit,
            follower_commit=lambda commit, leader_commit, match, last_index: max(
                commit, min(leader_commit, last_index)
            ),
        ),
    )


def _ack_on_append(build: Build) -> Build:
    return replace(build, node_rules=replace(build.node_rules, result_at_append=_stored_at_append))


def _stored_at_append(machine: StateMachine, command: bytes) -> bytes | None:
    """A write cannot fail, so its result is known before it is committed; everything else waits as it should."""
    return kv.encode(kv.Stored()) if isinstance(kv.decode_command(command), kv.Put) else None


def _leader_self_match_early(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, own_match=lambda last_index, synced_index: last_index))


def _commit_regress(build: Build) -> Build:
    return replace(
        build,
        rules=replace(
            build.rules,
            follower_commit=lambda commit, leader_commit, match, last_index: min(leader_commit, match),
        ),
    )


REPLICATION_BUGS = (
    PlantedBug(
        Bug(
            name="no_prev_check",
            reference="L1; Raft §5.3",
            change="a follower takes entries without looking at the term of the entry before them",
            detectors=("log-matching", "state-machine-safety", "match-proved", "linearizability"),
            hunt=paper(LONGER_LOG_STANDS),
        ),
        _no_prev_check,
    ),
    PlantedBug(
        Bug(
            name="trunc_always",
            reference="L2; CCF #5991, etcd #1763, PySyncObj",
            change="a follower removes all entries behind a leader's message, even those that match",
            detectors=("committed-entries-durable", "node-exits", "linearizability"),
            hunt=LEADER_CUT_OFF,
        ),
        _trunc_always,
    ),
    PlantedBug(
        Bug(
            name="overwrite_no_trunc",
            reference="L3; Raft §5.3",
            change="a follower replaces entries that conflict and keeps what stood behind them",
            detectors=("log-matching", "node-exits"),
            hunt=LEADER_CUT_OFF,
        ),
        _overwrite_no_trunc,
    ),
    PlantedBug(
        Bug(
            name="no_conflict_trunc",
            reference="L4; Raft §5.3",
            change="a follower keeps its own entries where they conflict with the leader's",
            detectors=("log-matching", "state-machine-safety", "linearizability"),
            hunt=LEADER_CUT_OFF,
        ),
        _no_conflict_trunc,
    ),
    PlantedBug(
        Bug(
            name="seed_append",
            reference="L5; ruvector-raft",
            change="a follower appends again what it has already",
            detectors=("node-exits", "liveness"),
            hunt=LEADER_KILLED,
        ),
        _seed_append,
    ),
    PlantedBug(
        Bug(
            name="match_is_last",
            reference="L6; ruvector-raft",
            change="a follower acknowledges up to its own last entry, whatever it was sent",
            detectors=("match-proved", "leader-completeness", "node-exits"),
            hunt=LEADER_CUT_OFF,
        ),
        _match_is_last,
    ),
    PlantedBug(
        Bug(
            name="hb_prev0",
            reference="L7; ruvector-raft, willemt/raft #118",
            change="a heartbeat says nothing of the log, and its answer is taken for a proof of it",
            detectors=("match-proved", "node-exits"),
            hunt=LEADER_CUT_OFF,
        ),
        _hb_prev0,
    ),
    PlantedBug(
        Bug(
            name="hint_off_by_one",
            reference="L11; ruvector-raft",
            change="a leader that is refused goes back one entry too few",
            detectors=("liveness",),
            hunt=LEADER_CUT_OFF,
        ),
        _hint_off_by_one,
    ),
    PlantedBug(
        Bug(
            name="fig8",
            reference="C1; Raft §5.4.2, logcabin #44, nats #7955",
            change="a leader commits entries of earlier terms by counting their copies",
            detectors=("commit-counted", "leader-completeness", "node-exits"),
            hunt=paper(FIGURE_8),
        ),
        _fig8,
    ),
    PlantedBug(
        Bug(
            name="commit_beyond",
            reference="C2; copycat #265, scylla #9965, ra #508",
            change="a follower takes its whole log for committed when the leader's commit index lies beyond it",
            detectors=("state-machine-safety", "committed-entries-durable", "node-exits", "linearizability"),
            hunt=LEADER_CUT_OFF,
        ),
        _commit_beyond,
    ),
    PlantedBug(
        Bug(
            name="ack_on_append",
            reference="C3; ruvector-raft",
            change="a leader tells the client that a write is done when it is in its own log, before it is committed",
            detectors=("acknowledged-durable", "linearizability"),
            hunt=LEADER_CUT_OFF,
        ),
        _ack_on_append,
    ),
    PlantedBug(
        Bug(
            name="leader_self_match_early",
            reference="C4; etcd #14370, hashicorp/raft #507",
            change="a leader counts itself for entries that it has not synced",
            detectors=("commit-counted", "quorum-durable"),
            hunt=LEADER_KILLED,
            real_hunt=LEADER_SYNCS_LATE,
        ),
        _leader_self_match_early,
    ),
    PlantedBug(
        Bug(
            name="commit_regress",
            reference="C6; raft.tla #18, PySyncObj #166",
            change="a follower's commit index follows the leader's messages back",
            detectors=("monotone-commit",),
            hunt=LEADER_KILLED,
        ),
        _commit_regress,
    ),
)
