"""Carries a planned trial out: into a run directory (`execute`), or to records that nobody keeps (`carry_out`).

In a run directory the order is the promise: what is decided is on disk before anything starts, every record as it
happens, and the end mark last. A harness that dies leaves a directory that `check` and `report` accept.
"""

from __future__ import annotations

import platform
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from checker.records import FaultPlanned, RunEnd, RunRecord
from histrio.config import command_line
from histrio.engine import Engine
from histrio.environments.environment import Environment, Progress
from histrio.judge import BLACK_BOX, CHECKS
from histrio.planning import workload_options
from histrio.recorder import Recorder
from histrio.registries import ENVIRONMENTS, SYSTEMS
from histrio.store import RunDirectory
from histrio.trial import Trial, spec_to_json
from histrio.version import VERSION
from nemesis.injector import Injector
from nemesis.plan import Plan
from nemesis.registry import kind_named
from workloads.registry import workload_named

__all__ = ["CarriedOut", "carry_out", "execute", "run_record"]


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """A run that came to its end."""

    record: RunRecord
    """run.json, with phases, exits and end."""
    plan: Plan
    """With the nodes that each fault hit: a reader's help, ignored on replay."""
    signal: int | None
    """What broke it off."""


def execute(
    trial: Trial,
    directory: RunDirectory,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    environment: Environment | None = None,
) -> None:
    """Run `trial`. `environment`: another one than the trial names, for tests of the harness itself.

    Raises what the harness itself does wrong, after recording it as the run's end. A signal that broke off a run in a
    real world is raised again when the run is recorded.
    """
    record = run_record(trial, name=directory.path.parent.name, started_at=directory.started_at.isoformat())
    directory.write_run(record)
    directory.write_plan(trial.plan)
    world = environment or ENVIRONMENTS[trial.spec.environment]
    recorder = Recorder.in_directory(directory.path, clock=world.clock)
    try:
        carried = carry_out(trial, record, recorder, directory.path, on_progress, world)
    except Exception as error:
        directory.mark_end(RunEnd(time_ns=0, reason="error", error=f"{type(error).__name__}: {error}"))
        raise
    finally:
        recorder.close()
    directory.write_plan(carried.plan)
    directory.write_run(carried.record)
    if carried.signal is not None:
        signal.raise_signal(carried.signal)


def carry_out(
    trial: Trial,
    record: RunRecord,
    recorder: Recorder,
    folder: Path,
    on_progress: Callable[[Progress], None] | None = None,
    environment: Environment | None = None,
) -> CarriedOut:
    """Run `trial` and record it. folder: where nodes of a real world leave their things; the simulator has none.

    Raises what the harness itself does wrong.
    """
    injector = Injector(trial.plan, trial.plan.seed)
    engine = Engine(trial, workload_named(trial.plan.workload), workload_options(trial.spec), injector)
    world = environment or ENVIRONMENTS[trial.spec.environment]
    for planned in _planned(trial):
        recorder.fault(planned)
    conducted = world.conduct(trial, SYSTEMS[trial.spec.system], engine, recorder, folder, on_progress)
    done = msgspec.structs.replace(
        record, phases=conducted.phases, exits=conducted.exits, clocks=conducted.clocks, end=conducted.end
    )
    return CarriedOut(done, _resolved(trial.plan, injector), conducted.signal)


def _resolved(plan: Plan, injector: Injector) -> Plan:
    hit = {outcome.id: outcome.resolved for outcome in injector.outcomes()}
    faults = tuple(msgspec.structs.replace(fault, resolved=hit[fault.id] or None) for fault in plan.faults)
    return msgspec.structs.replace(plan, faults=faults)


def _planned(trial: Trial) -> list[FaultPlanned]:
    lines = []
    for fault in trial.plan.faults:
        lines.append(
            FaultPlanned(
                id=fault.id,
                time_ns=0,
                kind=fault.kind,
                family=kind_named(fault.kind).family,
                at=msgspec.to_builtins(fault.at),
                for_ns=fault.for_ns,
                target=fault.target,
                params=fault.params,
                evidence=kind_named(fault.kind).evidence,
            )
        )
    return lines


def run_record(trial: Trial, *, name: str, started_at: str) -> RunRecord:
    """run.json as it is before the start."""
    spec = trial.spec
    return RunRecord(
        name=name,
        histrio_version=VERSION,
        python_version=platform.python_version(),
        started_at=started_at,
        seed=spec.seed,
        environment=spec.environment,
        system=spec.system,
        system_options=dict(spec.system_options),
        bug=spec.bug,
        nodes=trial.nodes,
        workload=trial.plan.workload,
        nemesis=trial.nemesis,
        skipped=trial.skipped,
        time_limit_ns=round(spec.time_limit_s * 1_000_000_000),
        rate_hz=spec.rate_hz,
        concurrency=spec.concurrency,
        checks=tuple(CHECKS) if spec.white_box and SYSTEMS[spec.system].traced else BLACK_BOX,
        command=command_line(spec),
        spec=spec_to_json(spec),
    )
