"""Mechanisms of the simulator that act on clocks. A monotonic clock does not go back: it stands still instead."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from histrio.environments.simulated_mechanism import Counts, MechanismFactory, Spoke, reported_again
from histrio.simulation.kernel import Simulation, Timer
from nemesis.injector import Apply, Probe, Undo
from nemesis.settings import ClockRate, ClockStep, ClockStrobe

__all__ = ["CLOCK_MECHANISMS", "ChangeRate", "StepClock", "StrobeClock"]


class _OnClocks:
    """Counts the timers that came at another time than the node meant."""

    def __init__(self, simulation: Simulation, spoke: Spoke) -> None:
        self._simulation, self._spoke = simulation, spoke
        self._shifted_before: dict[str, dict[str, int]] = {}

    def healed(self, probe: Probe, since_ns: int) -> str | None:
        return reported_again(self._spoke, probe, since_ns)

    def _begin(self, action: Apply) -> None:
        self._shifted_before[action.fault.id] = {node: self._simulation.timers_shifted(node) for node in action.nodes}

    def _shifted(self, fault_id: str) -> Counts:
        before = self._shifted_before.pop(fault_id)
        return {
            "timers_shifted": sum([self._simulation.timers_shifted(node) - count for node, count in before.items()])
        }


class StepClock(_OnClocks):
    """`clock.step`: ahead at once; back means that the clock stands."""

    def apply(self, action: Apply) -> str:
        assert isinstance(action.setting, ClockStep)
        self._begin(action)
        for node in action.nodes:
            self._simulation.clock(node).jump(action.setting.offset_ns)
        return f"clock {action.setting.offset_ns / 1e9:+} s on {' '.join(action.nodes)}"

    def undo(self, action: Undo) -> Counts:
        for node in action.nodes:
            self._simulation.clock(node).run_on()
        return self._shifted(action.fault_id)


class StrobeClock(_OnClocks):
    """`clock.strobe`: ahead by the offset and then standing until true time has caught up, once a period."""

    def __init__(self, simulation: Simulation, spoke: Spoke) -> None:
        super().__init__(simulation, spoke)
        self._next: dict[str, Timer] = {}

    def apply(self, action: Apply) -> str:
        strobe = action.setting
        assert isinstance(strobe, ClockStrobe)
        self._begin(action)
        self._jump(action.fault.id, action.nodes, strobe)
        return (
            f"clock {strobe.offset_ns / 1e9:+} s and back every {strobe.period_ns / 1e9} s on {' '.join(action.nodes)}"
        )

    def undo(self, action: Undo) -> Counts:
        self._next.pop(action.fault_id).cancel()
        for node in action.nodes:
            self._simulation.clock(node).run_on()
        return self._shifted(action.fault_id)

    def _jump(self, fault_id: str, nodes: tuple[str, ...], strobe: ClockStrobe) -> None:
        half_ns = strobe.period_ns // 2
        for node in nodes:
            self._simulation.clock(node).jump(strobe.offset_ns)
        self._next[fault_id] = self._simulation.call_at(
            self._simulation.now_ns + half_ns, partial(self._stand, fault_id, nodes, strobe)
        )

    def _stand(self, fault_id: str, nodes: tuple[str, ...], strobe: ClockStrobe) -> None:
        for node in nodes:
            self._simulation.clock(node).jump(-strobe.offset_ns)
        later_ns = max(strobe.period_ns - strobe.period_ns // 2, strobe.offset_ns)
        self._next[fault_id] = self._simulation.call_at(
            self._simulation.now_ns + later_ns, partial(self._jump, fault_id, nodes, strobe)
        )


class ChangeRate(_OnClocks):
    """`clock.rate`: faster or slower than true time."""

    def apply(self, action: Apply) -> str:
        assert isinstance(action.setting, ClockRate)
        self._begin(action)
        for node in action.nodes:
            self._simulation.clock(node).set_rate(action.fault.id, action.setting.percent)
        return f"clock at {action.setting.percent} % on {' '.join(action.nodes)}"

    def undo(self, action: Undo) -> Counts:
        for node in action.nodes:
            self._simulation.clock(node).lift_rate(action.fault_id)
        return self._shifted(action.fault_id)


CLOCK_MECHANISMS: Mapping[str, MechanismFactory] = {
    "clock.step": StepClock,
    "clock.strobe": StrobeClock,
    "clock.rate": ChangeRate,
}
"""Name in the nemesis registry -> mechanism."""
