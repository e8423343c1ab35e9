"""What the core asks of its surroundings, in the order of durability.

`RaftCore` is stepped any number of times, then `take_ready` hands over everything at once. The split of the messages in
two fields is the durability rule of Raft as a type: what promises something goes in `messages_after_sync`.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from raft_trio.messages import Message
from raft_trio.trace import TraceEvent
from raft_trio.types import HardState, LogEntry, LogIndex, NodeId, Snapshot, Term

__all__ = ["Outbound", "Persist", "ReadState", "Ready", "Recovered"]

Outbound = tuple[NodeId, Message]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the disk gave back, the core's starting point."""

    hard_state: HardState = HardState()
    entries: tuple[LogEntry, ...] = ()
    """Consecutive from `base_index` + 1."""
    snapshot: Snapshot | None = None
    """The newest snapshot; covers everything up to `base_index`, and maybe some of the entries."""
    base_index: LogIndex = 0
    base_term: Term = 0


class Persist(msgspec.Struct, frozen=True, gc=False):
    """To be made durable as one unit and in this order: snapshot, truncation, entries, hard state."""

    token: int
    """Given back to `RaftCore.persisted` when done; tokens rise by one."""
    truncate_from: LogIndex | None
    """Remove this entry and all after it first."""
    entries: tuple[LogEntry, ...]
    hard_state: HardState | None
    must_sync: bool
    """False: only the commit index moved; writing without a sync will do."""
    snapshot: Snapshot | None = None
    """It replaces the whole log, and must be durable before anything that comes after it."""


class ReadState(msgspec.Struct, frozen=True, gc=False):
    """A read may be answered from the state machine once `index` is applied; `index` None: refused, not leader."""

    context: int
    index: LogIndex | None
    term: Term = 0


class Ready(msgspec.Struct, frozen=True, gc=False):
    """One hand-over. Empty fields mean nothing to do; `persist` None: nothing to write."""

    persist: Persist | None = None
    messages: tuple[Outbound, ...] = ()
    """May leave now, in parallel with the write: what a leader replicates promises nothing (thesis §10.2.1)."""
    messages_after_sync: tuple[Outbound, ...] = ()
    """Votes, acknowledgements: must not leave before `persist` of this and every earlier hand-over is durable."""
    committed: tuple[LogEntry, ...] = ()
    """Newly committed, consecutive; to be applied in order."""
    read_states: tuple[ReadState, ...] = ()
    lost_leadership: bool = False
    """The node stopped leading since the last hand-over: what clients wait for has an unknown outcome."""
    trace: tuple[TraceEvent, ...] = ()
    snapshot: Snapshot | None = None
    """Came from the leader: replaces the state machine before `committed` is applied."""
