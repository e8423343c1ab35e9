"""`histrio check` on history files that lie outside a run directory: one file, or a folder of them, against a model.

A violation is never masked: one invalid file decides the exit code whatever the others say, also when another cannot
be read (docs/command-line.md).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from checker.errors import IllFormedHistory, MalformedInput
from checker.records import CheckResult, Validity
from checker.verdict import exit_code
from histrio.catalogue import find
from histrio.cli_call import Call
from histrio.cli_print import check_text, json_text
from histrio.cli_services import HistoryQuestion
from histrio.errors import EX_USAGE, UsageProblem, render
from histrio.store import RunDirectory

__all__ = ["check_histories", "history_files"]

HISTORY_SUFFIXES = (".edn", ".jsonl", ".log", ".txt")


class FileAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One file's line with --json: a result, or why there is none."""

    file: str
    validity: Validity | None = None
    result: CheckResult | None = None
    error: str | None = None


def check_histories(call: Call, path: Path, question: HistoryQuestion, *, as_json: bool) -> int:
    """Judge one history file, or every one in a folder. Gives the exit code.

    Prints `name: valid|invalid|unknown` for each; what cannot be read is named on stderr.
    """
    catalogue = call.services.catalogue()
    find(question.model, catalogue.models, option="--model", noun="model")
    if question.format is not None:
        find(question.format, catalogue.formats, option="--format", noun="format")
    call.stage = "judging histories"
    files = history_files(path)
    answers = []
    for file in files:
        answer = _judge_file(call, file, question)
        answers.append(answer)
        if answer.error is not None:
            call.say(answer.error)
        if answer.result is not None and not as_json:
            call.answer(check_text(file.name, answer.result, paint=call.paint_out, explain=len(files) == 1))
    if as_json:
        call.answer(json_text(answers))
    return _exit_code(answers)


def history_files(path: Path) -> list[Path]:
    """The file itself, or a folder's history files by name. Raises UsageProblem if there is none."""
    if path.is_file():
        return [path]
    files = sorted(file for file in path.glob("*") if file.is_file() and file.suffix in HISTORY_SUFFIXES)
    if not files:
        raise UsageProblem(
            f"{path} has no history in it" if path.is_dir() else f"{path} is not there",
            why=f"a folder's histories are its files that end with {', '.join(HISTORY_SUFFIXES)}",
            fix="give a run directory, a history file, or a folder of history files",
        )
    return files


def _judge_file(call: Call, file: Path, question: HistoryQuestion) -> FileAnswer:
    try:
        answer = call.services.check_history(file, msgspec.structs.replace(question, whole=_must_be_whole(file)))
    except (MalformedInput, IllFormedHistory) as error:
        return FileAnswer(file=str(file), error=render(error))
    for warning in answer.warnings:
        call.say(f"warning: {warning}")
    return FileAnswer(file=str(file), validity=answer.result.validity, result=answer.result)


def _must_be_whole(file: Path) -> bool:
    """A history beside a run.json may lack the end of its last line if that run was cut off; any other may not."""
    return not (file.parent / "run.json").is_file() or RunDirectory.load(file.parent).is_whole


def _exit_code(answers: list[FileAnswer]) -> int:
    """Invalid before unreadable before unknown before valid."""
    worst = max((answer.validity for answer in answers if answer.validity), key=_severity, default=Validity.VALID)
    unread = any(answer.error is not None for answer in answers)
    if unread and worst is not Validity.INVALID:
        return EX_USAGE
    return exit_code(worst)


def _severity(validity: Validity) -> int:
    return validity.severity
