"""The key-value machine: commands, results, and what each command does.

Keys are strings, values are anything msgpack can say. An absent key counts as null where values are compared. A command
that cannot be carried out (a failed comparison, an append to what is no list) has a definite result of its own and
changes nothing; errors are for the layers around.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = [
    "Append",
    "Appended",
    "BadCommand",
    "Cas",
    "Command",
    "Delete",
    "Deleted",
    "Found",
    "Get",
    "KeyValueMachine",
    "Mismatch",
    "Missing",
    "Put",
    "Result",
    "Stored",
    "WrongType",
    "decode_command",
    "decode_result",
    "encode",
]


class Get(msgspec.Struct, frozen=True, array_like=True, tag="get"):
    """Read: `Found` or `Missing`. Only as a query."""

    key: str


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


class Delete(msgspec.Struct, frozen=True, array_like=True, tag="delete"):
    """Remove the key: `Deleted`."""

    key: str


class Stored(msgspec.Struct, frozen=True, array_like=True, tag="stored"):
    """The value was written."""


class Mismatch(msgspec.Struct, frozen=True, array_like=True, tag="mismatch"):
    """The comparison failed; nothing was written. `actual` is the value found, null for an absent key."""

    actual: Any


class Appended(msgspec.Struct, frozen=True, array_like=True, tag="appended"):
    """The list now has `length` elements."""

    length: int


class Deleted(msgspec.Struct, frozen=True, array_like=True, tag="deleted"):
    """The key is absent now; `existed` says whether it was there before."""

    existed: bool


class Found(msgspec.Struct, frozen=True, array_like=True, tag="found"):
    """The value of a key."""

    value: Any


class Missing(msgspec.Struct, frozen=True, array_like=True, tag="missing"):
    """The key is absent."""


class WrongType(msgspec.Struct, frozen=True, array_like=True, tag="wrong_type"):
    """`Append` to a value that is no list; nothing was changed."""

    actual: Any


class BadCommand(msgspec.Struct, frozen=True, array_like=True, tag="bad_command"):
    """Bytes that are no command of this kind; nothing was changed."""

    problem: str


Command = Put | Cas | Append | Delete
Result = Stored | Mismatch | Appended | Deleted | Found | Missing | WrongType | BadCommand

_encoder = msgspec.msgpack.Encoder(order="sorted")
_command_decoder: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_query_decoder = msgspec.msgpack.Decoder(Get)
_result_decoder: msgspec.msgpack.Decoder[Result] = msgspec.msgpack.Decoder(Result)
_list_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])
_state_decoder = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])

_STORED = _encoder.encode(Stored())
_MISSING = _encoder.encode(Missing())
_NULL = msgspec.Raw(_encoder.encode(None))

_NONSENSE = (msgspec.MsgspecError, TypeError, ValueError, RecursionError)
"""What bytes from a client can make msgspec raise: no msgpack, no UTF-8, maps keyed by other than strings, nesting."""


def encode(record: Command | Get | Result) -> bytes:
    """The bytes that travel; equal records give equal bytes. Raises TypeError for maps not keyed by strings."""
    return _encoder.encode(record)


def decode_command(data: bytes) -> Command:
    """A command from its bytes. Raises msgspec.MsgspecError."""
    return _command_decoder.decode(data)


def decode_result(data: bytes) -> Result:
    """What `KeyValueMachine` answered. Raises msgspec.MsgspecError."""
    return _result_decoder.decode(data)


class KeyValueMachine:
    """A `StateMachine` of one dictionary.

    Values are kept in one canonical encoding: so 1, 1.0 and true differ as they do for clients in other languages, and
    a value that could be stored can always be answered. A list that was appended to is kept as its elements.
    """

    def __init__(self) -> None:
        self._values: dict[str, msgspec.Raw | list[msgspec.Raw]] = {}

    def apply(self, command: bytes) -> bytes:
        """Carries out one of `Command`."""
        try:
            return self._apply(_command_decoder.decode(command))
        except _NONSENSE as error:
            return _encoder.encode(BadCommand(str(error)))

    def query(self, command: bytes) -> bytes:
        """Answers `Get`."""
        try:
            key = _query_decoder.decode(command).key
        except _NONSENSE as error:
            return _encoder.encode(BadCommand(str(error)))
        value = self._values.get(key)
        return _MISSING if value is None else _encoder.encode(Found(value))

    def snapshot(self) -> bytes:
        """The dictionary, sorted by key."""
        return _encoder.encode(self._values)

    def restore(self, snapshot: bytes) -> None:
        """Raises msgspec.MsgspecError for what is no snapshot of this machine."""
        self._values = {key: msgspec.Raw(bytes(value)) for key, value in _state_decoder.decode(snapshot).items()}

    def _apply(self, command: Command) -> bytes:
        """Whatever raises here does so before anything is changed."""
        match command:
            case Put(key, value):
                self._values[key] = _canonical(value)
                return _STORED
            case Cas(key, expected, value):
                return self._compare_and_set(key, _canonical(expected), _canonical(value))
            case Append(key, value):
                return self._append(key, _canonical(value))
            case Delete(key):
                return _encoder.encode(Deleted(existed=self._values.pop(key, None) is not None))

    def _compare_and_set(self, key: str, expected: msgspec.Raw, value: msgspec.Raw) -> bytes:
        actual = self._values.get(key, _NULL)
        if _encoder.encode(actual) != _encoder.encode(expected):
            return _encoder.encode(Mismatch(actual))
        self._values[key] = value
        return _STORED

    def _append(self, key: str, value: msgspec.Raw) -> bytes:
        present = self._values.get(key, [])
        if isinstance(present, msgspec.Raw):
            try:
                present = [msgspec.Raw(bytes(element)) for element in _list_decoder.decode(present)]
            except msgspec.ValidationError:
                return _encoder.encode(WrongType(present))
        present.append(value)
        self._values[key] = present
        return _encoder.encode(Appended(len(present)))


def _canonical(value: Any) -> msgspec.Raw:
    """One encoding per value. Raises what `_NONSENSE` says."""
    return msgspec.Raw(_encoder.encode(value))
