"""What clients may ask of the key-value machine: commands, which change it and go through the log, and queries.

Records only; `raft_trio.kv.machine` carries them out, `raft_trio.kv.results` has the answers. Keys, locks and queues
have name spaces of their own. An absent key counts as null where values are compared for equality, and as 0 where
numbers are added or ordered.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "Acquire",
    "Advance",
    "Append",
    "Cas",
    "Command",
    "Compare",
    "Comparison",
    "Delete",
    "Dequeue",
    "Drain",
    "Enqueue",
    "Get",
    "GetLock",
    "Holds",
    "Increment",
    "Put",
    "Query",
    "Range",
    "Release",
    "Renew",
    "Step",
    "Transaction",
    "Watch",
]

# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Get(msgspec.Struct, frozen=True, array_like=True, tag="get"):
    """Read: `Found` or `Missing`. A query, or a step of a transaction."""

    key: str


class Range(msgspec.Struct, frozen=True, array_like=True, tag="range"):
    """Read all keys of `start` <= key < `end`, ascending: `Ranged`. A query, or a step of a transaction."""

    start: str
    end: str | None = None
    """None: no upper end."""
    limit: int = 0
    """At most so many keys; 0: all."""


class Put(msgspec.Struct, frozen=True, array_like=True, tag="put"):
    """Write: `Stored`."""

    key: str
    value: Any


class Cas(msgspec.Struct, frozen=True, array_like=True, tag="cas"):
    """Write `value` if the present value is `expected`: `Stored` or `Mismatch`."""

    key: str
    expected: Any
    value: Any


class Append(msgspec.Struct, frozen=True, array_like=True, tag="append"):
    """Add `value` to the end of a list, which an absent key starts: `Appended` or `WrongType`."""

    key: str
    value: Any


class Increment(msgspec.Struct, frozen=True, array_like=True, tag="increment"):
    """Add `by` to an integer: `Incremented`, `WrongType` or `OutOfRange`."""

    key: str
    by: int = 1


class Delete(msgspec.Struct, frozen=True, array_like=True, tag="delete"):
    """Remove the key: `Deleted`."""

    key: str


# ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Compare(msgspec.Struct, frozen=True, array_like=True, tag="compare"):
    """The key's value stands in this relation to `value`. `=` and `!=` compare any values, the others integers only.

    An order asked of anything but integers does not hold.
    """

    key: str
    relation: Literal["=", "!=", "<", "<=", ">", ">="]
    value: Any


class Holds(msgspec.Struct, frozen=True, array_like=True, tag="holds"):
    """The lock is held under this fencing token, and its lease has not run out."""

    lock: str
    token: int


Comparison = Compare | Holds
Step = Get | Range | Put | Append | Increment | Delete


class Transaction(msgspec.Struct, frozen=True, array_like=True, tag="transaction"):
    """If all comparisons hold do all of `then`, else all of `otherwise`, as one change: `Transacted`.

    Steps see those before them. A step that cannot be done (`WrongType`, `OutOfRange`) undoes the others: `Aborted`.
    """

    compare: tuple[Comparison, ...]
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...] = ()


# ── watching ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Watch(msgspec.Struct, frozen=True, array_like=True, tag="watch"):
    """All changes of keys of `start` <= key < `end` after revision `since`, in order: `Events` or `Compacted`. A query.

    To go on, ask again with `since` = the answer's `revision`: then nothing is missed and nothing comes twice.
    """

    since: int
    start: str = ""
    end: str | None = None
    limit: int = 0
    """About so many events, never a part of one revision; 0: all."""


# ── locks, with time that is replicated ──────────────────────────────────────────────────────────────────────────────


class Acquire(msgspec.Struct, frozen=True, array_like=True, tag="acquire"):
    """Take the lock if it is free or its lease has run out: `Acquired` with a new fencing token, else `LockHeld`."""

    lock: str
    owner: str
    lease_ns: int | None = None
    """The lease ends so long after the present replicated time; None: only `Release` ends it."""
    now_ns: int = 0
    """As `Advance`; 0: says nothing of the time."""


class Renew(msgspec.Struct, frozen=True, array_like=True, tag="renew"):
    """Begin the lease anew: `Acquired` with the same token, or `NotHeld`."""

    lock: str
    token: int
    lease_ns: int | None = None
    now_ns: int = 0


class Release(msgspec.Struct, frozen=True, array_like=True, tag="release"):
    """Give the lock back: `Released`, or `NotHeld` if it is not held under this token (any more)."""

    lock: str
    token: int
    now_ns: int = 0


class Advance(msgspec.Struct, frozen=True, array_like=True, tag="advance"):
    """Replicated time is now at least `now_ns`: `Advanced`.

    It is the highest time that the log has ever told, so all replicas agree on it and it never runs back; it stands
    still when nobody tells. A client whose clock is ahead ends leases early, which fencing tokens make harmless.
    """

    now_ns: int


class GetLock(msgspec.Struct, frozen=True, array_like=True, tag="get_lock"):
    """Who holds the lock: `LockHeld` or `Missing`. A query."""

    lock: str


# ── queues ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Enqueue(msgspec.Struct, frozen=True, array_like=True, tag="enqueue"):
    """Put a value at the end of a queue: `Appended`."""

    queue: str
    value: Any


class Dequeue(msgspec.Struct, frozen=True, array_like=True, tag="dequeue"):
    """Take the first value of a queue: `Found`, or `Missing` if it is empty."""

    queue: str


class Drain(msgspec.Struct, frozen=True, array_like=True, tag="drain"):
    """Take all values of a queue, the first one first: `Drained`."""

    queue: str


Command = (
    Put
    | Cas
    | Append
    | Increment
    | Delete
    | Transaction
    | Acquire
    | Renew
    | Release
    | Advance
    | Enqueue
    | Dequeue
    | Drain
)
Query = Get | Range | Watch | GetLock
