"""The key-value machine's keys against a dictionary, and against whatever clients may send."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_trio.kv import (
    Append,
    Appended,
    BadCommand,
    Cas,
    Command,
    Delete,
    Deleted,
    Found,
    Get,
    Increment,
    Incremented,
    KeyValueMachine,
    Mismatch,
    Missing,
    Put,
    Result,
    Stored,
    WrongType,
    decode_result,
    encode,
)

keys = st.sampled_from(("a", "b"))
values = st.none() | st.integers(-3, 3) | st.lists(st.integers(0, 2), max_size=2) | st.just({"x": 1})
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Put, keys, values),
    st.builds(Cas, keys, values, values),
    st.builds(Append, keys, values),
    st.builds(Increment, keys, st.integers(-2, 2)),
    st.builds(Delete, keys),
)


def expected(state: dict[str, Any], command: Command) -> Result:
    """The naive oracle: a dictionary of Python values."""
    match command:
        case Put(key, value):
            state[key] = value
            return Stored()
        case Cas(key, before, value):
            if state.get(key) != before:
                return Mismatch(state.get(key))
            state[key] = value
            return Stored()
        case Append(key, value):
            present = state.get(key, [])
            if not isinstance(present, list):
                return WrongType(present)
            state[key] = [*present, value]
            return Appended(len(present) + 1)
        case Delete(key):
            return Deleted(existed=state.pop(key, Missing) is not Missing)
        case Increment(key, by):
            present = state.get(key, 0)
            if not isinstance(present, int):
                return WrongType(present)
            state[key] = present + by
            return Incremented(present + by)
        case _:
            raise AssertionError(command)


@settings(max_examples=120, deadline=None)
@given(history=st.lists(commands, max_size=25), restart_at=st.integers(0, 25))
def test_the_machine_is_a_dictionary_also_across_a_snapshot(history: list[Command], restart_at: int) -> None:
    machine, state = KeyValueMachine(), dict[str, Any]()
    for position, command in enumerate(history):
        if position == restart_at:
            restored = KeyValueMachine()
            restored.restore(machine.snapshot())
            assert restored.snapshot() == machine.snapshot()
            machine = restored
        assert decode_result(machine.apply(encode(command))) == expected(state, command)
        for key in ("a", "b"):
            found = Found(state[key]) if key in state else Missing()
            assert decode_result(machine.query(encode(Get(key)))) == found


def test_snapshots_of_equal_states_are_equal_whatever_the_order_of_fields() -> None:
    one, other = KeyValueMachine(), KeyValueMachine()
    one.apply(encode(Put("x", {"p": 1, "q": 2})))
    other.apply(encode(Put("x", {"q": 2, "p": 1})))
    assert one.snapshot() == other.snapshot()


@pytest.mark.parametrize("pair", [(1, True), (1, 1.0), (0, None), ("1", 1), (b"a", "a")])
def test_values_of_different_types_never_compare_equal(pair: tuple[Any, Any]) -> None:
    """Python calls 1, 1.0 and True equal; clients in other languages do not."""
    stored, asked = pair
    machine = KeyValueMachine()
    machine.apply(encode(Put("k", stored)))
    assert decode_result(machine.apply(encode(Cas("k", asked, 9)))) == Mismatch(stored)


def test_an_absent_key_compares_as_null() -> None:
    machine = KeyValueMachine()
    assert decode_result(machine.apply(encode(Cas("k", 1, 2)))) == Mismatch(None)
    assert decode_result(machine.apply(encode(Cas("k", None, 2)))) == Stored()


@pytest.mark.parametrize(
    "command",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode(["put"]),
        msgspec.msgpack.encode(["get", "k"]),
        msgspec.msgpack.encode(["put", "k", {1: 2, "a": 3}]),
        b"\x93\xa3put\xa1k\xa2\xff\xfe",
        b"\x93\xa3put\xa1k" + b"\x91" * 5000 + b"\x01",
        b"\x93\xa3put\xa1k\x81\x80\x01",
    ],
)
def test_a_command_that_makes_no_sense_has_a_result_and_changes_nothing(command: bytes) -> None:
    """An exception would stop every node of the cluster at the same entry, for ever."""
    machine = KeyValueMachine()
    machine.apply(encode(Put("k", 1)))
    before = machine.snapshot()
    assert isinstance(decode_result(machine.apply(command)), BadCommand)
    assert machine.snapshot() == before


@settings(max_examples=150, deadline=None)
@given(command=st.binary(max_size=40))
def test_any_bytes_have_a_result(command: bytes) -> None:
    machine = KeyValueMachine()
    for result in (machine.apply(command), machine.query(command)):
        assert isinstance(decode_result(result), Result)
