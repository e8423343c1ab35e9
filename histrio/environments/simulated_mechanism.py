"""What a mechanism of the simulator is: the nemesis's border, and a way to show that a consequence has ended.

A mechanism gives evidence by what it destroyed or held up, never by having been switched on. Here belong the words that
the mechanisms share; they themselves are in `simulated_network_faults`, `simulated_process_faults`,
`simulated_clock_faults` and `simulated_disk_faults`, and their registry in `simulated_faults`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from histrio.simulation.kernel import Simulation
from nemesis.injector import Apply, Probe, Undo

__all__ = ["Counts", "MechanismFactory", "SimulatedMechanism", "Spoke", "reported_again"]

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


def reported_again(spoke: Spoke, probe: Probe, since_ns: int) -> str | None:
    """That every node of the probe has reported something since; None: not yet."""
    if not all(spoke(node) > since_ns for node in probe.nodes):
        return None
    return f"{', '.join(probe.nodes)} reported again"
