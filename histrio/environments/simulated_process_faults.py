"""Mechanisms of the simulator that act on processes: they end, are asked to end, lose power, stand still."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from histrio.environments.simulated_mechanism import Counts, MechanismFactory, Spoke, reported_again
from histrio.simulation.kernel import KillReport, Simulation
from nemesis.injector import Apply, Probe, Undo
from nemesis.settings import PowerCut

__all__ = ["PROCESS_MECHANISMS", "CutPower", "EndProcesses", "PauseProcesses", "told"]


class EndProcesses:
    """`process.kill` and `process.terminate`: ends nodes; undoing starts those nothing else holds down."""

    def __init__(self, simulation: Simulation, spoke: Spoke, *, call: str, end: Callable[[str], KillReport]) -> None:
        self._simulation, self._spoke, self._call, self._end = simulation, spoke, call, end
        self._counts: dict[str, Counts] = {}

    def apply(self, action: Apply) -> str:
        self._counts[action.fault.id] = told([self._end(node) for node in action.nodes])
        return f"{self._call} {' '.join(action.nodes)}"

    def undo(self, action: Undo) -> Counts:
        for node in action.nodes:
            self._simulation.start(node)
        return self._counts.pop(action.fault_id)

    def healed(self, probe: Probe, since_ns: int) -> str | None:
        return _returned(self._simulation, self._spoke, probe, since_ns)


class CutPower:
    """`process.power-loss` and `disk.tear`: ends nodes and leaves what a machine finds after losing power.

    With `writing`, in the middle of the node's next write; half of the fault's time is waited for one.
    """

    def __init__(self, simulation: Simulation, spoke: Spoke, *, call: str, cut: Callable[[str], KillReport]) -> None:
        self._simulation, self._spoke, self._call, self._cut = simulation, spoke, call, cut
        self._reports: dict[str, list[KillReport]] = {}
        self._cancels: dict[str, list[Callable[[], None]]] = {}

    def apply(self, action: Apply) -> str:
        fault_id = action.fault.id
        self._reports[fault_id], self._cancels[fault_id] = [], []
        now = isinstance(action.setting, PowerCut) and action.setting.moment == "now"
        for node in action.nodes:
            if now or not self._simulation.is_up(node):
                self._reports[fault_id].append(self._cut(node))
            else:
                self._wait_for_a_write(fault_id, node, action.fault.for_ns // 2)
        return f"{self._call} {' '.join(action.nodes)}" + ("" if now else ", in a write")

    def _wait_for_a_write(self, fault_id: str, node: str, patience_ns: int) -> None:
        simulation, cancels = self._simulation, self._cancels[fault_id]
        over: list[None] = []

        def cut() -> None:
            if not over:
                over.append(None)
                self._reports[fault_id].append(self._cut(node))

        def writing(duration_ns: int) -> None:
            cancels.append(simulation.call_at(simulation.now_ns + duration_ns // 2, cut).cancel)

        cancels.append(simulation.disk_rules(node).call_at_write(writing))
        cancels.append(simulation.call_at(simulation.now_ns + patience_ns, cut).cancel)

    def undo(self, action: Undo) -> Counts:
        for cancel in self._cancels.pop(action.fault_id):
            cancel()
        for node in action.nodes:
            self._simulation.start(node)
        return told(self._reports.pop(action.fault_id))

    def healed(self, probe: Probe, since_ns: int) -> str | None:
        return _returned(self._simulation, self._spoke, probe, since_ns)


def told(reports: Sequence[KillReport]) -> Counts:
    """What kills destroyed, added up."""
    counts: Counts = {}
    for report in reports:
        for name in report.__struct_fields__:
            if name != "incarnation":
                counts[name] = counts.get(name, 0) + getattr(report, name)
    return counts


def _returned(simulation: Simulation, spoke: Spoke, probe: Probe, since_ns: int) -> str | None:
    if not all(spoke(node) > since_ns for node in probe.nodes):
        return None
    return ", ".join(f"{node} reported as incarnation {simulation.incarnation(node)}" for node in probe.nodes)


class PauseProcesses:
    """`process.pause`: stops nodes as SIGSTOP does; the kernel still takes what is sent to them."""

    def __init__(self, simulation: Simulation, spoke: Spoke) -> None:
        self._simulation, self._spoke = simulation, spoke

    def apply(self, action: Apply) -> str:
        for node in action.nodes:
            self._simulation.pause(node)
        return "SIGSTOP " + " ".join(action.nodes)

    def undo(self, action: Undo) -> Counts:
        reports = [self._simulation.resume(node) for node in action.nodes]
        return {
            "inputs_held": sum(report.inputs_held for report in reports),
            "timers_shifted": sum(report.timers_shifted for report in reports),
        }

    def healed(self, probe: Probe, since_ns: int) -> str | None:
        return reported_again(self._spoke, probe, since_ns)


def _kill(simulation: Simulation, spoke: Spoke) -> EndProcesses:
    return EndProcesses(simulation, spoke, call="SIGKILL", end=partial(simulation.kill, power_loss=False))


def _terminate(simulation: Simulation, spoke: Spoke) -> EndProcesses:
    return EndProcesses(simulation, spoke, call="SIGTERM", end=simulation.terminate)


def _power_loss(simulation: Simulation, spoke: Spoke) -> CutPower:
    return CutPower(simulation, spoke, call="cut the power of", cut=partial(simulation.kill, power_loss=True))


PROCESS_MECHANISMS: Mapping[str, MechanismFactory] = {
    "process.kill": _kill,
    "process.terminate": _terminate,
    "process.pause": PauseProcesses,
    "process.power-loss": _power_loss,
}
"""Name in the nemesis registry -> mechanism."""
