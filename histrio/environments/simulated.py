"""The environment `sim`: the whole cluster, its clients and its faults in one deterministic simulation.

Same trial, same bytes: everything happens in the event heap of `histrio.simulation`, and nothing here draws a number,
reads a clock or depends on the order of a set. Who stands for whom in the heap is `simulated_world`'s affair, what a
fault does `simulated_faults`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from histrio.engine import Engine
from histrio.environments.environment import Conducted, Progress
from histrio.environments.simulated_faults import ABSENT, MECHANISMS, MechanismFactory
from histrio.environments.simulated_world import SimulatedWorld
from histrio.errors import UsageProblem
from histrio.recorder import Recorder
from histrio.simulation.buggify import Buggify
from histrio.simulation.conditions import profile_under
from histrio.simulation.errors import EventBudgetSpent
from histrio.simulation.profile import DEFAULT_PROFILE, Profile
from histrio.systems.system import System
from histrio.trial import Trial

__all__ = ["SIMULATED", "SimulatedEnvironment"]

SLICE_NS = 200_000_000  # between two glances at the progress


@dataclass(frozen=True, slots=True)
class SimulatedEnvironment:
    """Implements `Environment`. Other mechanisms than the real ones make sabotaged worlds, for tests of the harness."""

    profile: Profile = DEFAULT_PROFILE
    factories: Mapping[str, MechanismFactory] = field(default_factory=lambda: MECHANISMS)

    @property
    def name(self) -> str:
        """As on the command line."""
        return "sim"

    @property
    def clock(self) -> Literal["virtual"]:
        """Time passes only in the simulation."""
        return "virtual"

    @property
    def obstacle(self) -> None:
        """It needs nothing but this process."""
        return None

    @property
    def mechanisms(self) -> Mapping[str, str | None]:
        """What the simulator can do, it can do everywhere; what it lacks, it lacks for a reason."""
        return {**ABSENT, **dict.fromkeys(self.factories)}

    def conduct(
        self,
        trial: Trial,
        system: System,
        engine: Engine,
        recorder: Recorder,
        directory: Path,
        on_progress: Callable[[Progress], None] | None,
    ) -> Conducted:
        """Run the trial to its end, or to the end of its event budget."""
        spec = trial.spec
        conditions = trial.plan.world
        prepared = system.simulated(
            seed=spec.seed,
            nodes=trial.nodes,
            options=spec.system_options,
            bug=spec.bug,
            workload=trial.plan.workload,
            buggify=Buggify(spec.seed) if conditions.get("buggify") == "on" else None,
        )
        if prepared is None:
            raise UsageProblem(
                f"{system.name} has no nodes to simulate",
                why="its adapter knows real worlds only",
                fix=f"use --env {' or '.join(system.environments)}",
            )
        profile = profile_under(self.profile, conditions)
        world = SimulatedWorld(trial, prepared, engine, recorder, profile, self.factories)
        try:
            while not world.finished:
                world.simulation.run_until(world.simulation.now_ns + SLICE_NS)
                if on_progress is not None:
                    on_progress(world.progress())
        except EventBudgetSpent:
            return world.conducted("event-budget")
        return world.conducted("completed")


SIMULATED = SimulatedEnvironment()
