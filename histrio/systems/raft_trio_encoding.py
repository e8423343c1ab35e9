"""The words of each workload in raft_trio's commands: what an operation asks for, and what an answer means.

Here belong requests and results of the key-value machine, and nothing of sessions, retries or time-outs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from raft_trio import kv
from workloads.session import Operation

__all__ = ["ENCODINGS", "OVERDRAFT", "Encoding", "Failed"]

OVERDRAFT = 10
"""By how much an account of the workload `bank` may be overdrawn."""
MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Failed:
    """The machine answered that the operation had no effect; `error` is one of `workloads.errors`."""

    error: str


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one workload is spoken."""

    request: Callable[[Operation, int], kv.Query | kv.Command]
    """(operation, now in nanoseconds) -> what to ask for."""
    answer: Callable[[Operation, kv.Result], Any]
    """(operation, result) -> the value of its completion, or `Failed`."""


def _nonsense(operation: Operation) -> AssertionError:
    return AssertionError(f"raft_trio has no command for the operation {operation.f!r}")


def _group(key: object) -> kv.Range:
    """All keys below `key/`."""
    return kv.Range(f"{key}/", f"{key}0")  # 0 comes after /


# ── register, append, counter, unique-ids ────────────────────────────────────────────────────────────────────────────


def _single(operation: Operation, now_ns: int) -> kv.Query | kv.Command:
    key, value = str(operation.key), operation.value
    match operation.f:
        case "read":
            return kv.Get(key)
        case "write":
            return kv.Put(key, value)
        case "cas":
            return kv.Cas(key, *value)
        case "append":
            return kv.Append(key, value)
        case "add":
            return kv.Increment(key, value)
        case "generate":
            return kv.Increment(key)
        case _:
            raise _nonsense(operation)


def _single_answer(absent: Any) -> Callable[[Operation, kv.Result], Any]:
    """absent: what a read of an absent key tells."""

    def answer(operation: Operation, result: kv.Result) -> Any:
        match result:
            case kv.Found(value):
                return value
            case kv.Missing():
                return absent
            case kv.Incremented(value) if operation.f == "generate":
                return value
            case kv.Stored() | kv.Appended() | kv.Incremented():
                return operation.value
            case kv.Mismatch():
                return Failed("cas-mismatch")
            case _:
                return Failed("bad-request")

    return answer


# ── set and bank: one key for each member ────────────────────────────────────────────────────────────────────────────


def _set(operation: Operation, now_ns: int) -> kv.Query | kv.Command:
    match operation.f:
        case "read":
            return _group(operation.key)
        case "add":
            return kv.Put(f"{operation.key}/{operation.value}", operation.value)
        case _:
            raise _nonsense(operation)


def _set_answer(operation: Operation, result: kv.Result) -> Any:
    match result:
        case kv.Ranged(items):
            return [value for _, value in items]
        case kv.Stored():
            return operation.value
        case _:
            return Failed("bad-request")


def _bank(operation: Operation, now_ns: int) -> kv.Query | kv.Command:
    if operation.f == "read":
        return _group(operation.key)
    if operation.f != "transfer":
        raise _nonsense(operation)
    giver, taker, amount = operation.value
    return kv.Transaction(
        (kv.Compare(f"{operation.key}/{giver}", ">=", amount - OVERDRAFT),),
        (kv.Increment(f"{operation.key}/{giver}", -amount), kv.Increment(f"{operation.key}/{taker}", amount)),
    )


def _bank_answer(operation: Operation, result: kv.Result) -> Any:
    match result:
        case kv.Ranged(items):
            return {key.rpartition("/")[2]: value for key, value in items}
        case kv.Transacted(held):
            return operation.value if held else Failed("insufficient-funds")
        case _:
            return Failed("bad-request")


# ── lock, queue, watch ───────────────────────────────────────────────────────────────────────────────────────────────


def _lock(operation: Operation, now_ns: int) -> kv.Query | kv.Command:
    lock, value = str(operation.key), operation.value
    match operation.f:
        case "read":
            return kv.Get(f"{lock}/list")
        case "acquire":
            owner, lease_ms = value
            return kv.Acquire(lock, owner, lease_ms * MS, now_ns)
        case "append":
            return kv.Transaction((kv.Holds(lock, value[0]),), (kv.Append(f"{lock}/list", value),))
        case "release":
            return kv.Release(lock, value, now_ns)
        case _:
            raise _nonsense(operation)


def _lock_answer(operation: Operation, result: kv.Result) -> Any:
    match result:
        case kv.Found(value):
            return value
        case kv.Missing():
            return []
        case kv.Acquired(token):
            return token
        case kv.Transacted(held):
            return operation.value if held else Failed("lock-lost")
        case kv.Released():
            return operation.value
        case kv.LockHeld():
            return Failed("lock-held")
        case kv.NotHeld():
            return Failed("lock-lost")
        case _:
            return Failed("bad-request")


def _queue(operation: Operation, now_ns: int) -> kv.Query | kv.Command:
    match operation.f:
        case "enqueue":
            return kv.Enqueue(str(operation.key), operation.value)
        case "dequeue":
            return kv.Dequeue(str(operation.key))
        case _:
            raise _nonsense(operation)


def _queue_answer(operation: Operation, result: kv.Result) -> Any:
    match result:
        case kv.Appended():
            return operation.value
        case kv.Found(value):
            return value
        case kv.Missing():
            return Failed("empty")
        case _:
            return Failed("bad-request")


def _watch(operation: Operation, now_ns: int) -> kv.Query | kv.Command:
    match operation.f:
        case "watch":
            since, limit = operation.value
            group = _group(operation.key)
            return kv.Watch(since, group.start, group.end, limit)
        case "write":
            puts = tuple(kv.Put(f"{operation.key}/{place}", value) for place, value in enumerate(operation.value))
            return kv.Transaction((), puts)
        case _:
            raise _nonsense(operation)


def _watch_answer(operation: Operation, result: kv.Result) -> Any:
    match result:
        case kv.Events(events, revision):
            shown = [[one.revision, one.key.rpartition("/")[2], one.value] for one in events]
            return {"revision": revision, "events": shown}
        case kv.Transacted():
            return operation.value
        case kv.Compacted():
            return Failed("compacted")
        case _:
            return Failed("bad-request")


ENCODINGS: Mapping[str, Encoding] = {
    "register": Encoding(_single, _single_answer(None)),
    "append": Encoding(_single, _single_answer([])),
    "set": Encoding(_set, _set_answer),
    "counter": Encoding(_single, _single_answer(0)),
    "unique-ids": Encoding(_single, _single_answer(0)),
    "bank": Encoding(_bank, _bank_answer),
    "lock": Encoding(_lock, _lock_answer),
    "queue": Encoding(_queue, _queue_answer),
    "watch": Encoding(_watch, _watch_answer),
}
"""By workload."""
