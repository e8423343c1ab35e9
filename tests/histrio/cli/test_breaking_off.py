"""Sabotage: whatever breaks inside the harness ends with its own code, never with a verdict's (issue 2, acceptance)."""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from checker.records import RunEnd, Validity, Verdict
from checker.verdict import compose
from histrio.cli_call import Terminal
from histrio.cli_main import call_command
from histrio.environments.environment import Progress
from histrio.errors import EnvironmentUnavailable, UsageProblem
from histrio.store import RunDirectory
from histrio.trial import Trial, TrialSpec
from tests.histrio.cli.worlds import World, a_check, execute, record_start

OnProgress = Callable[[Progress], None]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Every run in it would be invalid, so that a masked failure shows as 1."""
    return World(tmp_path, verdict=compose([a_check(Validity.INVALID)]))


def broken(*_: object) -> NoReturn:
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize("service", ["catalogue", "plan_trial", "execute", "judge", "write_report"])
@pytest.mark.parametrize("options", [[], ["--json"], ["--expect", "invalid"], ["--expect", "valid"]])
def test_an_exception_anywhere_is_70_and_never_0_or_1(world: World, service: str, options: list[str]) -> None:
    """Issue 2: an exception inside a checker, the engine or the report gives 70."""
    world.changes[service] = broken
    answer = world.run(*options)
    assert answer.code == 70
    assert "ZeroDivisionError" in answer.err
    assert "says nothing about the system under test" in answer.err


@pytest.mark.parametrize("command", ["check", "report", "replay"])
def test_an_exception_in_a_later_stage_is_70(world: World, command: str) -> None:
    world.run()
    path = str(world.only_run().path)
    world.changes |= {"judge": broken, "write_report": broken, "replay": broken}
    assert world.call(command, path).code == 70


@pytest.mark.parametrize("arguments", [["check", "h.log", "--model", "register"], ["list"], ["doctor"], ["demo"]])
def test_an_exception_in_any_other_command_is_70(world: World, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "h.log").write_text("")
    world.changes |= {"catalogue": broken}
    assert world.call(*arguments).code == 70


def test_the_traceback_is_kept_in_the_run_directory_and_its_place_is_said(world: World) -> None:
    def breaking(trial: Trial, directory: RunDirectory, on_progress: OnProgress) -> None:
        record_start(trial, directory)
        on_progress(Progress(now_ns=42, phase="load", ok=0, fail=0, info=0, faults=()))
        broken()

    world.changes["execute"] = breaking
    answer = world.run()
    run = world.only_run()
    assert str(run.harness_error) in answer.err
    assert "Traceback" not in answer.err
    assert "in broken" in run.harness_error.read_text()
    assert run.read_run().end == RunEnd(time_ns=42, reason="error", error="ZeroDivisionError: division by zero")


def test_debug_shows_the_traceback_at_once(world: World) -> None:
    world.changes["catalogue"] = broken
    assert "Traceback" not in world.run().err
    assert "in broken" in world.run("--debug").err


def test_a_judge_that_writes_no_verdict_is_a_failure_whatever_it_returns(world: World) -> None:
    """Architecture §4: 1 only after verdict.json says invalid."""

    def forgetful(path: Path) -> Verdict:
        return compose([a_check(Validity.INVALID)])

    world.changes["judge"] = forgetful
    answer = world.run()
    assert answer.code == 70
    assert "verdict.json" in answer.err


def test_a_report_that_fails_does_not_hide_what_was_found(world: World) -> None:
    world.changes["write_report"] = broken
    answer = world.run()
    assert answer.code == 70
    assert "INVALID" in answer.out
    assert world.only_run().read_run().end == RunEnd(
        time_ns=2 * 10**9, reason="completed", events=10, trace_hash="abc"
    ), "the run itself was completed"


@pytest.mark.parametrize(
    ("error", "code"), [(UsageProblem("no such option"), 64), (EnvironmentUnavailable("no engine"), 69)]
)
def test_a_trial_that_cannot_be_planned_starts_nothing(world: World, error: Exception, code: int) -> None:
    def refuse(spec: TrialSpec) -> Trial:
        raise error

    world.changes["plan_trial"] = refuse
    answer = world.run()
    assert answer.code == code
    assert str(error) in answer.err
    assert not world.store.exists()


def test_a_full_disk_is_named_and_what_was_recorded_can_be_judged(world: World) -> None:
    def filling(trial: Trial, directory: RunDirectory, on_progress: OnProgress) -> None:
        record_start(trial, directory)
        raise OSError(28, "No space left on device", str(directory.history))

    world.changes["execute"] = filling
    answer = world.run()
    run = world.only_run()
    assert answer.code == 70
    assert f"cannot write {run.history}: No space left on device" in answer.err
    assert len(run.read_history().records) == 1
    assert world.call("check", str(run.path)).code == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_marks_the_run_as_interrupted(world: World, number: signal.Signals, code: int) -> None:
    """Architecture §4. What was recorded until then can be judged."""
    assert threading.current_thread() is threading.main_thread(), "signals arrive there; this test would kill pytest"

    def interrupted(trial: Trial, directory: RunDirectory, on_progress: OnProgress) -> None:
        record_start(trial, directory)
        on_progress(Progress(now_ns=42, phase="load", ok=0, fail=0, info=0, faults=()))
        signal.raise_signal(number)

    handler = signal.getsignal(number)
    world.changes["execute"] = interrupted
    answer = world.run()
    run = world.only_run()
    assert answer.code == code
    assert run.read_run().end == RunEnd(time_ns=42, reason="interrupted")
    assert f"histrio check {run.path}" in answer.err
    assert signal.getsignal(number) is handler, "the caller's handling of the signal is put back"


def test_an_interruption_before_the_run_began_leaves_nothing(world: World) -> None:
    def interrupted(spec: TrialSpec) -> Trial:
        raise KeyboardInterrupt

    world.changes["plan_trial"] = interrupted
    assert world.run().code == 130
    assert not world.store.exists()


def test_an_answer_that_nobody_reads_is_no_verdict(world: World) -> None:
    """click's own way is to exit with 1 when stdout is closed, which here would be a violation."""

    def unread(*_: object) -> NoReturn:
        raise BrokenPipeError(32, "Broken pipe")

    world.changes["write_report"] = unread
    answer = world.run("--json")
    assert answer.code == 70
    assert "stdout was closed" in answer.err
    assert str(world.only_run().path) in answer.err


def test_what_was_recorded_lies_on_disk_before_it_is_judged(world: World) -> None:
    """Architecture §2."""
    order: list[str] = []

    def executing(trial: Trial, directory: RunDirectory, on_progress: OnProgress) -> None:
        execute(trial, directory, on_progress)
        order.append("execute")

    def judging(path: Path) -> Verdict:
        directory = RunDirectory.load(path)
        assert directory.has_end_mark
        order.append("judge")
        verdict = compose([a_check(Validity.VALID)])
        directory.write_verdict(verdict)
        return verdict

    def reporting(path: Path) -> Path:
        assert RunDirectory.load(path).read_verdict() is not None
        order.append("report")
        return path / "report.html"

    world.changes |= {"execute": executing, "judge": judging, "write_report": reporting}
    assert world.run().code == 0
    assert order == ["execute", "judge", "report"]


def test_a_call_from_another_thread_leaves_signals_alone(world: World) -> None:
    """Python lets only the main thread handle signals; a caller that embeds histrio may be on any."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(world.run()))
    thread.start()
    thread.join()
    assert [answer.code for answer in answers] == [1]


def test_an_answer_that_cannot_be_printed_is_a_harness_error(world: World) -> None:
    """A full disk behind stdout: the verdict was not said, so its code must not be given either."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    terminal = Terminal(Full(), io.StringIO(), {}, world.folder)
    code = call_command(["run", "--store", str(world.store)], world.services(), terminal)
    assert code == 70
