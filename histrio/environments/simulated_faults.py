"""The mechanisms of the simulator: how each kind of fault is inflicted there, what it counted, how its end is seen.

One class a mechanism, registered in `MECHANISMS` under the name that the nemesis registry asks for. A mechanism gives
evidence by what it destroyed or held up, never by having been switched on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from histrio.simulation.kernel import Simulation
from nemesis.injector import Apply, Probe, Undo

__all__ = ["ABSENT", "MECHANISMS", "Counts", "MechanismFactory", "SimulatedMechanism", "Spoke"]

Counts = dict[str, int]

Spoke = Callable[[str], int]
"""Node -> when it last reported anything, in nanoseconds; -1: never."""


class SimulatedMechanism(Protocol):
    """One way to break things: a `nemesis.mechanism.Mechanism` that can also show that a consequence has ended."""

    def apply(self, action: Apply) -> str:
        """Inflict the fault; returns the rule or call, for people."""
        ...

    def undo(self, action: Undo) -> Counts:
        """End it; returns the counted consequences."""
        ...

    def healed(self, probe: Probe, since_ns: int) -> str | None:
        """What is seen that proves the end of the consequence, which was undone at `since_ns`; None: nothing yet."""
        ...


MechanismFactory = Callable[[Simulation, Spoke], SimulatedMechanism]


class BlockLinks:
    """`network.block`: drops everything on the directed pairs of the fault."""

    def __init__(self, simulation: Simulation, spoke: Spoke) -> None:
        self._network = simulation.network
        self._pairs: dict[str, dict[tuple[str, str], None]] = {}  # all that the fault has ever blocked
        self._rules: dict[str, list[str]] = {}
        self._delivered_at_undo: dict[str, tuple[int, ...]] = {}

    def apply(self, action: Apply) -> str:
        fault_id = action.fault.id
        self._pairs.setdefault(fault_id, {}).update(dict.fromkeys(action.pairs))
        rules = self._rules.setdefault(fault_id, [])
        rules.append(f"{fault_id}/{len(rules)}")
        self._network.block(rules[-1], action.pairs)
        if len(rules) > 1:
            self._network.unblock(rules[-2])
        return "drop " + ", ".join(f"{source}>{target}" for source, target in action.pairs)

    def undo(self, action: Undo) -> Counts:
        rules = self._rules.pop(action.fault_id)
        self._network.unblock(rules[-1])
        self._delivered_at_undo[action.fault_id] = self._delivered(action.fault_id)
        return {"packets_dropped": sum(self._network.dropped(rule) for rule in rules)}

    def healed(self, probe: Probe, since_ns: int) -> str | None:
        """No rule blocks any of the links, and one has carried a packet: followers rarely talk to each other."""
        before, now = self._delivered_at_undo[probe.fault_id], self._delivered(probe.fault_id)
        carried = sum(after > then for after, then in zip(now, before, strict=True))
        if not carried or not all(self._network.is_open(*pair) for pair in self._pairs[probe.fault_id]):
            return None
        return f"{carried} of {len(before)} links carried a packet, none is blocked"

    def _delivered(self, fault_id: str) -> tuple[int, ...]:
        return tuple(self._network.link(*pair).counts.delivered for pair in self._pairs[fault_id])


class EndProcesses:
    """`process.kill` and `process.power-loss`: ends nodes at once; undoing starts those nothing else holds down."""

    def __init__(self, simulation: Simulation, spoke: Spoke, *, power_loss: bool) -> None:
        self._simulation, self._spoke, self._power_loss = simulation, spoke, power_loss
        self._counts: dict[str, Counts] = {}

    def apply(self, action: Apply) -> str:
        counts: Counts = {}
        for node in action.nodes:
            report = self._simulation.kill(node, power_loss=self._power_loss)
            for name in report.__struct_fields__:
                if name != "incarnation":
                    counts[name] = counts.get(name, 0) + getattr(report, name)
        self._counts[action.fault.id] = counts
        return ("cut the power of " if self._power_loss else "SIGKILL ") + " ".join(action.nodes)

    def undo(self, action: Undo) -> Counts:
        for node in action.nodes:
            self._simulation.start(node)
        return self._counts.pop(action.fault_id)

    def healed(self, probe: Probe, since_ns: int) -> str | None:
        if not all(self._spoke(node) > since_ns for node in probe.nodes):
            return None
        return ", ".join(f"{node} reported as incarnation {self._simulation.incarnation(node)}" for node in probe.nodes)


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
        if not all(self._spoke(node) > since_ns for node in probe.nodes):
            return None
        return f"{', '.join(probe.nodes)} reported again"


def _kill(simulation: Simulation, spoke: Spoke) -> SimulatedMechanism:
    return EndProcesses(simulation, spoke, power_loss=False)


def _power_loss(simulation: Simulation, spoke: Spoke) -> SimulatedMechanism:
    return EndProcesses(simulation, spoke, power_loss=True)


MECHANISMS: Mapping[str, MechanismFactory] = {
    "network.block": BlockLinks,
    "process.kill": _kill,
    "process.pause": PauseProcesses,
    "process.power-loss": _power_loss,
}

ABSENT: Mapping[str, str] = {
    "resource.cpu": "the simulator has no processor to starve: a node's work takes no share of anything",
    "resource.memory": "the simulator has no memory of its own to limit: all nodes live in the harness's process",
    "resource.files": "the simulator has no file descriptors: files and connections are records",
}
"""Mechanisms that make no sense here, and why."""
