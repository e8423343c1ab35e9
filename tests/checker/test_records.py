"""The files of a run are a public contract (docs/run-directory.md): read, written again, they are the same bytes.

A golden file that has to change is a change of format: give the new field a default, and let the old lines be read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from checker.jsonl import JsonlWriter, read_jsonl
from checker.records import (
    AnyTraceEvent,
    CheckResult,
    Evidence,
    FaultLine,
    Header,
    HistoryLine,
    LineType,
    NodeExit,
    Phase,
    RunEnd,
    RunRecord,
    TraceEvent,
    TraceLine,
    Validity,
    Verdict,
)
from nemesis.plan import AtEvent, AtTime, Fault, Plan

GOLDEN = Path(__file__).parent.parent / "golden"

JSONL: dict[str, tuple[str, Any]] = {
    "history.jsonl": ("histrio/history", HistoryLine),
    "faults.jsonl": ("histrio/faults", FaultLine),
    "trace.jsonl": ("histrio/trace", TraceLine),
}
DOCUMENTS: dict[str, Any] = {"verdict.json": Verdict, "run.json": RunRecord, "plan.json": Plan}


@pytest.mark.parametrize("name", JSONL)
def test_a_jsonl_file_that_is_read_and_written_again_is_the_same_bytes(name: str, tmp_path: Path) -> None:
    file_format, line_type = JSONL[name]
    lines = read_jsonl(GOLDEN / name, line_type, format=file_format)
    writer = JsonlWriter(tmp_path / name, lines.header)
    writer.append(*lines.records)
    writer.close()
    assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_json_document_that_is_read_and_written_again_is_the_same_bytes(name: str) -> None:
    content = (GOLDEN / name).read_bytes()
    record = msgspec.json.decode(content, type=DOCUMENTS[name])
    assert msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n" == content


def test_the_golden_trace_has_every_event_of_the_vocabulary() -> None:
    events = {type(line.event) for line in _records("trace.jsonl")}
    assert events == set(get_args(AnyTraceEvent)) == set(TraceEvent.__subclasses__())


def test_the_golden_faults_have_every_event_in_the_life_of_a_fault() -> None:
    assert {type(line) for line in _records("faults.jsonl")} == set(get_args(FaultLine))


def test_the_golden_history_has_every_type_of_line() -> None:
    assert {line.type for line in _records("history.jsonl")} == set(LineType)


def test_the_golden_verdict_has_every_validity_and_a_class_under_its_json_name() -> None:
    verdict = msgspec.json.decode((GOLDEN / "verdict.json").read_bytes(), type=Verdict)
    assert {check.validity for check in verdict.checks} == set(Validity)
    assert b'"class": "stale-read"' in (GOLDEN / "verdict.json").read_bytes()


def test_the_golden_plan_has_both_ways_to_say_when_and_both_ways_to_say_where() -> None:
    plan = msgspec.json.decode((GOLDEN / "plan.json").read_bytes(), type=Plan)
    assert {type(fault.at) for fault in plan.faults} == {AtTime, AtEvent}
    assert {type(fault.target) for fault in plan.faults} == {str, tuple}


REQUIRED: dict[type[msgspec.Struct], tuple[str, ...]] = {
    Header: ("format",),
    HistoryLine: ("index", "time_ns", "process", "type", "f"),
    TraceLine: ("node", "incarnation", "seq", "local_ns", "event"),
    Verdict: ("validity", "signature", "checks"),
    CheckResult: ("name", "validity", "evidence"),
    Evidence: ("summary",),
    Phase: ("name", "begin_ns"),
    NodeExit: ("node", "time_ns", "reason"),
    RunEnd: ("time_ns", "reason"),
    RunRecord: (
        "name",
        "histrio_version",
        "python_version",
        "started_at",
        "seed",
        "environment",
        "system",
        "nodes",
        "workload",
        "nemesis",
        "time_limit_ns",
        "rate_hz",
        "concurrency",
    ),
    Plan: ("seed", "nodes", "workload", "faults"),
    Fault: ("id", "kind", "at", "for_ns"),
    AtTime: ("ns",),
    AtEvent: ("event",),
}
REQUIRED_OF_VARIANTS: dict[str, tuple[str, ...]] = {
    "planned": ("id", "time_ns", "kind", "family", "at", "for_ns"),
    "applied": ("id", "time_ns", "resolved", "rule"),
    "observed": ("id", "time_ns", "counts"),
    "undone": ("id", "time_ns"),
    "healed": ("id", "time_ns", "probe"),
    "restored": ("term", "voted_for", "last_index", "last_term"),
    "became": ("role", "term"),
    "voted": ("term", "candidate"),
    "appended": ("index", "term", "digest"),
    "truncated": ("index",),
    "synced": ("index", "term"),
    "committed": ("index",),
    "snapshot": ("index", "term", "digest", "installed"),
    "configuration": ("index", "voters"),
    "acknowledged": ("operation", "index"),
    "sent": ("message", "kind", "to"),
    "received": ("message", "kind", "source"),
}


@pytest.mark.parametrize("record", REQUIRED, ids=lambda record: record.__name__)
def test_no_record_of_version_one_demands_a_field_that_old_files_lack(record: type[msgspec.Struct]) -> None:
    """A field without a default would make every directory on disk unreadable."""
    assert _required(record) == REQUIRED[record]


@pytest.mark.parametrize("variant", [*get_args(FaultLine), *get_args(AnyTraceEvent)], ids=lambda kind: kind.__name__)
def test_no_variant_of_version_one_demands_a_field_that_old_files_lack(variant: type[msgspec.Struct]) -> None:
    tag = variant.__struct_config__.tag
    if tag == "applied" and issubclass(variant, TraceEvent):
        assert _required(variant) == ("index", "digest")
    else:
        assert _required(variant) == REQUIRED_OF_VARIANTS[str(tag)]


@pytest.mark.parametrize("name", JSONL)
def test_a_line_with_a_field_of_a_later_version_is_still_read(name: str, tmp_path: Path) -> None:
    file_format, line_type = JSONL[name]
    content = (GOLDEN / name).read_bytes()
    (tmp_path / name).write_bytes(content.replace(b"}\n", b',"from_the_future":1}\n'))
    later = read_jsonl(tmp_path / name, line_type, format=file_format)
    assert later.records == read_jsonl(GOLDEN / name, line_type, format=file_format).records


def test_validities_are_ordered_by_what_masks_what() -> None:
    """docs/architecture.md: invalid > harness error > vacuous > unknown > valid."""
    assert sorted(Validity, key=lambda validity: validity.severity, reverse=True) == [
        Validity.INVALID,
        Validity.HARNESS_ERROR,
        Validity.VACUOUS,
        Validity.UNKNOWN,
        Validity.VALID,
    ]


def _records(name: str) -> tuple[Any, ...]:
    file_format, line_type = JSONL[name]
    return read_jsonl(GOLDEN / name, line_type, format=file_format).records


def _required(record: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(record) if field.required)
