"""The log in memory: entries, their terms, and how much of them was handed to storage and is durable.

Belongs here: the data structure and its invariants. Does not: what to accept, what conflicts, what is committed
(`raft_trio.rules`, `raft_trio.core.replication`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from zlib import crc32

from raft_trio.errors import Compacted, InvalidLogIndex, LogInconsistency
from raft_trio.types import LogEntry, LogIndex, Term

__all__ = ["RaftLog", "entry_digest", "entry_size", "payload_size"]

ENTRY_OVERHEAD = 32
"""Bytes an entry costs beside its data, so that empty entries are not free."""


def entry_digest(entry: LogEntry) -> int:
    """crc32 of type, operation, session, sequence and data: equal index and term must mean equal digest."""
    head = f"{entry.type.value}|{entry.operation}|{entry.session}|{entry.sequence}|".encode()
    return crc32(entry.data, crc32(head))


def entry_size(entry: LogEntry) -> int:
    """What an entry counts towards limits in bytes."""
    return ENTRY_OVERHEAD + len(entry.data)


def payload_size(entries: Sequence[LogEntry]) -> int:
    """`entry_size` of all together."""
    size = ENTRY_OVERHEAD * len(entries)
    for entry in entries:
        size += len(entry.data)
    return size


class RaftLog:
    """Entries `base_index + 1 .. last_index`, consecutive, their terms never going back.

    `base_index`, `base_term` are the position of the snapshot below the log, 0 without one. `saved_index` is the last
    entry handed to storage, `synced_index` the last one known durable.
    """

    __slots__ = (
        "_cut",
        "_entries",
        "_term_firsts",
        "_terms",
        "base_index",
        "base_term",
        "last_index",
        "last_term",
        "saved_index",
        "synced_index",
    )

    def __init__(self, entries: Sequence[LogEntry] = (), *, base_index: LogIndex = 0, base_term: Term = 0) -> None:
        self.base_index = base_index
        self.base_term = base_term
        self.last_index = base_index
        self.last_term = base_term
        self._entries: list[LogEntry] = []
        self._terms: list[Term] = []
        self._term_firsts: list[LogIndex] = []
        self._cut: LogIndex | None = None
        for entry in entries:
            self.append(entry)
        self.saved_index = self.last_index
        self.synced_index = self.last_index

    def __len__(self) -> int:
        return len(self._entries)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def term_at(self, index: LogIndex) -> Term | None:
        """Term of the entry at `index` (also at the base); None outside the log."""
        if self.base_index < index <= self.last_index:
            return self._entries[index - self.base_index - 1].term
        return self.base_term if index == self.base_index else None

    def entry(self, index: LogIndex) -> LogEntry:
        """The entry at `index`. Raises `Compacted` or `InvalidLogIndex`."""
        if index <= self.base_index:
            raise Compacted(index, base_index=self.base_index)
        if index > self.last_index:
            raise InvalidLogIndex(index, why=f"the log ends at {self.last_index}")
        return self._entries[index - self.base_index - 1]

    def between(self, first: LogIndex, last: LogIndex) -> tuple[LogEntry, ...]:
        """Entries `first .. last`, both included, as far as the log goes. Raises `Compacted`, never leaves a hole."""
        if first <= self.base_index:
            raise Compacted(first, base_index=self.base_index)
        return tuple(self._entries[first - self.base_index - 1 : max(last - self.base_index, 0)])

    def first_of_term_above(self, term: Term) -> LogIndex:
        """First index whose term exceeds `term`, or last_index + 1."""
        position = bisect_right(self._terms, term)
        return self._term_firsts[position] if position < len(self._terms) else self.last_index + 1

    def first_of_term_at(self, index: LogIndex) -> LogIndex:
        """First index, above the base, of the term that the entry at `index` has."""
        return self._term_firsts[bisect_right(self._term_firsts, index) - 1]

    # ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def append(self, entry: LogEntry) -> None:
        """Add the next entry. Raises `LogInconsistency` for a hole or a term that goes back."""
        term = entry.term
        if entry.index != self.last_index + 1 or term < self.last_term:
            raise LogInconsistency(
                f"entry {entry.index} of term {term} cannot follow entry {self.last_index} of term {self.last_term}",
                why="indexes rise by one and terms never fall",
            )
        if term != self.last_term or not self._terms:
            self._terms.append(term)
            self._term_firsts.append(entry.index)
        self._entries.append(entry)
        self.last_index = entry.index
        self.last_term = term

    def truncate_from(self, index: LogIndex) -> None:
        """Remove the entry at `index` and all after it. Raises `InvalidLogIndex` outside the log."""
        if not self.base_index < index <= self.last_index:
            raise InvalidLogIndex(index, why=f"the log holds {self.base_index + 1} to {self.last_index}")
        del self._entries[index - self.base_index - 1 :]
        while self._term_firsts and self._term_firsts[-1] >= index:
            self._term_firsts.pop()
            self._terms.pop()
        self.last_index = index - 1
        self.last_term = self._entries[-1].term if self._entries else self.base_term
        if index <= self.saved_index:
            self.saved_index = index - 1
            self._cut = index if self._cut is None else min(self._cut, index)
        self.synced_index = min(self.synced_index, index - 1)

    def compact(self, index: LogIndex) -> None:
        """Forget entries up to `index`, which a snapshot covers; already forgotten ones are no error.

        Raises `InvalidLogIndex` beyond the end of the log or of what was handed to storage.
        """
        if index <= self.base_index:
            return
        if index > self.saved_index:
            raise InvalidLogIndex(index, why=f"storage has entries up to {self.saved_index}, so none beyond may go")
        self.base_term = self._entries[index - self.base_index - 1].term
        del self._entries[: index - self.base_index]
        self.base_index = index
        gone = bisect_right(self._term_firsts, index + 1) - 1 if self._entries else len(self._terms)
        del self._terms[:gone], self._term_firsts[:gone]
        if self._term_firsts:
            self._term_firsts[0] = index + 1

    def reset(self, index: LogIndex, term: Term) -> None:
        """Forget all entries: the log begins anew behind a snapshot up to (index, term), not known durable yet."""
        self._entries.clear()
        self._terms.clear()
        self._term_firsts.clear()
        self._cut = None
        self.base_index = self.last_index = self.saved_index = index
        self.base_term = self.last_term = term

    # ── handing over ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def has_unsaved(self) -> bool:
        """Something was appended or truncated since the last `take_unsaved`."""
        return self.saved_index < self.last_index or self._cut is not None

    def take_unsaved(self) -> tuple[LogIndex | None, tuple[LogEntry, ...]]:
        """What storage must do, in this order: truncate from an index (None: not), append entries. Counts as saved."""
        cut, self._cut = self._cut, None
        entries = tuple(self._entries[self.saved_index - self.base_index :])
        self.saved_index = self.last_index
        return cut, entries
