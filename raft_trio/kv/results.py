"""What the key-value machine answers. Records only.

A command that cannot be carried out (a failed comparison, an append to what is no list) has a definite result of its
own and changed nothing.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "Aborted",
    "Acquired",
    "Advanced",
    "Appended",
    "BadCommand",
    "Compacted",
    "Deleted",
    "Drained",
    "Event",
    "Events",
    "Found",
    "Incremented",
    "LockHeld",
    "Mismatch",
    "Missing",
    "NotHeld",
    "OutOfRange",
    "Ranged",
    "Released",
    "Result",
    "StepResult",
    "Stored",
    "Transacted",
    "WrongType",
]


class Stored(msgspec.Struct, frozen=True, array_like=True, tag="stored"):
    """The value was written."""


class Mismatch(msgspec.Struct, frozen=True, array_like=True, tag="mismatch"):
    """The comparison failed; nothing was written. `actual` is the value found, null for an absent key."""

    actual: Any


class Appended(msgspec.Struct, frozen=True, array_like=True, tag="appended"):
    """The list or queue now has `length` elements."""

    length: int


class Incremented(msgspec.Struct, frozen=True, array_like=True, tag="incremented"):
    """The key now holds `value`."""

    value: int


class Deleted(msgspec.Struct, frozen=True, array_like=True, tag="deleted"):
    """The key is absent now; `existed` says whether it was there before."""

    existed: bool


class Found(msgspec.Struct, frozen=True, array_like=True, tag="found"):
    """The value of a key, or the first one of a queue."""

    value: Any


class Missing(msgspec.Struct, frozen=True, array_like=True, tag="missing"):
    """The key is absent, the queue is empty, the lock is free."""


class Ranged(msgspec.Struct, frozen=True, array_like=True, tag="ranged"):
    """(key, value) of all keys asked for, ascending by key."""

    items: tuple[tuple[str, Any], ...]
    more: bool = False
    """The limit left some out; ask again from the last key + a zero character."""


class WrongType(msgspec.Struct, frozen=True, array_like=True, tag="wrong_type"):
    """`Append` to a value that is no list, or `Increment` of one that is no integer; nothing was changed."""

    actual: Any


class OutOfRange(msgspec.Struct, frozen=True, array_like=True, tag="out_of_range"):
    """The sum has no place in 64 bits with a sign; nothing was changed. `actual`: the present value."""

    actual: Any


class Acquired(msgspec.Struct, frozen=True, array_like=True, tag="acquired"):
    """The lock is held under `token`, which is greater than that of every acquisition before, of any lock."""

    token: int
    expires_ns: int | None
    """Replicated time at which the lease ends; None: never."""


class LockHeld(msgspec.Struct, frozen=True, array_like=True, tag="lock_held"):
    """`owner` holds the lock."""

    owner: str
    token: int
    expires_ns: int | None


class NotHeld(msgspec.Struct, frozen=True, array_like=True, tag="not_held"):
    """The lock is not held under that token; nothing was changed."""


class Released(msgspec.Struct, frozen=True, array_like=True, tag="released"):
    """The lock is free."""


class Advanced(msgspec.Struct, frozen=True, array_like=True, tag="advanced"):
    """The replicated time now."""

    now_ns: int


class Drained(msgspec.Struct, frozen=True, array_like=True, tag="drained"):
    """What was in the queue; it is empty now."""

    values: tuple[Any, ...]


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One change of one key. Changes of one transaction share a revision."""

    revision: int
    kind: Literal["put", "append", "delete"]
    key: str
    value: Any = None
    """The new value, or the element that was appended."""


class Events(msgspec.Struct, frozen=True, array_like=True, tag="events"):
    """All changes asked for, up to and including `revision`."""

    events: tuple[Event, ...]
    revision: int


class Compacted(msgspec.Struct, frozen=True, array_like=True, tag="compacted"):
    """Changes that far back are forgotten: read the keys, and watch from `revision` or later."""

    revision: int


class BadCommand(msgspec.Struct, frozen=True, array_like=True, tag="bad_command"):
    """Bytes that are no command of this kind; nothing was changed."""

    problem: str


StepResult = Stored | Appended | Incremented | Deleted | Found | Missing | Ranged


class Transacted(msgspec.Struct, frozen=True, array_like=True, tag="transacted"):
    """`held`: whether all comparisons did. One result for each step of the side that was done."""

    held: bool
    results: tuple[StepResult, ...]


class Aborted(msgspec.Struct, frozen=True, array_like=True, tag="aborted"):
    """The step at place `step` could not be done; nothing was changed."""

    step: int
    why: WrongType | OutOfRange


Result = (
    Stored
    | Mismatch
    | Appended
    | Incremented
    | Deleted
    | Found
    | Missing
    | Ranged
    | WrongType
    | OutOfRange
    | Transacted
    | Aborted
    | Events
    | Compacted
    | Acquired
    | LockHeld
    | NotHeld
    | Released
    | Advanced
    | Drained
    | BadCommand
)
