"""Client sessions: each command takes effect at most once, however often it reaches the log (thesis §6.3).

The table is a deterministic function of the log, as the state machine is, and belongs to its snapshots. Sessions end
by count, in the order in which the log last used them, never by a clock: clocks differ between replicas.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from raft_trio.machine import StateMachine
from raft_trio.types import LogEntry, LogIndex, Term

__all__ = ["SESSION_LIMIT", "Applied", "Expired", "Outcome", "Sessions", "Superseded", "is_new"]

SESSION_LIMIT = 10_000
"""Part of the replicated protocol: every node of a cluster must use the same number."""


class Applied(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The command took effect at (term, index): now, or when it came first."""

    sequence: int
    result: bytes
    term: Term
    index: LogIndex


class Expired(msgspec.Struct, frozen=True, gc=False):
    """The session does not exist (any more): this entry changed nothing."""


class Superseded(msgspec.Struct, frozen=True, gc=False):
    """The session has gone on to a later command: this entry changed nothing, an earlier copy of it may have."""


Outcome = Applied | Expired | Superseded

_EXPIRED = Expired()
_SUPERSEDED = Superseded()
_table_decoder = msgspec.msgpack.Decoder(list[tuple[int, Applied]])


def is_new(last_sequence: int, sequence: int) -> bool:
    """Whether a command has not been applied in its session yet. Gaps are legal: a client may give a command up."""
    return sequence > last_sequence


class Sessions:
    """All open sessions with the reply to each one's last command."""

    def __init__(self, *, limit: int = SESSION_LIMIT, is_new: Callable[[int, int], bool] = is_new) -> None:
        self._limit = limit
        self._is_new = is_new
        self._table: dict[int, Applied] = {}
        """In the order of last use: the first one is evicted first."""

    def __len__(self) -> int:
        return len(self._table)

    def open(self, entry: LogEntry) -> int:
        """Registers a client under the entry's index, evicts the least recently used session beyond the limit."""
        self._table[entry.index] = Applied(0, b"", entry.term, entry.index)
        if len(self._table) > self._limit:
            del self._table[next(iter(self._table))]
        return entry.index

    def apply(self, entry: LogEntry, machine: StateMachine) -> Outcome:
        """Gives the entry's command to the machine unless it had its effect before."""
        last = self._table.pop(entry.session, None)
        if last is None:
            return _EXPIRED
        if self._is_new(last.sequence, entry.sequence):
            last = Applied(entry.sequence, machine.apply(entry.data), entry.term, entry.index)
        self._table[entry.session] = last
        return last if last.sequence == entry.sequence else _SUPERSEDED

    def snapshot(self) -> bytes:
        """The table in its order."""
        return msgspec.msgpack.encode(list(self._table.items()))

    def restore(self, snapshot: bytes) -> None:
        """Replaces the table; nothing stands for an empty one. Raises msgspec.MsgspecError for what is none."""
        self._table = dict(_table_decoder.decode(snapshot)) if snapshot else {}
