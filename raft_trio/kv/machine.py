"""The key-value machine: what each command does to keys, locks and queues.

A `StateMachine`: a deterministic function of the commands applied so far. A command that cannot be carried out has a
definite result of its own and changes nothing; errors are for the layers around.
"""

from __future__ import annotations

from collections import deque
from typing import Any, assert_never

import msgspec

from raft_trio.kv.commands import (
    Acquire,
    Advance,
    Append,
    Cas,
    Command,
    Compare,
    Comparison,
    Delete,
    Dequeue,
    Drain,
    Enqueue,
    Get,
    GetLock,
    Holds,
    Increment,
    Put,
    Query,
    Range,
    Release,
    Renew,
    Step,
    Transaction,
    Watch,
)
from raft_trio.kv.locks import Locks, LocksState
from raft_trio.kv.results import (
    Aborted,
    Acquired,
    Advanced,
    Appended,
    BadCommand,
    Deleted,
    Drained,
    Found,
    Incremented,
    LockHeld,
    Mismatch,
    Missing,
    NotHeld,
    OutOfRange,
    Released,
    Result,
    StepResult,
    Stored,
    Transacted,
    WrongType,
)
from raft_trio.kv.store import Store, StoreState, Value, Values, elements_of

__all__ = ["KeyValueMachine", "decode_command", "decode_query", "decode_result", "encode"]

INTEGER_MAX = (1 << 63) - 1


class _State(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot. `queues` ascending by name."""

    store: StoreState
    locks: LocksState
    queues: dict[str, list[msgspec.Raw]]


_encoder = msgspec.msgpack.Encoder(order="sorted")
_decoder = msgspec.msgpack.Decoder()
_command_decoder: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_query_decoder: msgspec.msgpack.Decoder[Query] = msgspec.msgpack.Decoder(Query)
_result_decoder: msgspec.msgpack.Decoder[Result] = msgspec.msgpack.Decoder(Result)
_state_decoder = msgspec.msgpack.Decoder(_State)

_STORED = Stored()
_STORED_BYTES = _encoder.encode(_STORED)
_MISSING = Missing()
_NULL = msgspec.Raw(_encoder.encode(None))

_NONSENSE = (msgspec.MsgspecError, TypeError, ValueError, RecursionError)
"""What bytes from a client can make msgspec raise: no msgpack, no UTF-8, maps keyed by other than strings, nesting."""


def encode(record: Command | Query | Result) -> bytes:
    """The bytes that travel; equal records give equal bytes. Raises TypeError for maps not keyed by strings."""
    return _encoder.encode(record)


def decode_command(data: bytes) -> Command:
    """A command from its bytes. Raises msgspec.MsgspecError."""
    return _command_decoder.decode(data)


def decode_query(data: bytes) -> Query:
    """A query from its bytes. Raises msgspec.MsgspecError."""
    return _query_decoder.decode(data)


def decode_result(data: bytes) -> Result:
    """What `KeyValueMachine` answered. Raises msgspec.MsgspecError."""
    return _result_decoder.decode(data)


class _Impossible(Exception):
    """A step cannot be done; `why` is its result."""

    def __init__(self, why: WrongType | OutOfRange) -> None:
        self.why = why


class KeyValueMachine:
    """Keys with revisions, locks with fencing tokens, queues."""

    def __init__(self) -> None:
        self.store = Store()
        self.locks = Locks()
        self.queues: dict[str, deque[msgspec.Raw]] = {}
        """Those that are not empty."""

    def apply(self, command: bytes) -> bytes:
        """Carries out one of `Command`."""
        try:
            decoded = _command_decoder.decode(command)
            if type(decoded) is Put:
                self.store.change((("put", decoded.key, canonical(decoded.value)),))
                return _STORED_BYTES
            return _encoder.encode(self.carry_out(decoded))
        except _NONSENSE as error:
            return _encoder.encode(BadCommand(str(error)))

    def query(self, command: bytes) -> bytes:
        """Answers one of `Query`."""
        try:
            return _encoder.encode(self.answer(_query_decoder.decode(command)))
        except _NONSENSE as error:
            return _encoder.encode(BadCommand(str(error)))

    def snapshot(self) -> bytes:
        """Everything, in an order that depends on nothing but the state."""
        queues = {name: list(self.queues[name]) for name in sorted(self.queues)}
        return _encoder.encode(_State(self.store.state(), self.locks.state(), queues))

    def restore(self, snapshot: bytes) -> None:
        """Raises msgspec.MsgspecError for what is no snapshot of this machine."""
        state = _state_decoder.decode(snapshot)
        self.store = Store.restored(state.store)
        self.locks = Locks.restored(state.locks)
        self.queues = {name: deque(map(_copied, values)) for name, values in state.queues.items()}

    def carry_out(self, command: Command) -> Result:
        """Does it. Whatever raises here does so before anything is changed: what `_NONSENSE` says."""
        match command:
            case Put() | Append() | Increment() | Delete():
                return self._alone(command)
            case Cas(key, expected, value):
                return self._compare_and_set(key, canonical(expected), canonical(value))
            case Transaction():
                return self._transaction(command)
            case Acquire() | Renew() | Release():
                return self._lock(command)
            case Advance(now_ns):
                self.locks.advance(now_ns)
                return Advanced(self.locks.now_ns)
            case Enqueue() | Dequeue() | Drain():
                return self._queue(command)
            case _:
                assert_never(command)

    def answer(self, query: Query) -> Result:
        """Reads."""
        match query:
            case Get(key):
                return _found(self.store.get(key))
            case Range():
                return self.store.range(query)
            case Watch():
                return self.store.watch(query)
            case GetLock(lock):
                held = self.locks.holder(lock)
                return _MISSING if held is None else LockHeld(held.owner, held.token, held.expires_ns)
            case _:
                assert_never(query)

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _alone(self, step: Put | Append | Increment | Delete) -> Result:
        values = Values(self.store)
        if isinstance(step, Append):
            return self._append(step)
        try:
            result = do_step(values, step)
        except _Impossible as impossible:
            return impossible.why
        self.store.change(values.changes)
        return result

    def _append(self, step: Append) -> Appended | WrongType:
        """Without the copy of the list that a transaction makes."""
        element = canonical(step.value)
        present = self.store.get(step.key)
        try:
            length = len(elements_of(present))
        except msgspec.ValidationError:
            return WrongType(present)
        self.store.change((("append", step.key, element),))
        return Appended(length + 1)

    def _compare_and_set(self, key: str, expected: msgspec.Raw, value: msgspec.Raw) -> Result:
        actual = self.store.get(key)
        if not _equals(actual, expected):
            return Mismatch(_NULL if actual is None else actual)
        self.store.change((("put", key, value),))
        return _STORED

    # ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _transaction(self, command: Transaction) -> Transacted | Aborted:
        held = all(self.holds(comparison) for comparison in command.compare)
        values, results = Values(self.store), []
        for place, step in enumerate(command.then if held else command.otherwise):
            try:
                results.append(do_step(values, step))
            except _Impossible as impossible:
                return Aborted(place, impossible.why)
        self.store.change(values.changes)
        return Transacted(held, tuple(results))

    def holds(self, comparison: Comparison) -> bool:
        """Whether a comparison is true now."""
        match comparison:
            case Holds(lock, token):
                return self.locks.holds(lock, token)
            case Compare(key, "=", value):
                return _equals(self.store.get(key), canonical(value))
            case Compare(key, "!=", value):
                return not _equals(self.store.get(key), canonical(value))
            case Compare(key, relation, value):
                return _is_ordered(_integer(self.store.get(key)), relation, value if type(value) is int else None)

    # ── locks and queues ─────────────────────────────────────────────────────────────────────────────────────────────

    def _lock(self, command: Acquire | Renew | Release) -> Acquired | LockHeld | Released | NotHeld:
        match command:
            case Acquire():
                return self.locks.acquire(command)
            case Renew():
                return self.locks.renew(command)
            case Release():
                return self.locks.release(command)

    def _queue(self, command: Enqueue | Dequeue | Drain) -> Appended | Found | Missing | Drained:
        match command:
            case Enqueue(name, value):
                element = canonical(value)
                queue = self.queues.setdefault(name, deque())
                queue.append(element)
                return Appended(len(queue))
            case Dequeue(name):
                return self._first_of(name)
            case Drain(name):
                return Drained(tuple(self.queues.pop(name, ())))

    def _first_of(self, name: str) -> Found | Missing:
        queue = self.queues.get(name)
        if queue is None:
            return _MISSING
        first = queue.popleft()
        if not queue:
            del self.queues[name]
        return Found(first)


def do_step(values: Values, step: Step) -> StepResult:
    """One step of a transaction, on its own view of the keys. Raises _Impossible, and what `_NONSENSE` says."""
    match step:
        case Get(key):
            return _found(values.get(key))
        case Range():
            return values.range(step)
        case Put(key, value):
            values.put(key, canonical(value))
            return _STORED
        case Append(key, value):
            try:
                elements = elements_of(values.get(key))
            except msgspec.ValidationError:
                raise _Impossible(WrongType(values.get(key))) from None
            values.append(key, elements, canonical(value))
            return Appended(len(elements) + 1)
        case Increment(key, by):
            return _increment(values, key, by)
        case Delete(key):
            return Deleted(existed=values.delete(key))
        case _:
            assert_never(step)


def _increment(values: Values, key: str, by: int) -> Incremented:
    present = values.get(key)
    number = _integer(present)
    if number is None:
        raise _Impossible(WrongType(present))
    if abs(number + by) > INTEGER_MAX:
        raise _Impossible(OutOfRange(number))
    values.put(key, canonical(number + by))
    return Incremented(number + by)


def canonical(value: Any) -> msgspec.Raw:
    """One encoding per value. Raises what `_NONSENSE` says."""
    return msgspec.Raw(_encoder.encode(value))


def _copied(value: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(bytes(value))


def _found(value: Value | None) -> Found | Missing:
    return _MISSING if value is None else Found(value)


def _equals(actual: Value | None, expected: msgspec.Raw) -> bool:
    return _encoder.encode(_NULL if actual is None else actual) == _encoder.encode(expected)


def _integer(value: Value | None) -> int | None:
    """The number that a key holds, 0 for an absent one; None for anything else."""
    if value is None:
        return 0
    decoded = None if isinstance(value, list) else _decoder.decode(value)
    return decoded if type(decoded) is int else None


def _is_ordered(left: int | None, relation: str, right: int | None) -> bool:
    if left is None or right is None:
        return False
    match relation:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case _:
            return left >= right
