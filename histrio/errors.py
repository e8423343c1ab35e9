"""What can go wrong in histrio itself, and the exit codes of the command. No error here is a verdict.

HistrioError
├── UsageProblem             the caller's: an option, a configuration, a file               64
├── EnvironmentUnavailable   the machine's: this environment cannot run here                69
└── HarnessFailure           ours, or the disk's: the run or its judgement broke off        70

Each error says what happened, why that matters, and how to mend it. 64, 69 and 70 are those of sysexits.h. Exit code 1
means a violation that `verdict.json` records, so no error may ever end with it (docs/command-line.md).
"""

from __future__ import annotations

from checker.errors import CheckerError, IllFormedHistory, MalformedInput

__all__ = [
    "EX_HARNESS",
    "EX_INTERRUPTED",
    "EX_TERMINATED",
    "EX_UNAVAILABLE",
    "EX_USAGE",
    "EnvironmentUnavailable",
    "HarnessFailure",
    "HistrioError",
    "UsageProblem",
    "error_exit_code",
    "render",
]

EX_USAGE = 64
EX_UNAVAILABLE = 69
EX_HARNESS = 70
EX_INTERRUPTED = 130
"""128 + SIGINT."""
EX_TERMINATED = 143
"""128 + SIGTERM."""


class HistrioError(Exception):
    """Base of this package's errors. what: one clause. why: the rule or the cause. fix: what to do next."""

    exit_code = EX_HARNESS

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(what)

    def __str__(self) -> str:
        return render(self)


class UsageProblem(HistrioError):
    """The command line, the configuration or a file named by the user is wrong. Nothing was started."""

    exit_code = EX_USAGE


class EnvironmentUnavailable(HistrioError):
    """The environment asked for does not exist on this machine or in this version."""

    exit_code = EX_UNAVAILABLE


class HarnessFailure(HistrioError):
    """The harness could not do its work. Says nothing about the system under test."""

    exit_code = EX_HARNESS


def error_exit_code(error: BaseException) -> int:
    """The exit code of an error that ends a command: 64, 69 or 70; never 0 and never 1."""
    match error:
        case HistrioError():
            return error.exit_code
        case MalformedInput() | IllFormedHistory():
            return EX_USAGE
        case _:
            return EX_HARNESS


def render(error: HistrioError | CheckerError) -> str:
    """The error for people: what, why and fix on a line each; lines that were left empty are left out."""
    match error:
        case HistrioError():
            parts = (error.what, error.why, error.fix)
        case MalformedInput():
            where = error.path if error.line is None else f"{error.path}:{error.line}"
            parts = (f"{where}: {error.problem}", "a history that is not read whole proves nothing", error.fix)
        case _:
            parts = (str(error), "", "")
    labels = ("", "  why: ", "  fix: ")
    return "\n".join(label + part for label, part in zip(labels, parts, strict=True) if part)
