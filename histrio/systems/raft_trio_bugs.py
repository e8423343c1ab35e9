"""The planted bugs of raft_trio: what the harness must find, each a different `Build` of the same node.

A bug replaces one decision, codec or file operation of a correct build. raft_trio itself contains no trace of them.
Ids in `reference` are those of the catalogue: E elections, L replication, C commit, P persistence, R reads, S
snapshots, K state machine and clients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from histrio.systems.system import Bug
from raft_trio import kv
from raft_trio.build import Build
from raft_trio.core.log import RaftLog
from raft_trio.machine import StateMachine
from raft_trio.messages import AppendEntriesRequest
from raft_trio.rules import Merge
from raft_trio.storage.records import HardStateRecord, Record

__all__ = ["DEMO_BUG", "PLANTED", "PlantedBug"]


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """A catalogue entry and how to build the node that has it."""

    bug: Bug
    plant: Callable[[Build], Build]


def _leader_local_read(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, read_needs_round=lambda: False))


def _ack_on_append(build: Build) -> Build:
    return replace(build, node_rules=replace(build.node_rules, result_at_append=_stored_at_append))


def _stored_at_append(machine: StateMachine, command: bytes) -> bytes | None:
    """A write cannot fail, so its result is known before it is committed; everything else waits as it should."""
    return kv.encode(kv.Stored()) if isinstance(kv.decode_command(command), kv.Put) else None


def _vote_not_persisted(build: Build) -> Build:
    encode = build.codec.encode

    def encode_without_vote(records: tuple[Record, ...]) -> bytes:
        return encode(tuple(_without_vote(record) for record in records))

    return replace(build, codec=replace(build.codec, encode=encode_without_vote))


def _without_vote(record: Record) -> Record:
    match record:
        case HardStateRecord(state=state):
            return HardStateRecord(type(state)(term=state.term, voted_for=None, commit=state.commit))
        case _:
            return record


def _trunc_always(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, merge=_merge_by_replacing))


def _merge_by_replacing(log: RaftLog, request: AppendEntriesRequest) -> Merge:
    first = request.prev_index + 1
    return (first if first <= log.last_index else None), request.entries


_CATALOGUE = (
    PlantedBug(
        Bug(
            name="leader_local_read",
            reference="R2; consul #54",
            change="a leader answers reads at once, without asking a quorum whether it still leads",
            detectors=("linearizability",),
        ),
        _leader_local_read,
    ),
    PlantedBug(
        Bug(
            name="ack_on_append",
            reference="C3; seed fault 1 of ruvector-raft",
            change="a leader tells the client that a write is done when it is in its own log, before it is committed",
            detectors=("acknowledged-durable", "linearizability"),
        ),
        _ack_on_append,
    ),
    PlantedBug(
        Bug(
            name="vote_not_persisted",
            reference="P1; PySyncObj #84",
            change="a node forgets at a restart whom it voted for in the current term",
            detectors=("one-vote-per-term", "election-safety"),
        ),
        _vote_not_persisted,
    ),
    PlantedBug(
        Bug(
            name="trunc_always",
            reference="L2; CCF #5991, etcd #1763, PySyncObj",
            change="a follower removes all entries behind a leader's message, even those that match",
            detectors=("committed-entries-durable", "node-exits"),
        ),
        _trunc_always,
    ),
)

PLANTED: Mapping[str, PlantedBug] = {planted.bug.name: planted for planted in _CATALOGUE}

DEMO_BUG = "ack_on_append"
"""What `histrio demo` looks for."""
