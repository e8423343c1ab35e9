"""From what was asked for to a trial in which every decision has been made. Draws; starts nothing.

Here belongs what can be refused before anything runs: names, options, and faults that the environment cannot inject.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from histrio.config import saved_plan
from histrio.environments.orders import ORDERS
from histrio.environments.simulated import SIMULATED
from histrio.errors import UsageProblem
from histrio.registries import ENVIRONMENTS, SYSTEMS
from histrio.simulation.conditions import check_conditions, draw_conditions
from histrio.simulation.errors import BadProfile
from histrio.systems.system import System
from histrio.trial import Trial, TrialSpec
from nemesis.errors import NemesisError, Unavailable
from nemesis.plan import Plan
from nemesis.registry import kind_named
from nemesis.schedule import draw_plan
from workloads.errors import InvalidOptions, UnknownWorkload
from workloads.registry import workload_named
from workloads.workload import WorkloadOptions

__all__ = ["plan_trial", "workload_options"]

SECOND_NS = 1_000_000_000


def plan_trial(spec: TrialSpec) -> Trial:
    """Decide everything about a trial.

    Raises UsageProblem for what cannot be meant, EnvironmentUnavailable for what cannot be had here.
    """
    system = _system(spec)
    if spec.environment not in ENVIRONMENTS:
        known = ", ".join(ENVIRONMENTS)
        raise UsageProblem(f"there is no environment {spec.environment!r}", fix=f"known are {known}")
    _check_place(spec, system)
    plan, skipped = _plan(spec, _mechanisms(spec, system))
    spec = _with_options(spec, system, plan)
    plan = _in_its_world(spec, plan)
    if plan.nodes != _nodes(spec.nodes):
        spec = msgspec.structs.replace(spec, nodes=len(plan.nodes))
    try:
        workload_options(spec)
        workload = workload_named(plan.workload)
    except (InvalidOptions, UnknownWorkload) as error:
        raise UsageProblem(str(error), why="the workload cannot be run so") from error
    if workload.name not in system.workloads:
        raise UsageProblem(
            f"clients of {system.name} do not speak the workload {workload.name}",
            why="a system's adapter says which workloads it supports",
            fix=f"use one of {', '.join(system.workloads)}",
        )
    return Trial(spec=spec, nodes=plan.nodes, plan=plan, nemesis=_asked(spec, plan), skipped=skipped)


def workload_options(spec: TrialSpec) -> WorkloadOptions:
    """What the workload is told of the trial. Raises InvalidOptions."""
    return WorkloadOptions(
        threads=spec.concurrency,
        nodes=_nodes(spec.nodes),
        rate_hz=spec.rate_hz,
        time_limit_ns=round(spec.time_limit_s * SECOND_NS),
        seed=spec.seed,
    )


def _nodes(count: int) -> tuple[str, ...]:
    return tuple(f"n{number}" for number in range(1, count + 1))


def _system(spec: TrialSpec) -> System:
    system = SYSTEMS.get(spec.system)
    if system is None:
        raise UsageProblem(f"there is no system {spec.system!r}", fix=f"known are {', '.join(SYSTEMS)}")
    if spec.bug is not None and spec.bug not in system.bugs:
        raise UsageProblem(f"{system.name} has no planted bug {spec.bug!r}", fix="all of them: histrio list")
    system.check_options(spec.system_options)
    return system


def _check_place(spec: TrialSpec, system: System) -> None:
    """Raises UsageProblem for a system in a world that it does not exist in, EnvironmentUnavailable for what is missing
    on this machine."""
    if spec.environment not in system.environments:
        raise UsageProblem(
            f"{system.name} cannot run in --env {spec.environment}",
            why="its adapter does not know how to start it there",
            fix=f"use --env {' or '.join(system.environments)}",
        )
    for obstacle in (ENVIRONMENTS[spec.environment].obstacle, system.obstacle):
        if obstacle is not None:
            raise obstacle


def _mechanisms(spec: TrialSpec, system: System) -> dict[str, str | None]:
    """Mechanism -> None where it can hurt this system in this world, else the reason why not."""
    offered = ENVIRONMENTS[spec.environment].mechanisms
    deaf = f"the harness cannot give {system.name} such an order"
    beyond = {name: deaf for name, order in ORDERS.items() if order not in system.orders} | dict(system.beyond_reach)
    if not system.preloadable and spec.environment != SIMULATED.name:
        from histrio.environments.mechanisms.registry import beyond_unloading  # real worlds are heavy to import

        beyond = beyond_unloading() | beyond
    return {name: lack or beyond.get(name) for name, lack in offered.items()}


def _with_options(spec: TrialSpec, system: System, plan: Plan) -> TrialSpec:
    """The options that the plan's orders need, where the user gave none."""
    mechanisms = {kind_named(fault.kind).mechanism for fault in plan.faults}
    needed = system.options_for([order for name, order in ORDERS.items() if name in mechanisms])
    return msgspec.structs.replace(spec, system_options={**needed, **spec.system_options})


def _plan(spec: TrialSpec, mechanisms: Mapping[str, str | None]) -> tuple[Plan, dict[str, str]]:
    if spec.plan is not None:
        plan = saved_plan(spec.plan)
        _check_offered(plan, mechanisms)
        return plan, {}
    try:
        drawn = draw_plan(
            seed=spec.seed,
            nodes=_nodes(spec.nodes),
            workload=spec.workload,
            asked=spec.nemesis,
            duration_ns=round(spec.time_limit_s * SECOND_NS),
            mechanisms=mechanisms,
        )
    except Unavailable as error:
        raise UsageProblem(
            f"{error.kind} cannot be injected: {error.reason}", why=_WHY_REFUSED, fix=error.fix
        ) from None
    except NemesisError as error:
        raise UsageProblem(str(error), fix="all of them: histrio list") from None
    return drawn.plan, drawn.skipped


def _in_its_world(spec: TrialSpec, plan: Plan) -> Plan:
    """The simulator's world is drawn with the faults, and saved with them. Raises UsageProblem for a saved one."""
    if spec.plan is None:
        kinds = tuple([fault.kind for fault in plan.faults])
        world = draw_conditions(spec.seed, kinds) if spec.environment == SIMULATED.name else {}
        return msgspec.structs.replace(plan, world=world)
    try:
        check_conditions(plan.world)
    except BadProfile as error:
        raise UsageProblem(f"{spec.plan}: {error}", why="the world is part of the plan") from None
    return plan


def _check_offered(plan: Plan, mechanisms: Mapping[str, str | None]) -> None:
    """Raises UsageProblem for a fault of a saved plan that the environment cannot inject."""
    for fault in plan.faults:
        mechanism = kind_named(fault.kind).mechanism
        lack = mechanisms.get(mechanism, f"this environment has no mechanism {mechanism}")
        if lack is not None:
            raise UsageProblem(
                f"fault {fault.id} of the plan, {fault.kind}, cannot be injected: {lack}",
                why=_WHY_REFUSED,
                fix="choose another environment, or take the fault out of the plan",
            )


_WHY_REFUSED = "a fault that was asked for by name and quietly left out would make the verdict a lie"


def _asked(spec: TrialSpec, plan: Plan) -> tuple[str, ...]:
    """The families and kinds that must take effect: what was named, else the families the plan has."""
    if spec.plan is None and "all" not in spec.nemesis:
        return tuple(name for name in spec.nemesis if name != "none")
    return tuple(dict.fromkeys(kind_named(fault.kind).family for fault in plan.faults))
