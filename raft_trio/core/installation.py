"""Moving a snapshot from a leader to a follower whose next entries are gone from the log (Raft §7, Figure 13).

Both sides of InstallSnapshot. One chunk is under way at a time; it names its snapshot and its place, so that repeated,
late and overtaking ones are recognised, and a transfer goes on where it was, also under another leader. Nothing changes
on the follower before the whole is here; then log, state and configuration are replaced in one hand-over.
"""

from __future__ import annotations

from zlib import crc32

from raft_trio.core.membership import restart_from
from raft_trio.core.progress import Progress
from raft_trio.core.state import CoreState, Incoming
from raft_trio.messages import InstallSnapshotRequest, InstallSnapshotResponse
from raft_trio.trace import Committed, Snapshotted, Truncated
from raft_trio.types import NodeId, Snapshot

__all__ = ["send_snapshot", "step_install", "step_installed"]


# ── follower ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def step_install(state: CoreState, request: InstallSnapshotRequest) -> None:
    """A follower takes a chunk from its leader; terms were compared before."""
    if not state.rules.snapshot_is_newer(request.index, state.commit):
        _answer(state, request, request.total, installed=True)
    elif state.rules.keep_suffix_after_install(state.log, request.index, request.index_term):
        state.incoming = None
        state.commit = request.index
        state.trace.append(Committed(request.index))
        _answer(state, request, request.total, installed=True)
    else:
        _take_chunk(state, request)


def _take_chunk(state: CoreState, request: InstallSnapshotRequest) -> None:
    incoming = state.incoming
    if incoming is None or (incoming.index, incoming.digest) != (request.index, request.digest):
        if incoming is not None and request.index < incoming.index and request.term == incoming.term:
            return  # a late chunk of an older snapshot; but a new leader may have an older one only
        incoming = state.incoming = Incoming(request.index, request.digest, request.term, bytearray())
    incoming.term = request.term
    if state.rules.chunk_fits(len(incoming.data), request.offset) and crc32(request.data) == request.checksum:
        incoming.data += request.data
    if len(incoming.data) < request.total:
        _answer(state, request, len(incoming.data))
    elif not state.rules.snapshot_is_whole(crc32(incoming.data), request.digest):
        state.incoming = None
        _answer(state, request, 0)
    else:
        _install(state, request, bytes(incoming.data))


def _install(state: CoreState, request: InstallSnapshotRequest, data: bytes) -> None:
    """The snapshot replaces everything: what it covers, and what does not follow from it."""
    config = state.rules.config_after_install(request.config, state.membership)
    snapshot = Snapshot(request.index, request.index_term, config, request.config_index, request.digest, data)
    if state.log.last_index > request.index:
        state.trace.append(Truncated(request.index + 1))
    state.incoming = None
    state.log.reset(snapshot.index, snapshot.term)
    for mark in state.write_marks:  # writes under way say nothing about the new log
        mark.lowest_cut = 0
    state.snapshot = state.installed = snapshot
    state.commit = state.handed_index = snapshot.index
    state.trace.append(Snapshotted(snapshot.index, snapshot.term, snapshot.digest, True))
    restart_from(state, snapshot.config_index, snapshot.config)
    _answer(state, request, request.total, installed=True)


def _answer(state: CoreState, request: InstallSnapshotRequest, next_offset: int, *, installed: bool = False) -> None:
    response = InstallSnapshotResponse(
        state.term, request.index, request.digest, request.offset, next_offset, installed
    )
    state.send_after_sync(request.leader, response)


# ── leader ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def send_snapshot(state: CoreState, now_ns: int, peer: NodeId, progress: Progress) -> None:
    """Leader, once per hand-over, to a follower whose next entry is gone: the next chunk, or a lost one again.

    A chunk counts as lost when two heartbeats have passed and the follower has been heard since it was sent: to one
    that is silent it would be sent in vain.
    """
    snapshot = progress.snapshot
    if snapshot is None:
        snapshot = state.snapshot
        assert snapshot is not None, f"{state.node} has forgotten entries up to {state.log.base_index} for no snapshot"
        progress.begin_snapshot(snapshot)
    sent_ns = progress.chunk_sent_ns
    if sent_ns is not None:
        overdue = now_ns - sent_ns >= 2 * state.config.heartbeat_interval_ns
        if not overdue or progress.heard_ns <= sent_ns:
            return
    progress.chunk_sent_ns = now_ns
    offset = progress.offset
    data = snapshot.data[offset : offset + state.config.snapshot_chunk_size]
    request = InstallSnapshotRequest(
        state.term,
        state.node,
        snapshot.index,
        snapshot.term,
        snapshot.config,
        snapshot.config_index,
        snapshot.digest,
        len(snapshot.data),
        offset,
        data,
        crc32(data),
    )
    state.send(peer, request)


def step_installed(state: CoreState, now_ns: int, peer: NodeId, response: InstallSnapshotResponse) -> None:
    """A follower answered a chunk of our term."""
    progress = state.progress.get(peer)
    if progress is None:
        return
    progress.heard_ns = now_ns
    snapshot = progress.snapshot
    if snapshot is None or (response.index, response.digest) != (snapshot.index, snapshot.digest):
        return
    if response.installed:
        progress.match = state.rules.next_match(progress.match, response.index)
        progress.end_snapshot()
    elif progress.chunk_sent_ns is not None and response.offset == progress.offset:
        progress.offset = min(response.next_offset, len(snapshot.data))
        progress.chunk_sent_ns = None
