"""The run directory: safe against being killed, against a second run in the same second, and against a full disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from checker.errors import MalformedInput
from checker.jsonl import JsonlWriter
from checker.records import Header, HistoryLine, LineType, RunEnd, Validity
from checker.verdict import compose
from histrio.errors import HarnessFailure, UsageProblem
from histrio.store import RunDirectory, disk_errors
from nemesis.plan import AtTime, Fault, Plan
from tests.histrio.cli.worlds import START, a_check, a_record

COMPLETED = RunEnd(time_ns=5, reason="completed")


def a_run(store: Path, *, end: RunEnd | None = COMPLETED) -> RunDirectory:
    directory = RunDirectory.create(store, "trial", started_at=START, seed=7)
    directory.write_run(a_record(end=end))
    return directory


def a_line(index: int) -> HistoryLine:
    return HistoryLine(index=index, time_ns=index, process=0, type=LineType.INVOKE, f="read")


# ── creation ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_lies_under_its_name_by_utc_time_and_seed(tmp_path: Path) -> None:
    elsewhere = START.astimezone(timezone(timedelta(hours=5)))
    directory = RunDirectory.create(tmp_path, "nightly", started_at=elsewhere, seed=42)
    assert directory.path == tmp_path / "nightly" / "20260304T050607Z-s42"
    assert directory.nodes.is_dir()


def test_runs_that_start_in_the_same_second_get_directories_of_their_own(tmp_path: Path) -> None:
    paths = [RunDirectory.create(tmp_path, "r", started_at=START, seed=1).path for _ in range(3)]
    assert [path.name for path in paths] == [
        "20260304T050607Z-s1",
        "20260304T050607Z-s1-2",
        "20260304T050607Z-s1-3",
    ]
    assert all(path.is_dir() for path in paths)


def test_latest_is_a_relative_link_to_the_newest_run_of_any_name(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path, "a", started_at=START, seed=1)
    newest = RunDirectory.create(tmp_path, "b", started_at=START, seed=2)
    link = tmp_path / "latest"
    assert link.resolve() == newest.path.resolve()
    assert not link.readlink().is_absolute(), "a store must survive being moved or copied"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "b", "latest"], "nothing temporary stays"


def test_a_folder_that_stands_where_latest_belongs_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(UsageProblem, match="latest a link"):
        RunDirectory.create(tmp_path, "a", started_at=START, seed=1)
    assert list(tmp_path.iterdir()) == [tmp_path / "latest"], "and no run is begun"
    assert not (tmp_path / "latest").is_symlink()


@pytest.mark.parametrize("name", ["", "..", "a/b", "latest", ".hidden", "two words", "-n"])
def test_a_name_that_cannot_be_a_folder_of_the_store_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageProblem, match="cannot be the name of a run"):
        RunDirectory.create(tmp_path, name, started_at=START, seed=1)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_made_is_a_failure_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HarnessFailure, match="file"):
        RunDirectory.create(tmp_path / "file", "a", started_at=START, seed=1)


# ── documents ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_document_comes_back_as_it_was_written(tmp_path: Path) -> None:
    directory = a_run(tmp_path)
    fault = Fault(id="f1", kind="kill-one", at=AtTime(ns=3), for_ns=9, target="leader")
    plan = Plan(seed=7, nodes=("n1", "n2"), workload="register", faults=(fault,))
    verdict = compose([a_check(Validity.INVALID), a_check(Validity.VALID, "liveness")])
    directory.write_plan(plan)
    directory.write_verdict(verdict)
    loaded = RunDirectory.load(directory.path)
    assert loaded.read_run() == a_record(end=COMPLETED)
    assert loaded.read_plan() == plan
    assert loaded.read_verdict() == verdict
    assert loaded.started_at == START


def test_a_document_that_cannot_be_written_leaves_the_old_one_whole(tmp_path: Path) -> None:
    """A reader finds the old document or the new one, never a half."""
    directory = a_run(tmp_path)
    before = directory.run_json.read_bytes()
    unencodable = a_record(end=RunEnd(time_ns=1, reason="completed", error=object()))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        directory.write_run(unencodable)
    assert directory.run_json.read_bytes() == before
    assert not [entry for entry in directory.path.iterdir() if entry.name.endswith(".new")]


def test_a_disk_that_refuses_a_document_is_named_in_the_failure(tmp_path: Path) -> None:
    directory = a_run(tmp_path)
    (directory.path / ".verdict.json.new").mkdir()
    with pytest.raises(HarnessFailure, match=r"verdict\.json"):
        directory.write_verdict(compose([a_check(Validity.VALID)]))
    assert directory.read_verdict() is None


# ── the end mark ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_killed_run_has_no_end_mark_and_can_be_given_one(tmp_path: Path) -> None:
    directory = a_run(tmp_path, end=None)
    assert not directory.has_end_mark
    directory.mark_end(RunEnd(time_ns=9, reason="interrupted"))
    assert directory.has_end_mark
    assert directory.read_run().end == RunEnd(time_ns=9, reason="interrupted")


def test_the_first_end_mark_is_the_true_one(tmp_path: Path) -> None:
    directory = a_run(tmp_path)
    directory.mark_end(RunEnd(time_ns=9, reason="error", error="later"))
    assert directory.read_run().end == COMPLETED


def test_a_run_that_never_began_gets_no_end_mark(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, "r", started_at=START, seed=1)
    directory.mark_end(RunEnd(time_ns=0, reason="error"))
    assert not directory.run_json.exists()


@pytest.mark.parametrize("end", [None, RunEnd(time_ns=1, reason="error"), RunEnd(time_ns=1, reason="interrupted")])
def test_the_unfinished_last_line_of_a_run_that_was_cut_off_is_dropped_with_a_warning(
    tmp_path: Path, end: RunEnd | None
) -> None:
    """Architecture §2: a killed harness leaves a directory that `check` and `report` accept."""
    directory = a_run(tmp_path, end=end)
    write_history(directory, lines=3)
    with directory.history.open("ab") as file:
        file.write(b'{"index":3,"ti')
    lines = directory.read_history()
    assert [line.index for line in lines.records] == [0, 1, 2]
    assert "history.jsonl:5" in lines.warnings[0]


def test_the_unfinished_last_line_of_a_completed_run_is_an_error_with_its_line(tmp_path: Path) -> None:
    directory = a_run(tmp_path)
    write_history(directory, lines=3)
    with directory.history.open("ab") as file:
        file.write(b'{"index":3,"ti')
    with pytest.raises(MalformedInput) as caught:
        directory.read_history()
    assert caught.value.line == 5


def test_a_line_cut_in_the_middle_of_the_file_is_an_error_also_in_a_killed_run(tmp_path: Path) -> None:
    """Issue 2, bad input."""
    directory = a_run(tmp_path, end=None)
    write_history(directory, lines=3)
    lines = directory.history.read_bytes().splitlines()
    lines[2] = lines[2][:10]
    directory.history.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(MalformedInput) as caught:
        directory.read_history()
    assert caught.value.line == 3


def write_history(directory: RunDirectory, *, lines: int) -> None:
    writer = JsonlWriter(directory.history, Header(format="histrio/history"))
    writer.append(*map(a_line, range(lines)))
    writer.close()


# ── a full disk ──────────────────────────────────────────────────────────────────────────────────────────────────────


class NearlyFullFile:
    """A raw file on a disk with room for `room` bytes more: it takes a part of a write, and refuses the next."""

    def __init__(self, path: Path, room: int) -> None:
        self._file = path.open("ab", buffering=0)
        self._room = room

    def write(self, data: bytes) -> int:
        if self._room == 0:
            raise OSError(28, "No space left on device")
        part = data[: self._room]
        self._room -= len(part)
        return self._file.write(part)

    def truncate(self, size: int) -> int:
        return self._file.truncate(size)

    def close(self) -> None:
        self._file.close()


def test_a_full_disk_is_named_and_costs_nothing_that_was_recorded_before(tmp_path: Path) -> None:
    """A disk that is nearly full takes half a line first: that half must not become a broken line in the middle."""
    path = tmp_path / "history.jsonl"
    writer = JsonlWriter(path, Header(format="histrio/history"))
    writer.append(a_line(0))
    recorded = path.read_bytes()
    writer._file.close()
    writer._file = NearlyFullFile(path, room=25)  # type: ignore[assignment]
    with pytest.raises(HarnessFailure, match=r"history\.jsonl: No space left") as caught, disk_errors(tmp_path):
        writer.append(a_line(1))
    assert "--store" in caught.value.fix
    assert path.read_bytes() == recorded
    writer.close()


def test_a_write_that_is_taken_in_parts_is_finished(tmp_path: Path) -> None:
    """write(2) may take less than it is given, without an error."""
    path = tmp_path / "history.jsonl"
    writer = JsonlWriter(path, Header(format="histrio/history"))
    raw = writer._file

    class Sips:
        def write(self, data: bytes) -> int:
            return raw.write(data[:7])

        def close(self) -> None:
            raw.close()

    writer._file = Sips()  # type: ignore[assignment]
    writer.append(a_line(0), a_line(1))
    writer.close()
    assert path.read_bytes().count(b"\n") == 3
    assert path.read_bytes().endswith(b"\n")


# ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_is_found_by_its_directory_by_the_link_and_by_its_run_json(tmp_path: Path) -> None:
    directory = a_run(tmp_path)
    for path in (directory.path, tmp_path / "latest", directory.run_json):
        assert RunDirectory.load(path).path.resolve() == directory.path.resolve()


def test_a_mistyped_path_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    directory = a_run(tmp_path)
    with pytest.raises(UsageProblem) as caught:
        RunDirectory.load(directory.path.with_name("20260304T050607Z-s8"))
    assert str(directory.path) in caught.value.fix


@pytest.mark.parametrize("level", [1, 2])
def test_the_store_in_place_of_a_run_is_answered_with_its_last_run(tmp_path: Path, level: int) -> None:
    directory = a_run(tmp_path)
    with pytest.raises(UsageProblem, match=r"run\.json is missing") as caught:
        RunDirectory.load(directory.path.parents[level - 1])
    suggested = caught.value.fix.removeprefix("did you mean ").removesuffix("?")
    assert Path(suggested).resolve() == directory.path.resolve()


def test_a_run_json_of_another_shape_is_an_error_that_names_the_field(tmp_path: Path) -> None:
    directory = a_run(tmp_path)
    directory.run_json.write_text('{"name": 3}')
    with pytest.raises(MalformedInput, match="name"):
        RunDirectory.load(directory.path)


def test_a_run_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    directory = a_run(tmp_path)
    text = directory.run_json.read_text()
    directory.run_json.write_text(text.replace('"version": 1', '"version": 2'))
    with pytest.raises(MalformedInput, match="newer"):
        RunDirectory.load(directory.path)


def test_a_start_that_is_no_time_is_refused(tmp_path: Path) -> None:
    directory = a_run(tmp_path)
    text = directory.run_json.read_text()
    directory.run_json.write_text(text.replace(START.isoformat(), "yesterday"))
    with pytest.raises(MalformedInput, match="yesterday"):
        RunDirectory.load(directory.path)


def test_started_at_is_kept_to_the_second_in_the_name_and_whole_in_the_record(tmp_path: Path) -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
    assert RunDirectory.create(tmp_path, "r", started_at=moment, seed=1).started_at == moment
