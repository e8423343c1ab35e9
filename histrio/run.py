"""Carries a planned trial out into a run directory: run.json, plan.json, the records, and the end mark.

The order is the promise: what is decided is on disk before anything starts, every record as it happens, and the end
mark last. A harness that dies leaves a directory that `check` and `report` accept.
"""

from __future__ import annotations

import platform
from collections.abc import Callable

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
from histrio.systems.system import SimulatedSystem
from histrio.trial import Trial, spec_to_json
from histrio.version import VERSION
from nemesis.injector import Injector
from nemesis.plan import Plan
from nemesis.registry import kind_named
from workloads.registry import workload_named

__all__ = ["execute"]


def execute(
    trial: Trial,
    directory: RunDirectory,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    environment: Environment | None = None,
) -> None:
    """Run `trial`. `environment`: another one than the trial names, for tests of the harness itself.

    Raises what the harness itself does wrong, after recording it as the run's end.
    """
    record = _run_record(trial, directory)
    directory.write_run(record)
    directory.write_plan(trial.plan)
    system = _prepare(trial)
    injector = Injector(trial.plan, trial.plan.seed)
    engine = Engine(trial, workload_named(trial.plan.workload), workload_options(trial.spec), injector)
    world = environment or ENVIRONMENTS[trial.spec.environment]
    recorder = Recorder(directory.path)
    try:
        for planned in _planned(trial):
            recorder.fault(planned)
        conducted = world.conduct(trial, system, engine, recorder, on_progress)
    except Exception as error:
        directory.mark_end(RunEnd(time_ns=0, reason="error", error=f"{type(error).__name__}: {error}"))
        raise
    finally:
        recorder.close()
    directory.write_plan(_resolved(trial.plan, injector))
    directory.write_run(
        msgspec.structs.replace(record, phases=conducted.phases, exits=conducted.exits, end=conducted.end)
    )


def _resolved(plan: Plan, injector: Injector) -> Plan:
    """The plan with the nodes that each fault hit: a reader's help, ignored on replay."""
    hit = {outcome.id: outcome.resolved for outcome in injector.outcomes()}
    faults = tuple(msgspec.structs.replace(fault, resolved=hit[fault.id] or None) for fault in plan.faults)
    return msgspec.structs.replace(plan, faults=faults)


def _prepare(trial: Trial) -> SimulatedSystem:
    spec = trial.spec
    return SYSTEMS[spec.system].simulated(seed=spec.seed, nodes=trial.nodes, options=spec.system_options, bug=spec.bug)


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


def _run_record(trial: Trial, directory: RunDirectory) -> RunRecord:
    spec = trial.spec
    return RunRecord(
        name=directory.path.parent.name,
        histrio_version=VERSION,
        python_version=platform.python_version(),
        started_at=directory.started_at.isoformat(),
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
        checks=tuple(CHECKS) if spec.white_box else BLACK_BOX,
        command=command_line(spec),
        spec=spec_to_json(spec),
    )
