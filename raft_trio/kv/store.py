"""The keys of the machine with their values and the history of their changes.

Here belong reading, changing, ranges and events; what a command means is `raft_trio.kv.machine`. Values are kept in one
canonical encoding, so that 1, 1.0 and true differ as they do for clients in other languages, and a value that could be
stored can always be answered. A list that was appended to is kept as its elements.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from raft_trio.kv.commands import Range, Watch
from raft_trio.kv.results import Compacted, Event, Events, Ranged

__all__ = ["EVENTS_KEPT", "Change", "Store", "StoreState", "Value", "Values", "elements_of"]

EVENTS_KEPT = 10_000
"""Part of the replicated protocol: every node of a cluster must use the same number."""

Value = msgspec.Raw | list[msgspec.Raw]

Change = tuple[str, str, msgspec.Raw | None]
"""(`put`, `append` or `delete`, key, the new value or element)."""


class StoreState(msgspec.Struct, frozen=True, array_like=True):
    """All of a store, for snapshots. `values` ascending by key."""

    values: dict[str, msgspec.Raw]
    revision: int
    compacted: int
    events: tuple[tuple[int, str, str, msgspec.Raw], ...]


class Values:
    """The keys as a transaction sees them while it is carried out: the store's, with its own changes on top."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed: dict[str, Value | None] = {}
        self.changes: list[Change] = []

    def get(self, key: str) -> Value | None:
        """The value, None for an absent key. Not to be changed."""
        return self._changed[key] if key in self._changed else self._store.get(key)

    def put(self, key: str, value: msgspec.Raw) -> None:
        """Replace the value."""
        self._changed[key] = value
        self.changes.append(("put", key, value))

    def append(self, key: str, elements: Sequence[msgspec.Raw], element: msgspec.Raw) -> None:
        """Add to the key's list, which has `elements`."""
        self._changed[key] = [*elements, element]
        self.changes.append(("append", key, element))

    def delete(self, key: str) -> bool:
        """Remove the key. Whether it was there."""
        existed = self.get(key) is not None
        if existed:
            self._changed[key] = None
            self.changes.append(("delete", key, None))
        return existed

    def range(self, asked: Range) -> Ranged:
        """As `Store.range`."""
        merged: dict[str, Value | None] = dict(self._store.between(asked.start, asked.end))
        own = self._changed.items()
        merged.update((key, value) for key, value in own if _is_inside(key, asked.start, asked.end))
        return _ranged(((key, merged[key]) for key in sorted(merged) if merged[key] is not None), asked.limit)


class Store:
    """Keys, values, revisions."""

    def __init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._keys: list[str] = []
        """Ascending."""
        self._events: deque[Event] = deque()
        self._compacted = 0
        """Changes up to this revision are forgotten."""
        self.revision = 0
        """Counts the changes; those of one transaction are one."""

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def get(self, key: str) -> Value | None:
        """The value, None for an absent key. Not to be changed."""
        return self._values.get(key)

    def between(self, start: str, end: str | None) -> Iterator[tuple[str, Value]]:
        """(key, value) of `start` <= key < `end`, ascending."""
        keys = self._keys
        place = bisect_left(keys, start)
        while place < len(keys) and (end is None or keys[place] < end):
            yield keys[place], self._values[keys[place]]
            place += 1

    def range(self, asked: Range) -> Ranged:
        """What `Range` asks for."""
        return _ranged(self.between(asked.start, asked.end), asked.limit)

    def watch(self, asked: Watch) -> Events | Compacted:
        """What `Watch` asks for."""
        if asked.since < self._compacted:
            return Compacted(self._compacted)
        events: list[Event] = []
        for event in self._after(asked.since):
            if asked.limit > 0 and len(events) >= asked.limit and event.revision != events[-1].revision:
                return Events(tuple(events), events[-1].revision)
            if _is_inside(event.key, asked.start, asked.end):
                events.append(event)
        return Events(tuple(events), max(self.revision, asked.since))

    def _after(self, since: int) -> Iterator[Event]:
        first = bisect_left(self._events, since + 1, key=lambda event: event.revision)
        return islice(self._events, first, None)

    # ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def change(self, changes: Iterable[Change]) -> None:
        """Carry out the changes as one revision; none of them may be impossible."""
        revision = self.revision + 1
        for kind, key, value in changes:
            self.revision = revision
            self._carry_out(kind, key, value)
            self._events.append(Event(revision, kind, key, value))  # type: ignore[arg-type]
        while len(self._events) > EVENTS_KEPT:
            self._compacted = self._events.popleft().revision

    def _carry_out(self, kind: str, key: str, value: msgspec.Raw | None) -> None:
        if kind == "delete":
            del self._values[key]
            del self._keys[bisect_left(self._keys, key)]
            return
        assert value is not None
        present = self._values.get(key)
        if present is None:
            insort(self._keys, key)
        if kind == "put":
            self._values[key] = value
        elif isinstance(present, list):
            present.append(value)
        else:
            self._values[key] = [*elements_of(present), value]

    # ── snapshots ────────────────────────────────────────────────────────────────────────────────────────────────────

    def state(self) -> StoreState:
        """Everything, for `restored`."""
        values = {key: _raw(self._values[key]) for key in self._keys}
        events = tuple((one.revision, one.kind, one.key, one.value or _NULL) for one in self._events)
        return StoreState(values, self.revision, self._compacted, events)

    @classmethod
    def restored(cls, state: StoreState) -> Store:
        """The store of that state."""
        store = cls()
        store._values = {key: msgspec.Raw(bytes(value)) for key, value in state.values.items()}
        store._keys = sorted(store._values)
        store._events = deque(
            Event(revision, kind, key, None if kind == "delete" else msgspec.Raw(bytes(value)))  # type: ignore[arg-type]
            for revision, kind, key, value in state.events
        )
        store._compacted, store.revision = state.compacted, state.revision
        return store


_encoder = msgspec.msgpack.Encoder(order="sorted")
_list_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])
_NULL = msgspec.Raw(_encoder.encode(None))


def elements_of(value: Value | None) -> list[msgspec.Raw]:
    """The elements of a list; an absent key is an empty one. Raises msgspec.ValidationError for what is no list."""
    match value:
        case None:
            return []
        case list():
            return value
        case _:
            return [msgspec.Raw(bytes(element)) for element in _list_decoder.decode(value)]


def _raw(value: Value) -> msgspec.Raw:
    return msgspec.Raw(_encoder.encode(value)) if isinstance(value, list) else value


def _is_inside(key: str, start: str, end: str | None) -> bool:
    return start <= key and (end is None or key < end)


def _ranged(items: Iterable[tuple[str, Value | None]], limit: int) -> Ranged:
    found = list(islice(items, limit + 1 if limit > 0 else None))
    more = 0 < limit < len(found)
    return Ranged(tuple(found[:limit] if more else found), more)
