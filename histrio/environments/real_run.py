"""One real run from outside: trio started and stopped, signals obeyed in good order, the first failure told as it is.

Here belongs what surrounds a `RealWorld`; what happens in it does not.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import trio

from histrio.engine import Engine
from histrio.environments.cluster import OpenCluster, RealMechanismFactory
from histrio.environments.environment import Conducted, Progress
from histrio.environments.real_world import RealWorld
from histrio.errors import UsageProblem
from histrio.recorder import Recorder
from histrio.systems.system import System
from histrio.trial import Trial

__all__ = ["conduct"]

_BREAKING = (signal.SIGINT, signal.SIGTERM)


def conduct(
    trial: Trial,
    system: System,
    engine: Engine,
    recorder: Recorder,
    directory: Path,
    on_progress: Callable[[Progress], None] | None,
    open_cluster: OpenCluster,
    factories: Mapping[str, RealMechanismFactory],
) -> Conducted:
    """`Environment.conduct` for real worlds. SIGINT and SIGTERM heal and clean up first; see `Conducted.signal`."""
    spec = trial.spec
    deployed = system.deployed(
        seed=spec.seed,
        nodes=trial.nodes,
        options=spec.system_options,
        bug=spec.bug,
        workload=trial.plan.workload,
    )
    if deployed is None:
        raise UsageProblem(
            f"{system.name} has no processes to run in {spec.environment}",
            why="its adapter knows the simulator only",
            fix="use --env sim",
        )

    async def main() -> Conducted:
        world = RealWorld(trial, deployed, engine, recorder, factories, on_progress)
        caught = await _until_signal(lambda: world.run(open_cluster, directory / "nodes"))
        return world.conducted(caught)

    try:
        return trio.run(main, strict_exception_groups=True)
    except BaseExceptionGroup as group:
        raise _first(group) from group


async def _until_signal(run: Callable[[], Awaitable[None]]) -> int | None:
    """Runs to the end, or to the first SIGINT or SIGTERM and then through its cleaning up; which signal, if any.

    Without this a signal would raise wherever the loop of tasks is, and nothing could be cleaned up any more. Only the
    main thread gets signals; one that is ignored, as in a shell's background job, stays so.
    """
    numbers = [number for number in _BREAKING if signal.getsignal(number) is not signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread() or not numbers:
        await run()
        return None
    caught: list[int] = []

    async def listen(scope: trio.CancelScope) -> None:
        async for number in signals:
            caught.append(number)
            scope.cancel()

    with trio.open_signal_receiver(*numbers) as signals:
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                nursery.start_soon(listen, scope)
                await run()
            nursery.cancel_scope.cancel()
    return caught[0] if caught else None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first; the rest is in the group, which is its cause."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
