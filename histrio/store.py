"""The run directory: where everything of a run lies, how it gets there safely, and how it is opened again.

Here belong paths, creation, atomic replacement of the small documents, and reading. Not here: what the records mean
(`checker.records`), appending to the `.jsonl` files (`histrio.recorder`), judging, drawing. The layout is the project's
public contract: docs/run-directory.md.

Safe means: a harness that is killed at any moment leaves a directory that `load` accepts, documents are never half
written, and a full disk is reported with the file's name while all that was recorded before stays readable.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from checker.errors import MalformedInput
from checker.jsonl import Lines, read_jsonl
from checker.records import (
    FORMAT_VERSION,
    FaultLine,
    HistoryLine,
    RunEnd,
    RunRecord,
    TraceLine,
    Verdict,
)
from histrio.errors import HarnessFailure, UsageProblem
from nemesis.plan import Plan

__all__ = ["RunDirectory", "disk_errors"]

LATEST = "latest"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_TIME = "%Y%m%dT%H%M%SZ"

Document = TypeVar("Document", RunRecord, Plan, Verdict)


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """One run's directory. Make it with `create` or `load`; the attributes are places, not promises that they exist."""

    path: Path
    started_at: datetime
    """UTC; what `RunRecord.started_at` is to say."""

    # ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def create(cls, store: Path, name: str, *, started_at: datetime, seed: int) -> RunDirectory:
        """Make `store/name/<UTC time>-s<seed>/` and point `store/latest` at it.

        A run started in the same second under the same name gets `-2`, `-3`, … appended, so no two runs ever share a
        directory. Raises UsageProblem for a name that cannot be a folder's, HarnessFailure when the disk refuses.
        """
        if not _NAME.fullmatch(name) or name == LATEST:
            raise UsageProblem(
                f"{name!r} cannot be the name of a run",
                why="it becomes a folder of the store, beside the link `latest`",
                fix="use letters, digits, dot, dash and underscore, as in --name nightly-5n",
            )
        if (store / LATEST).exists() and not (store / LATEST).is_symlink():
            raise _latest_is_taken(store / LATEST, "something else stands there")
        stem = f"{started_at.astimezone(UTC).strftime(_TIME)}-s{seed}"
        with disk_errors(store / name):
            (store / name).mkdir(parents=True, exist_ok=True)
            path = _make_unique(store / name, stem)
            (path / "nodes").mkdir()
            _sync(path.parent)
        _point_latest(store, path)
        return cls(path, started_at)

    @classmethod
    def load(cls, path: Path) -> RunDirectory:
        """Open a run's directory, also a killed run's. `path` may be the directory, a link to it, or its run.json.

        Raises UsageProblem, saying what is missing, if `path` is no run directory; MalformedInput if run.json is not
        what docs/run-directory.md says.
        """
        path = path.parent if path.name == "run.json" else path
        if not path.is_dir():
            raise UsageProblem(f"{path} is not there", why="a run directory was expected", fix=_near(path))
        if not (path / "run.json").is_file():
            raise UsageProblem(
                f"{path} is no run directory: run.json is missing",
                why="run.json is written before a run starts, and says what was run",
                fix=_inside(path),
            )
        path = path.resolve() if path.is_symlink() else path
        record = _read(path / "run.json", RunRecord)
        if record.version > FORMAT_VERSION:
            problem = f"format version {record.version} is newer than {FORMAT_VERSION}"
            raise MalformedInput(path / "run.json", None, problem, fix="update histrio")
        try:
            started_at = datetime.fromisoformat(record.started_at)
        except ValueError:
            raise MalformedInput(path / "run.json", None, f"started_at: {record.started_at!r} is no time") from None
        return cls(path, started_at)

    # ── places ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def run_json(self) -> Path:
        """What was run and how it ended."""
        return self.path / "run.json"

    @property
    def plan_json(self) -> Path:
        """The plan of faults, with the nodes they hit once the run is over."""
        return self.path / "plan.json"

    @property
    def verdict_json(self) -> Path:
        """What the checks decided."""
        return self.path / "verdict.json"

    @property
    def history(self) -> Path:
        """What clients asked and saw."""
        return self.path / "history.jsonl"

    @property
    def faults(self) -> Path:
        """What was done to the system, and the evidence that it took effect."""
        return self.path / "faults.jsonl"

    @property
    def trace(self) -> Path:
        """What the nodes say they did."""
        return self.path / "trace.jsonl"

    @property
    def nodes(self) -> Path:
        """Logs and leftovers of each node."""
        return self.path / "nodes"

    @property
    def report_html(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def harness_error(self) -> Path:
        """The traceback, when the harness itself broke off."""
        return self.path / "harness-error.txt"

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def write_run(self, record: RunRecord) -> None:
        """Replace run.json in one step. Raises HarnessFailure naming the file when the disk refuses."""
        _replace(self.run_json, record)

    def write_plan(self, plan: Plan) -> None:
        """Replace plan.json in one step; errors as `write_run`."""
        _replace(self.plan_json, plan)

    def write_verdict(self, verdict: Verdict) -> None:
        """Replace verdict.json in one step; errors as `write_run`."""
        _replace(self.verdict_json, verdict)

    def mark_end(self, end: RunEnd) -> None:
        """Give the run its end mark unless it has one already: the first reason is the true one.

        A run that never came to write run.json stays without. Errors as `write_run`.
        """
        if self.run_json.is_file():
            record = self.read_run()
            if record.end is None:
                self.write_run(msgspec.structs.replace(record, end=end))

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def has_end_mark(self) -> bool:
        """Whether the harness lived to say how the run ended; if not, it was killed."""
        return self.read_run().end is not None

    @property
    def is_whole(self) -> bool:
        """Whether every line of the `.jsonl` files was written to its end: only a run cut off may lack the last."""
        end = self.read_run().end
        return end is not None and end.reason not in ("error", "interrupted")

    def read_run(self) -> RunRecord:
        """run.json. Raises MalformedInput."""
        return _read(self.run_json, RunRecord)

    def read_plan(self) -> Plan:
        """plan.json. Raises MalformedInput."""
        return _read(self.plan_json, Plan)

    def read_verdict(self) -> Verdict | None:
        """verdict.json, or None for a run that was not judged yet. Raises MalformedInput."""
        return _read(self.verdict_json, Verdict) if self.verdict_json.is_file() else None

    def read_history(self) -> Lines[HistoryLine]:
        """history.jsonl; a run that was cut off may lack the end of its last line. Raises MalformedInput."""
        return read_jsonl(self.history, HistoryLine, format="histrio/history", complete=self.is_whole)

    def read_faults(self) -> Lines[FaultLine]:
        """faults.jsonl; as `read_history`."""
        return read_jsonl(self.faults, FaultLine, format="histrio/faults", complete=self.is_whole)

    def read_trace(self) -> Lines[TraceLine]:
        """trace.jsonl; as `read_history`."""
        return read_jsonl(self.trace, TraceLine, format="histrio/trace", complete=self.is_whole)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a HarnessFailure that names its file, or `path` where it does not say."""
    try:
        yield
    except BrokenPipeError:  # a reader of our output has gone: no matter of disks
        raise
    except OSError as error:
        raise HarnessFailure(
            f"cannot write {error.filename or path}: {error.strerror or error}",
            why="the run cannot go on unrecorded; everything recorded before stays in the directory",
            fix="free space or permissions there, or name another place with --store",
        ) from error


def _make_unique(folder: Path, stem: str) -> Path:
    """Make a new directory called `stem`, or `stem-2`, `stem-3`, …: mkdir decides between two that try at once."""
    number = 1
    while True:
        path = folder / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def _point_latest(store: Path, path: Path) -> None:
    """Make `store/latest` a link to `path` in one step: a reader sees the old run or the new one, never none."""
    link, temporary = store / LATEST, store / f".latest-{path.parent.name}-{path.name}"
    try:
        temporary.symlink_to(path.relative_to(store), target_is_directory=True)
        temporary.replace(link)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _latest_is_taken(link, error.strerror or str(error)) from error


def _latest_is_taken(link: Path, reason: str) -> UsageProblem:
    return UsageProblem(
        f"cannot make {link} a link to the newest run: {reason}",
        why="the store keeps a link `latest`, so that nobody has to copy a run's name",
        fix=f"move {link} away, or name another place with --store",
    )


def _replace(path: Path, document: msgspec.Struct) -> None:
    """Write a document so that any reader, also after a power cut, finds the old one or the new one, whole."""
    temporary = path.with_name(f".{path.name}.new")
    with disk_errors(path):
        try:
            with temporary.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """fsync a file or a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, kind: type[Document]) -> Document:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise MalformedInput(path, None, f"cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedInput(path, None, f"not what {path.name} is to say: {error}") from None


def _near(path: Path) -> str:
    """Names beside `path` that look like it."""
    beside = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=1)
    return f"did you mean {path.parent / close[0]}?" if close else "give the path that `histrio run` printed"


def _inside(path: Path) -> str:
    """Runs below `path`, where it is a store or the folder of a name."""
    runs = sorted(path.glob("*/run.json")) or sorted(path.glob("*/*/run.json"))
    return f"did you mean {runs[-1].parent}?" if runs else "give the path that `histrio run` printed"
