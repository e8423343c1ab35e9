"""The pure decisions against naive oracles over whole logs."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given, settings
from hypothesis import strategies as st

import raft_trio.rules
from raft_trio.core.log import RaftLog
from raft_trio.messages import AppendEntriesRequest, AppendEntriesResponse
from raft_trio.rules import RULES, Rules
from raft_trio.types import EntryType, LogEntry

Terms = list[int]
terms = st.lists(st.integers(1, 4), max_size=8).map(sorted)


def log_of(terms: Terms) -> RaftLog:
    return RaftLog([LogEntry(i, term, EntryType.COMMAND) for i, term in enumerate(terms, 1)])


def logs_that_match(draw: st.DrawFn) -> tuple[Terms, Terms]:
    """Two logs with the Log Matching property: a common prefix, after which no index has the same term in both."""
    common = draw(terms)
    floor = common[-1] if common else 1
    theirs = sorted(draw(st.lists(st.sampled_from([floor + 1, floor + 3, floor + 5]), max_size=6)))
    ours = sorted(draw(st.lists(st.sampled_from([floor + 2, floor + 4, floor + 6]), max_size=6)))
    return common + ours, common + theirs


pairs = st.composite(logs_that_match)()


def request(leader: Terms, prev: int, count: int) -> AppendEntriesRequest:
    entries = tuple(LogEntry(i, leader[i - 1], EntryType.COMMAND) for i in range(prev + 1, prev + 1 + count))
    return AppendEntriesRequest(9, "l", prev, leader[prev - 1] if prev else 0, entries, 0)


@given(pairs, st.data())
@settings(derandomize=True, max_examples=100)
def test_merging_yields_the_leaders_prefix_and_removes_nothing_that_matches(
    logs: tuple[Terms, Terms], data: st.DataObject
) -> None:
    """Raft Figure 2, AppendEntries 2 to 4; also for retransmissions and old requests (L2 to L5, seed fault 12)."""
    leader, follower = logs
    prev = data.draw(st.integers(0, len(leader)))
    append = request(leader, prev, data.draw(st.integers(0, len(leader) - prev)))
    log = log_of(follower)
    accepted = prev <= len(follower) and (prev == 0 or follower[prev - 1] == leader[prev - 1])
    assert RULES.accepts_append(log, append) is accepted
    if not accepted:
        return
    cut, entries = RULES.merge(log, append)
    if cut is not None:
        log.truncate_from(cut)
    for entry in entries:
        log.append(entry)
    until = prev + len(append.entries)
    conflict = any(i > len(follower) or follower[i - 1] != leader[i - 1] for i in range(1, until + 1))
    expected = leader[:until] if conflict else follower
    assert [log.term_at(i) for i in range(1, log.last_index + 1)] == expected
    assert RULES.match_to_acknowledge(append, log.last_index) == until


@given(pairs)
@settings(derandomize=True, max_examples=100)
def test_hints_lead_to_the_last_matching_entry_in_at_most_one_step_per_term(logs: tuple[Terms, Terms]) -> None:
    """Raft §5.3 end: one refusal per conflicting term at most, never below the match (L11, seed faults 13, 14)."""
    leader, follower = logs
    match = next((i for i, (a, b) in enumerate(zip(leader, follower, strict=False)) if a != b), None)
    matching = min(len(leader), len(follower)) if match is None else match
    following = len(leader) + 1
    leading, log = log_of(leader), log_of(follower)
    refusals = 0
    while not RULES.accepts_append(log, append := request(leader, following - 1, 0)):
        refusals += 1
        index, term = RULES.refusal_hint(log, append)
        before = following
        following = RULES.next_after_refusal(
            leading, AppendEntriesResponse(9, False, append.prev_index, 0, index, term)
        )
        assert matching < following < before
    assert following - 1 == matching
    assert refusals <= 1 + len(set(follower[matching:]))


@given(terms, terms)
@settings(derandomize=True, max_examples=60)
def test_of_two_logs_at_least_one_is_up_to_date_for_the_other(one: Terms, other: Terms) -> None:
    """Raft §5.4.1: a total order by last term, then length."""
    a = (one[-1] if one else 0, len(one))
    b = (other[-1] if other else 0, len(other))
    forth, back = RULES.log_up_to_date(*a, *b), RULES.log_up_to_date(*b, *a)
    assert forth or back
    assert (forth and back) == (a == b)


def test_what_the_snapshot_covers_matches_and_is_left_alone() -> None:
    """Seed fault 15, openraft #511 (L12, L13): an append from before the compaction is accepted and trimmed."""
    log = RaftLog([LogEntry(6, 2, EntryType.COMMAND)], base_index=5, base_term=2)
    append = request([1, 1, 1, 2, 2, 2, 2], 2, 5)
    assert RULES.accepts_append(log, append)
    assert RULES.merge(log, append) == (None, append.entries[4:])


def test_an_oversize_entry_travels_alone() -> None:
    """raft.md L17: a batch limit must not stop an entry for ever."""
    big = LogEntry(1, 1, EntryType.COMMAND, data=bytes(1000))
    small = LogEntry(2, 1, EntryType.COMMAND)
    assert RULES.message_entries((big, small), 100) == (big,)
    assert RULES.message_entries((small, big), 100) == (small,)
    assert RULES.message_entries((small, big), 5000) == (small, big)


def test_every_rule_is_a_public_function_with_a_docstring() -> None:
    """The record is the catalogue of decisions: each is documented where it is defined."""
    for field in fields(Rules):
        rule = getattr(RULES, field.name)
        assert rule.__doc__, f"{field.name} has no docstring"
        assert getattr(raft_trio.rules, rule.__name__) is rule
