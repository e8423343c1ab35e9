"""Planted bugs of persistence: codes P of the catalogue. They change what is written, synced or read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from histrio.systems.planted_bug import PlantedBug
from histrio.systems.raft_trio_hunts import DISK_FAILS, FOLLOWER_LOSES_POWER, LEADER_KILLED, VOTERS_LOSE_POWER
from histrio.systems.raft_trio_real_hunts import (
    NAMES_GET_LOST,
    SYNC_FAILS,
    VOTER_LOSES_POWER,
    WRITER_LOSES_POWER,
)
from histrio.systems.system import Bug
from raft_trio.build import Build
from raft_trio.core.ready import Ready
from raft_trio.files import FileBatch, FileExecutor, FileOp, FileResult, SyncDir
from raft_trio.messages import AppendEntriesResponse
from raft_trio.storage.records import EntriesRecord, HardStateRecord, Record
from raft_trio.types import HardState

__all__ = ["STORAGE_BUGS"]


def _rewriting(build: Build, rewrite: Callable[[tuple[Record, ...]], tuple[Record, ...]]) -> Build:
    """The build whose log gets other records than it should."""
    encode = build.codec.encode
    return replace(build, codec=replace(build.codec, encode=lambda records: encode(rewrite(records))))


def _vote_not_persisted(build: Build) -> Build:
    return _rewriting(build, lambda records: tuple(_without_vote(record) for record in records))


def _without_vote(record: Record) -> Record:
    match record:
        case HardStateRecord(state=state):
            return HardStateRecord(msgspec.structs.replace(state, voted_for=None))
        case _:
            return record


def _term_not_persisted(build: Build) -> Build:
    return _rewriting(build, _term_of_the_log)


def _term_of_the_log(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """Only entries bring their term to disk."""
    terms = [record.entries[-1].term for record in records if isinstance(record, EntriesRecord)]
    states = [record.state for record in records if isinstance(record, HardStateRecord)]
    kept = tuple(record for record in records if not isinstance(record, HardStateRecord))
    if not terms:
        return kept
    commit = states[-1].commit if states else 0
    return (*kept, HardStateRecord(HardState(term=terms[-1], commit=commit)))


def _vote_not_fsynced(build: Build) -> Build:
    return replace(build, ready_filter=_sync_entries_only)


def _sync_entries_only(ready: Ready) -> Ready:
    persist = ready.persist
    if persist is None or persist.entries or persist.truncate_from is not None:
        return ready
    return msgspec.structs.replace(ready, persist=msgspec.structs.replace(persist, must_sync=False))


def _ack_before_fsync(build: Build) -> Build:
    return replace(build, ready_filter=_acknowledge_at_once)


def _acknowledge_at_once(ready: Ready) -> Ready:
    early = tuple(each for each in ready.messages_after_sync if isinstance(each[1], AppendEntriesResponse))
    late = tuple(each for each in ready.messages_after_sync if not isinstance(each[1], AppendEntriesResponse))
    return msgspec.structs.replace(ready, messages=ready.messages + early, messages_after_sync=late)


def _fsync_error_ignored(build: Build) -> Build:
    return replace(build, node_rules=replace(build.node_rules, goes_on_after_write_error=lambda error: True))


def _no_dir_fsync(build: Build) -> Build:
    return replace(build, files=_without_directory_syncs, disk=_disk_without_directory_syncs)


def _without_directory_syncs(batch: FileBatch) -> FileBatch:
    return FileBatch(batch.token, tuple(op for op in batch.ops if not isinstance(op, SyncDir)))


def _disk_without_directory_syncs(execute: FileExecutor) -> FileExecutor:
    def without(op: FileOp) -> FileResult:
        return None if isinstance(op, SyncDir) else execute(op)

    return without


STORAGE_BUGS = (
    PlantedBug(
        Bug(
            name="vote_not_persisted",
            reference="P1; PySyncObj #84",
            change="a node forgets at a restart whom it voted for in the current term",
            detectors=("one-vote-per-term", "election-safety"),
            hunt=LEADER_KILLED,
        ),
        _vote_not_persisted,
    ),
    PlantedBug(
        Bug(
            name="vote_not_fsynced",
            reference="P2; tikv #1610, robustmq #2039",
            change="a vote is written, but not synced, before it is given",
            detectors=("one-vote-per-term", "election-safety"),
            hunt=VOTERS_LOSE_POWER,
            real_hunt=VOTER_LOSES_POWER,
        ),
        _vote_not_fsynced,
    ),
    PlantedBug(
        Bug(
            name="term_not_persisted",
            reference="P3; PySyncObj #201",
            change="the term is not stored; at a restart it is taken from the log",
            detectors=("one-vote-per-term", "monotone-term", "election-safety"),
            hunt=LEADER_KILLED,
        ),
        _term_not_persisted,
    ),
    PlantedBug(
        Bug(
            name="ack_before_fsync",
            reference="P4; tikv #994, etcd #14143",
            change="a follower acknowledges entries that it has not synced",
            detectors=("promise-durable", "committed-entries-durable", "node-exits", "linearizability"),
            hunt=FOLLOWER_LOSES_POWER,
            real_hunt=WRITER_LOSES_POWER,
        ),
        _ack_before_fsync,
    ),
    PlantedBug(
        Bug(
            name="fsync_error_ignored",
            reference="P9; fsyncgate (PostgreSQL 2018), rostam #94",
            change="a node goes on when a write or sync of its log has failed, as if it had worked",
            detectors=("synced-durable", "node-exits", "quorum-durable", "one-vote-per-term"),
            hunt=DISK_FAILS,
            real_hunt=SYNC_FAILS,
        ),
        _fsync_error_ignored,
    ),
    PlantedBug(
        Bug(
            name="no_dir_fsync",
            reference="P10; etcd #6368, OSDI'14 (ALICE)",
            change="the directory is not synced when a file of the log is made",
            detectors=("synced-durable", "one-vote-per-term", "monotone-term"),
            hunt=FOLLOWER_LOSES_POWER,
            real_hunt=NAMES_GET_LOST,
        ),
        _no_dir_fsync,
    ),
)
