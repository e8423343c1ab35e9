"""Sessions: at most once, however often a command reaches the log (thesis §6.3)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from raft_trio.forwarding import Arrivals
from raft_trio.sessions import Applied, Expired, Sessions, Superseded
from raft_trio.types import EntryType, LogEntry


class Recorder:
    """A state machine that remembers what it was given."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []

    def apply(self, command: bytes) -> bytes:
        self.commands.append(command)
        return b"%d" % len(self.commands)

    def query(self, command: bytes) -> bytes:
        return b""

    def snapshot(self) -> bytes:
        return b""

    def restore(self, snapshot: bytes) -> None:
        raise AssertionError("not asked for")


def opening(index: int) -> LogEntry:
    return LogEntry(index, 1, EntryType.OPEN_SESSION)


def command(index: int, session: int, sequence: int) -> LogEntry:
    return LogEntry(index, 1, EntryType.COMMAND, "", session, sequence, b"%d/%d" % (session, sequence))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from((1, 2)), st.integers(1, 5)), max_size=30))
def test_each_command_is_applied_at_most_once_and_each_copy_gets_the_reply_of_the_first(
    copies: list[tuple[int, int]],
) -> None:
    """Mutant K1. Any order, any number of copies, two sessions."""
    sessions, machine = Sessions(), Recorder()
    sessions.open(opening(1))
    sessions.open(opening(2))
    first: dict[tuple[int, int], Applied] = {}
    for index, (session, sequence) in enumerate(copies, start=3):
        outcome = sessions.apply(command(index, session, sequence), machine)
        newest = max((s for owner, s in first if owner == session), default=0)
        if sequence > newest:
            assert isinstance(outcome, Applied)
            assert outcome.index == index
            first[session, sequence] = outcome
        elif sequence == newest:
            assert outcome == first[session, sequence]
        else:
            assert outcome == Superseded()
    assert len(machine.commands) == len(set(machine.commands)) == len(first)


def test_beyond_the_limit_the_session_that_was_used_least_recently_in_the_log_ends() -> None:
    """Mutant K4: never by a clock, so that all replicas forget the same session at the same entry."""
    sessions, machine = Sessions(limit=2), Recorder()
    sessions.open(opening(1))
    sessions.open(opening(2))
    sessions.apply(command(3, 1, 1), machine)
    sessions.open(opening(4))
    assert sessions.apply(command(5, 2, 1), machine) == Expired()
    assert isinstance(sessions.apply(command(6, 1, 2), machine), Applied)
    assert machine.commands == [b"1/1", b"1/2"]
    assert len(sessions) == 2


def test_a_restored_table_answers_and_evicts_as_the_original_would() -> None:
    """Mutant S8: without the table in the snapshot a retry is applied twice."""
    original, machine = Sessions(limit=2), Recorder()
    original.open(opening(1))
    original.open(opening(2))
    outcome = original.apply(command(3, 1, 1), machine)
    restored = Sessions(limit=2)
    restored.restore(original.snapshot())
    assert restored.apply(command(4, 1, 1), machine) == outcome
    restored.open(opening(5))
    assert restored.apply(command(6, 2, 1), machine) == Expired()


def test_a_forwarded_request_is_looked_at_once_and_never_again_once_it_is_forgotten() -> None:
    arrivals = Arrivals(window=3)
    assert [arrivals.is_first("n1", number) for number in (2, 1, 2, 3, 4, 5)] == [True, True, False, True, True, True]
    assert not arrivals.is_first("n1", 2)
    assert not arrivals.is_first("n1", 1)
    assert arrivals.is_first("n2", 2)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 30), max_size=60))
def test_no_number_is_ever_first_twice(numbers: list[int]) -> None:
    arrivals = Arrivals(window=4)
    first = [number for number in numbers if arrivals.is_first("n1", number)]
    assert len(first) == len(set(first))
