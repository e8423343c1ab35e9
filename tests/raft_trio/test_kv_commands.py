"""Transactions, ranges, watching, locks and queues of the key-value machine, each against a naive oracle."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_trio import kv
from raft_trio.kv.store import EVENTS_KEPT

KEYS = ("a", "b", "b0", "c")
keys = st.sampled_from(KEYS)
small = st.integers(0, 3)
changes: st.SearchStrategy[Any] = st.one_of(
    st.builds(kv.Put, keys, small),
    st.builds(kv.Append, keys, small),
    st.builds(kv.Increment, keys, small),
    st.builds(kv.Delete, keys),
)
looks: st.SearchStrategy[Any] = st.one_of(st.builds(kv.Get, keys), st.builds(kv.Range, keys, st.none() | keys))
relations = st.sampled_from(("=", "!=", "<", "<=", ">", ">="))
comparisons = st.builds(kv.Compare, keys, relations, st.none() | small)
steps = st.lists(changes | looks, max_size=4).map(tuple)
transactions = st.builds(kv.Transaction, st.lists(comparisons, max_size=2).map(tuple), steps, steps)
locks: st.SearchStrategy[Any] = st.one_of(
    st.builds(kv.Acquire, st.just("l"), st.sampled_from(("p", "q")), st.none() | small, small),
    st.builds(kv.Release, st.just("l"), small),
    st.builds(kv.Renew, st.just("l"), small, small),
    st.builds(kv.Advance, st.integers(0, 8)),
)
queues: st.SearchStrategy[Any] = st.one_of(
    st.builds(kv.Enqueue, st.just("q"), small), st.builds(kv.Dequeue, st.just("q")), st.builds(kv.Drain, st.just("q"))
)
everything = st.one_of(changes, transactions, locks, queues)


def apply(machine: kv.KeyValueMachine, command: Any) -> kv.Result:
    return kv.decode_result(machine.apply(kv.encode(command)))


def ask(machine: kv.KeyValueMachine, query: Any) -> kv.Result:
    return kv.decode_result(machine.query(kv.encode(query)))


@settings(max_examples=150, deadline=None)
@given(history=st.lists(everything, max_size=25), restart_at=st.integers(0, 25))
def test_a_snapshot_holds_everything_that_any_later_answer_depends_on(history: list[Any], restart_at: int) -> None:
    """Also locks with their tokens and leases, replicated time, queues, revisions and the history of changes."""
    machine, other = kv.KeyValueMachine(), kv.KeyValueMachine()
    for position, command in enumerate(history):
        if position == restart_at:
            fresh = kv.KeyValueMachine()
            fresh.restore(other.snapshot())
            other = fresh
        assert other.apply(kv.encode(command)) == machine.apply(kv.encode(command))
        assert other.snapshot() == machine.snapshot()
    for query in (kv.Watch(0), kv.Range(""), kv.GetLock("l")):
        assert other.query(kv.encode(query)) == machine.query(kv.encode(query))


# ── transactions and ranges ──────────────────────────────────────────────────────────────────────────────────────────


def as_dictionary(machine: kv.KeyValueMachine) -> dict[str, Any]:
    ranged = ask(machine, kv.Range(""))
    assert isinstance(ranged, kv.Ranged)
    return dict(ranged.items)


def holds(state: dict[str, Any], comparison: kv.Compare) -> bool:
    actual, value = state.get(comparison.key), comparison.value
    if comparison.relation in ("=", "!="):
        return bool((actual == value) is (comparison.relation == "="))
    actual = 0 if actual is None else actual
    if not isinstance(actual, int) or not isinstance(value, int):
        return False
    return {"<": actual < value, "<=": actual <= value, ">": actual > value, ">=": actual >= value}[comparison.relation]


@settings(max_examples=200, deadline=None)
@given(before=st.lists(changes, max_size=6), transaction=transactions)
def test_a_transaction_is_its_steps_one_by_one_or_nothing(before: list[Any], transaction: kv.Transaction) -> None:
    """The oracle does the steps as commands of their own on a copy, and throws the copy away if one fails."""
    machine, copy = kv.KeyValueMachine(), kv.KeyValueMachine()
    for command in before:
        apply(machine, command)
    copy.restore(machine.snapshot())
    state, revision = as_dictionary(machine), machine.store.revision
    held = all(holds(state, one) for one in transaction.compare if isinstance(one, kv.Compare))
    result = apply(machine, transaction)
    expected: list[Any] = []
    for place, step in enumerate(transaction.then if held else transaction.otherwise):
        done = ask(copy, step) if isinstance(step, kv.Get | kv.Range) else apply(copy, step)
        if isinstance(done, kv.WrongType | kv.OutOfRange):
            assert result == kv.Aborted(place, done)
            assert as_dictionary(machine) == state
            assert machine.store.revision == revision
            return
        expected.append(done)
    assert result == kv.Transacted(held, tuple(expected))
    assert as_dictionary(machine) == as_dictionary(copy)
    assert machine.store.revision - revision == (copy.store.revision > revision), "one revision for all of it"


@settings(max_examples=100, deadline=None)
@given(
    before=st.lists(changes, max_size=10),
    start=st.sampled_from(("", *KEYS, "z")),
    end=st.none() | keys,
    limit=st.integers(0, 3),
)
def test_a_range_is_a_slice_of_the_sorted_keys(before: list[Any], start: str, end: str | None, limit: int) -> None:
    machine, state = kv.KeyValueMachine(), dict[str, Any]()
    for command in before:
        apply(machine, command)
    for key in KEYS:
        found = ask(machine, kv.Get(key))
        if isinstance(found, kv.Found):
            state[key] = found.value
    inside = [(key, state[key]) for key in sorted(state) if key >= start and (end is None or key < end)]
    shown = tuple(inside[:limit] if limit else inside)
    assert ask(machine, kv.Range(start, end, limit)) == kv.Ranged(shown, len(shown) < len(inside))


def test_a_transaction_may_ask_for_a_lock() -> None:
    """Chubby §2.4: what a lock protects refuses requests of those that no longer hold it."""
    machine = kv.KeyValueMachine()
    write = kv.Transaction((kv.Holds("l", 1),), (kv.Put("k", "mine"),))
    assert apply(machine, write) == kv.Transacted(held=False, results=())
    apply(machine, kv.Acquire("l", "p", 10, now_ns=5))
    assert apply(machine, write) == kv.Transacted(held=True, results=(kv.Stored(),))
    apply(machine, kv.Advance(15))
    assert apply(machine, write) == kv.Transacted(held=False, results=())


@pytest.mark.parametrize("by", [1, 2**63 - 1])
def test_a_sum_that_does_not_fit_changes_nothing(by: int) -> None:
    machine = kv.KeyValueMachine()
    apply(machine, kv.Put("k", 2**63 - 1))
    assert apply(machine, kv.Increment("k", by)) == kv.OutOfRange(2**63 - 1)
    assert apply(machine, kv.Increment("k", -by)) == kv.Incremented(2**63 - 1 - by)


# ── watching ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def followed(watched: dict[str, Any], events: tuple[kv.Event, ...]) -> None:
    """What a watcher makes of the changes."""
    for event in events:
        match event.kind:
            case "put":
                watched[event.key] = event.value
            case "append":
                watched[event.key] = [*watched.get(event.key, []), event.value]
            case "delete":
                del watched[event.key]


@settings(max_examples=150, deadline=None)
@given(
    history=st.lists(st.one_of(changes, transactions), max_size=20),
    limits=st.lists(st.integers(0, 3), min_size=1, max_size=20),
)
def test_who_asks_again_from_the_last_revision_misses_nothing_and_sees_nothing_twice(
    history: list[Any], limits: list[int]
) -> None:
    """Whatever the limits of the pages are, replaying the events gives the keys."""
    machine, watched, since, seen = kv.KeyValueMachine(), dict[str, Any](), 0, list[kv.Event]()
    for position, command in enumerate(history):
        apply(machine, command)
        answer = ask(machine, kv.Watch(since, limit=limits[position % len(limits)]))
        assert isinstance(answer, kv.Events)
        followed(watched, answer.events)
        seen += answer.events
        since = answer.revision
    rest = ask(machine, kv.Watch(since))
    assert isinstance(rest, kv.Events)
    followed(watched, rest.events)
    assert watched == as_dictionary(machine)
    assert kv.Events((*seen, *rest.events), rest.revision) == ask(machine, kv.Watch(0))


def test_a_watch_sees_only_the_keys_it_asked_for() -> None:
    machine = kv.KeyValueMachine()
    for key in KEYS:
        apply(machine, kv.Put(key, 1))
    shown = ask(machine, kv.Watch(1, "b", "c"))
    assert shown == kv.Events((kv.Event(2, "put", "b", 1), kv.Event(3, "put", "b0", 1)), 4)


def test_old_changes_are_forgotten_and_whoever_needs_them_is_told() -> None:
    """A watcher that is told of a gap can read the keys again; one that is not told has lost something."""
    machine = kv.KeyValueMachine()
    for number in range(EVENTS_KEPT + 7):
        apply(machine, kv.Put("k", number))
    assert ask(machine, kv.Watch(6)) == kv.Compacted(7)
    answer = ask(machine, kv.Watch(7, limit=1))
    assert answer == kv.Events((kv.Event(8, "put", "k", 7),), 8)


# ── locks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=200, deadline=None)
@given(history=st.lists(locks, max_size=25))
def test_locks_have_one_holder_whose_token_is_the_highest_ever_given(history: list[Any]) -> None:
    """Against the definition, written down once more: (owner, token, end) and the highest time told."""
    machine, holder, token, now = kv.KeyValueMachine(), None, 0, 0
    for command in history:
        now = max(now, command.now_ns)
        if holder is not None and holder[2] is not None and holder[2] <= now:
            holder = None
        result = apply(machine, command)
        match command:
            case kv.Acquire(owner=owner, lease_ns=lease) if holder is None:
                token += 1
                holder = (owner, token, None if lease is None else now + lease)
                assert result == kv.Acquired(token, holder[2])
                holder = None if holder[2] == now else holder
            case kv.Acquire():
                assert holder is not None
                assert result == kv.LockHeld(*holder)
            case kv.Advance():
                assert result == kv.Advanced(now)
            case kv.Renew(token=used, lease_ns=lease) if holder is not None and holder[1] == used:
                holder = (holder[0], used, None if lease is None else now + lease)
                assert result == kv.Acquired(used, holder[2])
                holder = None if holder[2] == now else holder
            case kv.Release(token=used) if holder is not None and holder[1] == used:
                assert result == kv.Released()
                holder = None
            case _:
                assert result == kv.NotHeld()
        assert ask(machine, kv.GetLock("l")) == (kv.Missing() if holder is None else kv.LockHeld(*holder))


# ── queues ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=100, deadline=None)
@given(history=st.lists(queues, max_size=25))
def test_a_queue_is_a_list_taken_from_at_its_front(history: list[Any]) -> None:
    machine, content = kv.KeyValueMachine(), list[int]()
    for command in history:
        result = apply(machine, command)
        match command:
            case kv.Enqueue(value=value):
                content.append(value)
                assert result == kv.Appended(len(content))
            case kv.Dequeue():
                assert result == (kv.Found(content.pop(0)) if content else kv.Missing())
            case _:
                assert result == kv.Drained(tuple(content))
                content.clear()
