"""One call of `histrio`, from the arguments to the exit code, and how it ends when it breaks off.

Only a command that came to its end gives 0, 1, 2 or 3. Everything else is turned into its own code here: wrong usage
64, an environment that cannot run 69, any other exception 70, SIGINT 130, SIGTERM 143; and the run that was being made
gets its end mark, and the traceback where the harness failed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Literal

import click

from checker.errors import IllFormedHistory, MalformedInput
from checker.records import RunEnd
from histrio.cli import commands
from histrio.cli_call import Call, Terminal
from histrio.cli_services import Services
from histrio.errors import (
    EX_HARNESS,
    EX_INTERRUPTED,
    EX_TERMINATED,
    EX_USAGE,
    HarnessFailure,
    HistrioError,
    error_exit_code,
    render,
)

__all__ = ["call_command", "this_terminal"]


class Terminated(BaseException):
    """SIGTERM arrived. Not an Exception, so that nothing on the way takes it for a failure of its own."""


def this_terminal() -> Terminal:
    """The terminal of this process."""
    return Terminal(sys.stdout, sys.stderr, os.environ, Path.cwd())


def call_command(arguments: Sequence[str], services: Services, terminal: Terminal) -> int:
    """Carry out one command line and give its exit code. Raises nothing."""
    call = Call(services, terminal)
    try:
        with _sigterm_raises():
            return _dispatch(arguments, call)
    except (click.Abort, KeyboardInterrupt):
        return _interrupted(call, EX_INTERRUPTED)
    except Terminated:
        return _interrupted(call, EX_TERMINATED)
    except BrokenPipeError:
        return _unheard(call)
    except click.ClickException as error:
        return _misused(call, error)
    except (HistrioError, MalformedInput, IllFormedHistory) as error:
        return _refused(call, error)
    except Exception as error:  # the last resort: whatever it is, it is ours, and it is not a verdict
        return _crashed(call, error)


def _dispatch(arguments: Sequence[str], call: Call) -> int:
    """As click's own `main`, without its exit codes: 2 for usage and 1 for a closed pipe mean something else here."""
    try:
        with commands.make_context("histrio", list(arguments), obj=call) as context:
            code: int = commands.invoke(context)
            return code
    except click.exceptions.Exit as done:
        return done.exit_code


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that it unwinds like Ctrl-C. Only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


# ── how a call breaks off ────────────────────────────────────────────────────────────────────────────────────────────


def _interrupted(call: Call, code: int) -> int:
    call.say(f"\ninterrupted while {call.stage}")
    _mark_end(call, "interrupted", None)
    if call.directory is not None:
        call.say(f"what was recorded can be judged: histrio check {call.directory.path}")
    return code


def _unheard(call: Call) -> int:
    """Nobody reads stdout any more. Point it elsewhere, or the interpreter complains again when it exits."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, call.terminal.out.fileno())
        os.close(null)
    where = f"; the run is in {call.directory.path}" if call.directory is not None else ""
    call.say(f"stdout was closed before the answer was printed{where}")
    return EX_HARNESS


def _misused(call: Call, error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        call.say(error.format_message())
        return EX_USAGE
    call.say(f"histrio: {error.format_message()}")
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        call.say(f"  fix: see {context.command_path} --help")
    return EX_USAGE


def _refused(call: Call, error: HistrioError | MalformedInput | IllFormedHistory) -> int:
    if isinstance(error, HarnessFailure):
        return _failed(call, error, render(error))
    _mark_end(call, "error", str(error))
    call.say(f"histrio: {render(error)}")
    return error_exit_code(error)


def _crashed(call: Call, error: Exception) -> int:
    return _failed(call, error, f"{type(error).__name__}: {error}")


def _failed(call: Call, error: Exception, message: str) -> int:
    """A failure of the harness: say it in short, keep the traceback, leave the run marked."""
    _mark_end(call, "error", message)
    call.say(f"histrio: harness error while {call.stage}: {message}")
    call.say(f"  this says nothing about the system under test; {_keep_traceback(call, error)}")
    return EX_HARNESS


def _keep_traceback(call: Call, error: Exception) -> str:
    """Write the traceback to the run directory, or to stderr with --debug; say where it is."""
    text = "".join(traceback.format_exception(error))
    if call.debug:
        call.say(text)
    if call.directory is not None:
        with contextlib.suppress(OSError):
            call.directory.harness_error.write_text(text, encoding="utf-8")
            return f"details: {call.directory.harness_error}"
    return "details above" if call.debug else "details: the same command with --debug"


def _mark_end(call: Call, reason: Literal["interrupted", "error"], message: str | None) -> None:
    """Best effort: if the disk that failed the run refuses this too, readers accept a run without its end mark."""
    if call.directory is not None:
        with contextlib.suppress(HistrioError, MalformedInput, OSError):
            call.directory.mark_end(RunEnd(time_ns=call.time_ns, reason=reason, error=message))
