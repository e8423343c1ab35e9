"""raft_trio's trace and the records of a run: two vocabularies, owned by two packages, that must say the same."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from checker import records
from histrio.systems.raft_trio import translate
from raft_trio import trace
from raft_trio.types import Role

EXAMPLES: tuple[trace.TraceEvent, ...] = (
    trace.Restored(term=3, voted_for=None, last_index=7, last_term=2),
    trace.Became(role=Role.PRE_CANDIDATE, term=4),
    trace.Voted(term=4, candidate="n2"),
    trace.Appended(index=8, term=4, digest=99),
    trace.Truncated(index=8),
    trace.Synced(index=8, term=4),
    trace.Committed(index=8),
    trace.Applied(index=8, digest=99),
    trace.Snapshotted(index=8, term=4, digest=1, installed=True),
    trace.Configured(index=8, voters=("n1", "n2"), learners=("n3",)),
    trace.Acknowledged(operation="1.1", index=8),
    trace.Sent(message="n1.1.5", kind="RequestVoteRequest", to="n2", cause="1.1"),
    trace.Sent(message="n1.1.6", kind="voted", to="n2", term=4, vote=True),
    trace.Sent(message="n1.1.7", kind="appended", to="n2", term=4, match=8),
    trace.Received(message="n1.1.5", kind="RequestVoteRequest", source="n1"),
)


def test_there_is_an_example_of_every_variant() -> None:
    """A new variant needs an example here."""
    assert {type(event) for event in EXAMPLES} == set(get_args(trace.TraceEvent))
    assert {type(translate(event)) for event in EXAMPLES} == set(get_args(records.AnyTraceEvent))


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_translated_to_disk_and_back_every_field_keeps_its_value(event: trace.TraceEvent) -> None:
    """Architecture §8: one round-trip test per variant."""
    line = records.TraceLine(node="n1", incarnation=1, seq=0, local_ns=5, event=translate(event))
    read = msgspec.json.decode(msgspec.json.encode(line), type=records.TraceLine)
    assert read == line
    assert msgspec.to_builtins(read.event) == msgspec.to_builtins(event)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_encodes_as_its_record_does(event: trace.TraceEvent) -> None:
    """The recorder writes events as the nodes made them (`SimulatedSystem.node`): same fields, same order."""
    assert msgspec.json.encode(event) == msgspec.json.encode(translate(event))
