"""`histrio run`, `demo` and `replay`: plan, execute, judge, report, and the exit code.

The order is the promise: what was recorded is on disk before it is judged, the verdict is on disk before the report is
drawn, and the exit code comes from the verdict on disk (docs/command-line.md).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import msgspec

from checker.records import RunRecord, Validity, Verdict
from checker.verdict import exit_code
from histrio.catalogue import check_names
from histrio.cli_call import Call
from histrio.cli_print import VerdictAnswer, json_text, verdict_text
from histrio.config import Request, command_line
from histrio.environments.environment import Progress
from histrio.errors import EX_HARNESS, HarnessFailure
from histrio.progress import ProgressPrinter
from histrio.settings import Expectation
from histrio.store import RunDirectory, disk_errors
from histrio.trial import Trial, TrialSpec, spec_from_json

__all__ = ["check_run", "expected_exit_code", "record_and_report", "replay", "report", "run", "run_name"]


def run(call: Call, request: Request, *, as_json: bool, dry_run: bool) -> int:
    """Carry out one trial and say what it showed. Gives the exit code."""
    spec = request.spec
    check_names(spec, call.services.catalogue())
    call.stage = "planning the trial"
    trial = call.services.plan_trial(spec)
    if dry_run:
        call.answer(json_text(trial))
        return 0
    directory = _execute(call, trial)
    show = _show_json if as_json else _show
    return show(call, directory, _judge(call, directory), expect=request.expect, report=True)


def check_run(call: Call, path: Path, *, as_json: bool) -> int:
    """Judge a recorded run again. Gives the exit code of the new verdict."""
    directory = _load(call, path)
    show = _show_json if as_json else _show
    return show(call, directory, _judge(call, directory), expect=None, report=False)


def report(call: Call, path: Path) -> int:
    """Draw the report of a recorded run, judged first if it was not yet; print where it is."""
    directory = _load(call, path)
    if directory.read_verdict() is None:
        call.say("not judged yet: judging first")
        _judge(call, directory)
    call.answer(str(_write_report(call, directory)))
    return 0


def replay(call: Call, path: Path, *, store: Path | None) -> int:
    """Run a recorded trial again and compare, event by event, by trace hash.

    Gives the exit code of the recorded run's verdict if the two are the same run, else 70. store: where the replay's
    own directory goes; None: beside the recorded one, in the same store.
    """
    recorded = RunDirectory.load(path)
    verdict = recorded.read_verdict() or _judge(call, recorded)
    call.stage = "replaying the run"
    with disk_errors(recorded.path):
        replayed = call.services.replay(recorded.path, store or recorded.path.parent.parent)
    call.answer(f"recorded  {replayed.trace_hash_recorded or 'no trace hash: the run was cut off'}")
    call.answer(f"replayed  {replayed.trace_hash_now or 'no trace hash'}  {replayed.directory}")
    if not replayed.equal:
        call.answer(call.paint_out("DIFFERENT", "magenta") + ": this is not the recorded run")
        return EX_HARNESS
    call.answer(f"identical: the verdict stands: {verdict.validity}  {verdict.signature or 'nothing found'}")
    return expected_exit_code(verdict, None)


def record_and_report(call: Call, spec: TrialSpec) -> Path:
    """Carry out one trial of a campaign with everything recorded, judge it and draw its report. Gives the report."""
    call.stage = "planning the trial"
    directory = _execute(call, call.services.plan_trial(spec))
    _judge(call, directory)
    return _write_report(call, directory)


def run_name(spec: TrialSpec) -> str:
    """The run's folder in the store: what the user called it, else system, workload and bug."""
    parts = [spec.system, spec.workload] + ([spec.bug] if spec.bug else [])
    return spec.name or "-".join(parts)


def again_command(directory: RunDirectory, record: RunRecord) -> str:
    """The line to copy: a replay of the run in the simulator; elsewhere the same faults once more, a re-enactment."""
    if record.environment == "sim":
        return f"histrio replay {shlex.quote(str(directory.path))}"
    try:
        spec = spec_from_json(record.spec)
    except msgspec.ValidationError:
        return f"histrio run --env {record.environment} --plan {shlex.quote(str(directory.plan_json))}"
    return command_line(msgspec.structs.replace(spec, plan=directory.plan_json, store=TrialSpec().store))


def run_command(record: RunRecord) -> str | None:
    """The line that plans and runs the same trial where the run directory is gone, as after a CI job.

    None for a run of another version, whose options this one cannot read.
    """
    try:
        spec = spec_from_json(record.spec)
    except msgspec.ValidationError:
        return None
    return command_line(msgspec.structs.replace(spec, store=TrialSpec().store))


def expected_exit_code(verdict: Verdict, expect: Expectation | None) -> int:
    """The exit code: the verdict's own, or, with an expectation, 0 if it was met.

    An expected violation that is not found is 1, whatever else the verdict says, except for a harness error: that is
    always 70. Any other expectation that is not met leaves the verdict's own code, and 1 where that would be 0.
    """
    own = exit_code(verdict.validity)
    if expect is None or verdict.validity is Validity.HARNESS_ERROR:
        return own
    if _is_met(verdict, expect):
        return 0
    return 1 if expect.validity is Validity.INVALID else own or 1


def _is_met(verdict: Verdict, expect: Expectation) -> bool:
    signature = verdict.signature or ""
    return verdict.validity is expect.validity and signature.startswith(expect.signature or "")


def _execute(call: Call, trial: Trial) -> RunDirectory:
    spec = trial.spec
    directory = RunDirectory.create(spec.store, run_name(spec), started_at=call.services.now(), seed=spec.seed)
    call.directory, call.stage = directory, "running the trial"
    call.say(f"seed {spec.seed}  {_summary(spec)}")
    call.say(f"run  {directory.path}")
    for kind, reason in trial.skipped.items():
        call.say(f"skipped: {kind}: {reason}")
    printer = ProgressPrinter(call.terminal.err, live=call.terminal.is_live, now=call.services.now)
    try:
        with disk_errors(directory.path):
            call.services.execute(trial, directory, _following(call, printer))
    finally:
        printer.close()
    return directory


def _summary(spec: TrialSpec) -> str:
    build = f"{spec.system} with the planted bug {spec.bug}" if spec.bug else spec.system
    faults = f"plan {spec.plan}" if spec.plan else f"nemesis {','.join(spec.nemesis)}"
    where = f"{spec.nodes} nodes in {spec.environment}"
    return f"{build}, {where}, workload {spec.workload}, {faults}, {spec.time_limit_s:g} s"


def _following(call: Call, printer: ProgressPrinter) -> Callable[[Progress], None]:
    def follow(progress: Progress) -> None:
        call.time_ns = progress.now_ns
        printer(progress)

    return follow


def _judge(call: Call, directory: RunDirectory) -> Verdict:
    """Judge, and give the verdict as it is on disk: nothing else may decide the exit code."""
    call.stage = "judging the run"
    call.services.judge(directory.path)
    verdict = directory.read_verdict()
    if verdict is None:
        raise HarnessFailure(f"{directory.verdict_json} was not written", why="a verdict counts only when recorded")
    return verdict


def _load(call: Call, path: Path) -> RunDirectory:
    """Open a run directory; say on stderr what a run that was cut off lacks."""
    directory = RunDirectory.load(path)
    if not directory.is_whole:
        call.say(f"warning: {directory.path}: this run was cut off")
        for lines in (directory.read_history(), directory.read_faults(), directory.read_trace()):
            for warning in lines.warnings:
                call.say(f"warning: {warning}")
    return directory


def _write_report(call: Call, directory: RunDirectory) -> Path:
    call.stage = "writing the report"
    with disk_errors(directory.path):
        return call.services.write_report(directory.path)


def _show(call: Call, directory: RunDirectory, verdict: Verdict, *, expect: Expectation | None, report: bool) -> int:
    """Print the verdict, and only then draw the report: whatever breaks there, the verdict has been said."""
    record, code = directory.read_run(), expected_exit_code(verdict, expect)
    call.answer(verdict_text(verdict, seed=record.seed, paint=call.paint_out) + "\n")
    if expect is not None:
        met = call.paint_out("as expected", "green") if code == 0 else call.paint_out("not as expected", "red")
        call.answer(f"{met}: {expect}")
    if report:
        call.answer(f"report  {_write_report(call, directory)}")
    call.answer(f"again   {again_command(directory, record)}")
    if anew := run_command(record):
        call.answer(f"anew    {anew}")
    call.answer(f"seed    {record.seed}")
    return code


def _show_json(
    call: Call, directory: RunDirectory, verdict: Verdict, *, expect: Expectation | None, report: bool
) -> int:
    """As `_show`, in one JSON document."""
    record = directory.read_run()
    answer = VerdictAnswer(
        validity=verdict.validity,
        signature=verdict.signature,
        exit_code=expected_exit_code(verdict, expect),
        seed=record.seed,
        directory=str(directory.path),
        report=str(_write_report(call, directory)) if report else None,
        replay=again_command(directory, record),
        run=run_command(record),
        expected=None if expect is None else str(expect),
        checks=verdict.checks,
    )
    call.answer(json_text(answer))
    return answer.exit_code
