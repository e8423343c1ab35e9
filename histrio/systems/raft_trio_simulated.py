"""raft_trio's sans-IO node as the simulator wants it, and the same node doing unlikely things that are allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import msgspec

from histrio.simulation.buggify import Points
from histrio.simulation.node import Address, Effects, Send
from raft_trio.build import Build
from raft_trio.config import RaftNodeConfig
from raft_trio.files import FileBatch, FileExecutor
from raft_trio.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
    Message,
    PeerFrame,
    RequestVoteRequest,
    RequestVoteResponse,
)
from raft_trio.node import Node

__all__ = ["BUGGIFY_POINTS", "BuggifiedRaftNode", "SimulatedRaftNode", "with_early_snapshots"]

MS = 1_000_000
LATE_WRITE_NS = 10 * MS  # several syncs: what is promised before it is durable has time to do harm


class SimulatedRaftNode:
    """One incarnation of a raft_trio node as the simulator wants it (`SimNode`)."""

    def __init__(self, name: Address, incarnation: int, config: RaftNodeConfig, build: Build, random: Random) -> None:
        self._node = node = Node(name, incarnation, config, build, random)
        self.start: Callable[[int, FileExecutor], None] = node.start
        self.io_done = node.io_done
        self.wake = node.wake
        self.disconnected = node.disconnected

    def deliver(self, now_ns: int, source: Address, payload: Any) -> None:
        """Peers send frames, clients requests."""
        if type(payload) is PeerFrame:
            self._node.frame(now_ns, payload)
        else:
            self._node.request(now_ns, source, payload)

    def flush(self, now_ns: int) -> Effects:
        """One flush of the node in the simulator's words."""
        out = self._node.flush(now_ns)
        frames, replies = out.frames, out.replies
        return Effects(
            [Send(peer, frame, _kinds(frame), _size(frame)) for peer, frame in frames] if frames else (),
            [Send(connection, reply, type(reply).__name__) for connection, reply in replies] if replies else (),
            out.batches,
            out.wake_at_ns,
            out.trace,
            out.failed,
        )


_MESSAGE_KINDS: Mapping[type, str] = {
    AppendEntriesRequest: "append-request",
    AppendEntriesResponse: "append-response",
    RequestVoteRequest: "vote-request",
    RequestVoteResponse: "vote-response",
    InstallSnapshotRequest: "snapshot-request",
    InstallSnapshotResponse: "snapshot-response",
}
"""Messages that a fault may filter (`nemesis.kinds.MESSAGES`); others go by the names of their types."""

_MESSAGE_BYTES = 40  # of any message without entries, about: msgpack of half a dozen numbers and a name
_ENTRY_BYTES = 40  # of any entry without its data


def _kinds(frame: PeerFrame) -> str:
    """The kinds of message in a frame, each once, for filters and for the trace hash."""
    messages = frame.messages
    if len(messages) == 1:
        return _kind(messages[0])
    return "+".join(dict.fromkeys([_kind(message) for message in messages]))


def _kind(message: Message) -> str:
    return _MESSAGE_KINDS.get(type(message)) or type(message).__name__


def _size(frame: PeerFrame) -> int:
    """About the bytes of a frame on the wire: enough for bandwidth, without encoding it."""
    total = 0
    for message in frame.messages:
        total += _MESSAGE_BYTES
        if type(message) is AppendEntriesRequest:
            for entry in message.entries:
                total += _ENTRY_BYTES + len(entry.data)
        elif type(message) is InstallSnapshotRequest:
            total += len(message.data)
    return total


BUGGIFY_POINTS: Mapping[str, str] = {
    "one-entry-per-message": "an incarnation sends one entry per append",
    "one-append-in-flight": "an incarnation waits for each append to be answered",
    "early-elections": "an incarnation waits for leaders no longer than two heartbeats",
    "early-snapshots": "all nodes take a snapshot every 40 entries, keep 8 below it, and send it in chunks of 256 "
    "bytes; their logs lie in files of 4 KiB",
    "split-frames": "a flush leaves as one unit per message",
    "late-writes": "a flush's writes reach the disk 10 ms later, with those of the flushes until then",
    "early-wake": "a node is woken halfway to the time it asked for",
}
"""What each point does, all of it allowed."""


class BuggifiedRaftNode(SimulatedRaftNode):
    """A node that does unlikely things that are allowed (`BUGGIFY_POINTS`)."""

    def __init__(
        self, name: Address, incarnation: int, config: RaftNodeConfig, build: Build, random: Random, fires: Points
    ) -> None:
        super().__init__(name, incarnation, _unlikely(config, fires), build, random)
        self._fires = fires
        self._late: list[FileBatch] = []
        self._late_until_ns = 0
        self._outstanding = 0
        self._told = self.io_done
        self.io_done = self._io_done

    def flush(self, now_ns: int) -> Effects:
        """One flush, with what is late from earlier ones."""
        effects = super().flush(now_ns)
        sends, batches, wake_at_ns = effects.sends, effects.batches, effects.wake_at_ns
        if sends and self._fires("split-frames"):
            sends = [part for send in sends for part in _split(send)]
        if self._late or batches:
            batches = self._late_writes(now_ns, batches)
        if wake_at_ns is not None and wake_at_ns > now_ns + MS and self._fires("early-wake"):
            wake_at_ns = (now_ns + wake_at_ns) // 2
        if self._late:
            wake_at_ns = self._late_until_ns if wake_at_ns is None else min(wake_at_ns, self._late_until_ns)
        return msgspec.structs.replace(effects, sends=sends, batches=batches, wake_at_ns=wake_at_ns)

    def _late_writes(self, now_ns: int, batches: Sequence[FileBatch]) -> Sequence[FileBatch]:
        """In their order, all of them or none: a log is written from front to back.

        Only while the disk is idle, so that nothing becomes durable between a write's making and its asking, by which
        the disk knows what the write can vouch for (`histrio.simulation.disk.Disk.vouch`).
        """
        if not self._late:
            if self._outstanding or not self._fires("late-writes"):
                self._outstanding += len(batches)
                return batches
            self._late_until_ns = now_ns + LATE_WRITE_NS
        self._late += batches
        if now_ns < self._late_until_ns:
            return ()
        batches, self._late = self._late, []
        self._outstanding = len(batches)
        return batches

    def _io_done(self, now_ns: int, token: int, error: OSError | None) -> None:
        self._outstanding -= 1
        self._told(now_ns, token, error)


def with_early_snapshots(config: RaftNodeConfig) -> RaftNodeConfig:
    """The settings under `early-snapshots`: of all nodes or of none, as one would configure a cluster."""
    return replace(config, snapshot_threshold=40, trailing_logs=8, snapshot_chunk_size=256, wal_segment_bytes=4096)


def _unlikely(config: RaftNodeConfig, fires: Points) -> RaftNodeConfig:
    if fires("one-entry-per-message"):
        config = replace(config, max_entries_per_message=1)
    if fires("one-append-in-flight"):
        config = replace(config, max_inflight_msgs=1)
    if fires("early-elections"):
        shortest_ns = 2 * config.heartbeat_interval_ns
        config = replace(
            config, election_timeout_min_ns=shortest_ns, election_timeout_max_ns=shortest_ns + shortest_ns // 4
        )
    return config


def _split(send: Send) -> Sequence[Send]:
    """One unit per message; a frame's messages may arrive apart as well as together."""
    frame = send.payload
    assert type(frame) is PeerFrame
    if len(frame.messages) == 1:
        return (send,)
    parts = [
        PeerFrame(frame.source, frame.incarnation, frame.first + place, (message,))
        for place, message in enumerate(frame.messages)
    ]
    return [Send(send.destination, part, _kinds(part), _size(part)) for part in parts]
