"""The log rebuilt from a trace equals the node's, crashes included: against a naive list of all states of the disk."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from checker.trace_log import UNKNOWN, NodeLog, Recovery

State = tuple[tuple[int, int], ...]
"""(term, digest) of entries 1, 2, …"""


def content(log: NodeLog) -> State:
    assert len(log.terms) == len(log.digests) == len(log.numbers)
    assert log.numbers == sorted(set(log.numbers))
    assert log.runs == _runs(log)
    return tuple(zip(log.terms, log.digests, strict=True))


def _runs(log: NodeLog) -> list[tuple[int, int]]:
    starts = [place for place, term in enumerate(log.terms) if place == 0 or log.terms[place - 1] != term]
    return [(log.base + place + 1, log.terms[place]) for place in starts]


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.integers(0, 2**32))
def test_a_restored_log_is_the_state_of_the_disk_that_the_crash_left(seed: int) -> None:
    """The oracle keeps the log after every write and lets a crash pick any since the last sync."""
    random = Random(f"{seed}/log")
    log = NodeLog()
    now: State = ()
    disk: list[State] = [()]
    term = 1
    for _ in range(80):
        what = random.choice(("append", "append", "append", "cut", "sync", "crash"))
        if what == "append":
            now = (*now, (term, random.getrandbits(30)))
            log.append(len(now), *now[-1])
            disk.append(now)
        elif what == "cut" and now:
            index = random.randint(1, len(now))
            now, term = now[: index - 1], term + 1  # what replaces a removed entry is of a later term (Raft §5.3)
            log.cut(index)
            disk.append(now)
        elif what == "sync" and now:
            log.sync(len(now), now[-1][0])
            disk = [now]
        elif what == "crash":
            del disk[random.randint(1, len(disk)) :]
            now, term = disk[-1], term + 1
            recovery = log.recovery(len(now), now[-1][0] if now else 0)
            assert not recovery.unexplained
            unchanged = log.unchanged_by_restore(len(now), now[-1][0] if now else 0)
            before = content(log)
            log.restore(len(now), now[-1][0] if now else 0)
            assert before[:unchanged] == now[:unchanged]
        assert content(log) == now
        assert log.durable_index <= len(now)


def test_a_sync_of_an_entry_that_was_replaced_says_nothing() -> None:
    """The write of the old entry is done after it was replaced (planted bug P17 would count it)."""
    log = NodeLog()
    log.append(1, 1, 5)
    log.cut(1)
    log.append(1, 2, 6)
    log.sync(1, 1)
    assert log.durable_index == 0
    log.sync(1, 2)
    assert log.durable_index == 1


def test_a_synced_entry_that_is_gone_is_not_explained() -> None:
    log = NodeLog()
    log.append(1, 1, 5)
    log.append(2, 1, 6)
    log.sync(2, 1)
    assert log.recovery(1, 1) == Recovery(0, synced_lost=True, unexplained=True)
    log.restore(1, 1)
    assert content(log) == ((1, 5),)


def test_entries_that_the_trace_does_not_show_are_unknown() -> None:
    log = NodeLog()
    log.restore(3, 2)
    assert content(log) == ((UNKNOWN, UNKNOWN), (UNKNOWN, UNKNOWN), (2, UNKNOWN))
    assert (log.term_at(3), log.term_at(2), log.term_at(4), log.term_at(0)) == (2, UNKNOWN, UNKNOWN, 0)


def test_a_snapshot_that_replaces_the_log_can_be_undone_by_a_crash_too() -> None:
    log = NodeLog()
    log.append(1, 1, 5)
    log.sync(1, 1)
    log.install(7, 3)
    assert (log.base, log.last_index, log.term_at(7), log.digest_at(7)) == (7, 7, 3, UNKNOWN)
    assert log.recovery(7, 3) == Recovery(0)
    assert log.recovery(1, 1) == Recovery(1)
    log.restore(1, 1)
    assert (log.base, content(log)) == (0, ((1, 5),))


def test_a_snapshot_older_than_the_log_s_base_changes_nothing() -> None:
    log = NodeLog()
    log.install(7, 3)
    log.install(5, 2)
    assert (log.base, log.base_term) == (7, 3)


def test_a_disk_that_lost_its_snapshot_begins_where_it_says() -> None:
    log = NodeLog()
    log.install(7, 3)
    log.append(8, 3, 1)
    log.sync(8, 3)
    log.restore(2, 1)
    assert (log.base, log.base_term, log.last_index) == (2, 1, 2)
