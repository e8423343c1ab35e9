"""The log against a plain list, and its errors."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raft_trio.core.log import RaftLog, entry_digest
from raft_trio.errors import Compacted, InvalidLogIndex, LogInconsistency
from raft_trio.types import EntryType, LogEntry


def entry(index: int, term: int, data: bytes = b"") -> LogEntry:
    return LogEntry(index, term, EntryType.COMMAND, data=data)


class LogAgainstList(RuleBasedStateMachine):
    """Everything a `RaftLog` says, recomputed naively; and what storage would hold after executing its hand-overs."""

    def __init__(self) -> None:
        super().__init__()
        self.base, self.base_term = 3, 1
        self.log = RaftLog(base_index=self.base, base_term=self.base_term)
        self.model: list[LogEntry] = []
        self.stored: dict[int, LogEntry] = {}

    @rule(step=st.integers(0, 2), data=st.binary(max_size=2))
    def append(self, step: int, data: bytes) -> None:
        term = (self.model[-1].term if self.model else self.base_term) + step
        added = entry(self.base + len(self.model) + 1, term, data)
        self.model.append(added)
        self.log.append(added)

    @precondition(lambda self: self.model)
    @rule(choice=st.integers(0, 1000))
    def truncate(self, choice: int) -> None:
        kept = choice % len(self.model)
        del self.model[kept:]
        self.log.truncate_from(self.base + kept + 1)

    @rule()
    def hand_over(self) -> None:
        cut, entries = self.log.take_unsaved()
        if cut is not None:
            self.stored = {index: e for index, e in self.stored.items() if index < cut}
        self.stored |= {e.index: e for e in entries}
        assert [e for index, e in sorted(self.stored.items()) if index > self.base] == self.model
        assert not self.log.has_unsaved

    @precondition(lambda self: self.log.saved_index > self.base)
    @rule(choice=st.integers(0, 1000))
    def compact(self, choice: int) -> None:
        """Behind a snapshot; only what storage has may go."""
        gone = choice % (self.log.saved_index - self.base) + 1
        self.base_term = self.model[gone - 1].term
        self.base += gone
        del self.model[:gone]
        self.log.compact(self.base)
        self.log.compact(self.base - 1)

    @rule(ahead=st.integers(0, 3), step=st.integers(0, 1))
    def reset(self, ahead: int, step: int) -> None:
        """A snapshot from elsewhere replaces everything, also what storage was not given yet."""
        self.base_term = self.log.last_term + step
        self.base = self.log.last_index + ahead
        self.model = []
        self.stored = {}
        self.log.reset(self.base, self.base_term)

    @rule(first=st.integers(0, 8), last=st.integers(-1, 9))
    def slice(self, first: int, last: int) -> None:
        got = self.log.between(self.base + 1 + first, self.base + 1 + last)
        assert list(got) == self.model[first : max(last + 1, 0)]

    @rule(term=st.integers(0, 12))
    def first_above(self, term: int) -> None:
        above = [e.index for e in self.model if e.term > term]
        assert self.log.first_of_term_above(term) == min(above, default=self.log.last_index + 1)

    @invariant()
    def says_the_same(self) -> None:
        last = self.base + len(self.model)
        assert (self.log.last_index, len(self.log)) == (last, len(self.model))
        assert self.log.last_term == (self.model[-1].term if self.model else self.base_term)
        terms = {e.index: e.term for e in self.model} | {self.base: self.base_term}
        for index in range(last + 3):
            assert self.log.term_at(index) == terms.get(index)
        for held in self.model:
            assert self.log.entry(held.index) is held
            assert self.log.first_of_term_at(held.index) == min(e.index for e in self.model if e.term == held.term)
        assert self.log.synced_index <= self.log.saved_index <= last


TestLogAgainstList = LogAgainstList.TestCase
TestLogAgainstList.settings = settings(derandomize=True, max_examples=60, stateful_step_count=30, deadline=None)


def test_an_empty_log_starts_before_index_1_in_term_0() -> None:
    """Raft Figure 2: the first index is 1."""
    log = RaftLog()
    assert (log.last_index, log.last_term, log.term_at(0), log.term_at(1)) == (0, 0, 0, None)


def test_a_hole_or_a_term_that_goes_back_is_refused() -> None:
    """Seed: LogInconsistency."""
    log = RaftLog((entry(1, 2),))
    with pytest.raises(LogInconsistency, match="cannot follow"):
        log.append(entry(3, 2))
    with pytest.raises(LogInconsistency, match="terms never fall"):
        log.append(entry(2, 1))


def test_what_is_below_the_base_is_compacted_not_silently_skipped() -> None:
    """Seed fault 15: entries_from(start <= base) returned later entries, a hole."""
    log = RaftLog((entry(6, 3),), base_index=5, base_term=2)
    with pytest.raises(Compacted, match="snapshot"):
        log.between(5, 6)
    with pytest.raises(Compacted):
        log.entry(5)
    with pytest.raises(InvalidLogIndex, match="ends at 6"):
        log.entry(7)
    with pytest.raises(InvalidLogIndex):
        log.truncate_from(5)
    assert log.term_at(5) == 2
    assert log.term_at(4) is None


def test_what_storage_was_not_given_cannot_be_compacted() -> None:
    """A snapshot covers applied entries, and those were handed over."""
    log = RaftLog()
    log.append(entry(1, 1))
    with pytest.raises(InvalidLogIndex, match="storage has entries up to 0"):
        log.compact(1)


def test_a_digest_tells_any_two_different_payloads_apart() -> None:
    """Border: equal index and term must mean equal digest; every field of the payload counts."""
    base = LogEntry(1, 1, EntryType.COMMAND, "op", 1, 2, b"x")
    others = [
        LogEntry(1, 1, EntryType.NOOP, "op", 1, 2, b"x"),
        LogEntry(1, 1, EntryType.COMMAND, "po", 1, 2, b"x"),
        LogEntry(1, 1, EntryType.COMMAND, "op", 12, 2, b"x"),
        LogEntry(1, 1, EntryType.COMMAND, "op", 1, 3, b"x"),
        LogEntry(1, 1, EntryType.COMMAND, "op", 1, 2, b"y"),
    ]
    assert len({entry_digest(e) for e in [base, *others]}) == 6
    assert entry_digest(LogEntry(9, 9, EntryType.COMMAND, "op", 1, 2, b"x")) == entry_digest(base)
