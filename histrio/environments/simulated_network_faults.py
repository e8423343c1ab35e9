"""Mechanisms of the simulator that act on links between nodes: blocks, disturbances, bandwidth, filters, resets.

Each keeps its rules under the fault's id, so that overlapping faults add up and each takes away its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from histrio.environments.simulated_mechanism import Counts, MechanismFactory, Spoke
from histrio.simulation.gates import Filter, GateRule, Reset, Throttle
from histrio.simulation.kernel import Simulation
from histrio.simulation.links import Disturbance
from nemesis import settings
from nemesis.injector import Apply, Probe, Undo
from nemesis.shapes import Pair

__all__ = ["BlockLinks", "DisturbLinks", "FilterMessages", "NETWORK_MECHANISMS", "ResetConnections", "ThrottleLinks"]

QUEUE_NS = 400_000_000  # what a slow link's queue holds; as `tc tbf latency 400ms` in real worlds


class _OnLinks:
    """Sees the end of a rule by what the links carry again."""

    def __init__(self, simulation: Simulation, spoke: Spoke) -> None:
        self._network = simulation.network
        self._pairs: dict[str, dict[Pair, None]] = {}  # all that the fault has ever touched
        self._delivered_at_undo: dict[str, tuple[int, ...]] = {}

    def healed(self, probe: Probe, since_ns: int) -> str | None:
        """No rule blocks any of the links, and one has carried a packet: followers rarely talk to each other."""
        before, now = self._delivered_at_undo[probe.fault_id], self._delivered(probe.fault_id)
        carried = sum(after > then for after, then in zip(now, before, strict=True))
        if not carried or not all(self._network.is_open(*pair) for pair in self._pairs[probe.fault_id]):
            return None
        return f"{carried} of {len(before)} links carried a packet, none is blocked"

    def _begun(self, action: Apply) -> None:
        self._pairs.setdefault(action.fault.id, {}).update(dict.fromkeys(action.pairs))

    def _undone(self, action: Undo) -> None:
        self._delivered_at_undo[action.fault_id] = self._delivered(action.fault_id)

    def _delivered(self, fault_id: str) -> tuple[int, ...]:
        return tuple([self._network.link(*pair).counts.delivered for pair in self._pairs[fault_id]])


class BlockLinks(_OnLinks):
    """`network.block`: drops everything on the directed pairs of the fault."""

    def __init__(self, simulation: Simulation, spoke: Spoke) -> None:
        super().__init__(simulation, spoke)
        self._rules: dict[str, list[str]] = {}

    def apply(self, action: Apply) -> str:
        self._begun(action)
        fault_id = action.fault.id
        rules = self._rules.setdefault(fault_id, [])
        rules.append(f"{fault_id}/{len(rules)}")
        self._network.block(rules[-1], action.pairs)
        if len(rules) > 1:
            self._network.unblock(rules[-2])
        return f"drop {_routes(action)}"

    def undo(self, action: Undo) -> Counts:
        rules = self._rules.pop(action.fault_id)
        self._network.unblock(rules[-1])
        self._undone(action)
        return {"packets_dropped": sum([self._network.dropped(rule) for rule in rules])}


class DisturbLinks(_OnLinks):
    """`network.disturb`: loses, delays, holds back, repeats and spoils."""

    def apply(self, action: Apply) -> str:
        wanted = action.setting
        assert isinstance(wanted, settings.Disturbance)
        self._begun(action)
        disturbance = Disturbance(
            loss=wanted.loss,
            duplication=wanted.duplication,
            reordering=wanted.reordering,
            corruption=wanted.corruption,
            silent=wanted.silent,
            delay_min_ns=wanted.delay_min_ns,
            delay_max_ns=wanted.delay_max_ns,
        )
        self._network.disturb(action.fault.id, action.pairs, disturbance)
        told = [
            f"{name} {share:.0%}"
            for name, share in (
                ("loss", wanted.loss),
                ("duplication", wanted.duplication),
                ("reordering", wanted.reordering),
                ("silent corruption" if wanted.silent else "corruption", wanted.corruption),
            )
            if share
        ]
        if wanted.delay_max_ns:
            told.append(f"delay {wanted.delay_min_ns // 1_000_000} to {wanted.delay_max_ns // 1_000_000} ms")
        return f"{', '.join(told)} on {_routes(action)}"

    def undo(self, action: Undo) -> Counts:
        counts = self._network.calm(action.fault_id)
        self._undone(action)
        return {
            "packets_lost": counts.lost,
            "packets_delayed": counts.delayed,
            "packets_reordered": counts.reordered,
            "packets_duplicated": counts.duplicated,
            "packets_corrupted": counts.corrupted,
            "connections_broken": counts.broken,
        }


class _Gated(_OnLinks):
    """Rules that units have to pass before they leave."""

    def _apply(self, action: Apply, rule: GateRule) -> None:
        self._begun(action)
        self._network.gate(action.fault.id, action.pairs, rule)

    def _undo(self, action: Undo) -> int:
        count = self._network.ungate(action.fault_id)
        self._undone(action)
        return count


class ThrottleLinks(_Gated):
    """`network.throttle`: little bandwidth and a queue that fills up."""

    def apply(self, action: Apply) -> str:
        wanted = action.setting
        assert isinstance(wanted, settings.Throttle)
        self._apply(action, Throttle(wanted.bytes_per_second, QUEUE_NS))
        return f"{wanted.bytes_per_second} bytes/s on {_routes(action)}"

    def undo(self, action: Undo) -> Counts:
        return {"packets_throttled": self._undo(action)}


class FilterMessages(_Gated):
    """`network.filter`: drops messages of one kind."""

    def apply(self, action: Apply) -> str:
        wanted = action.setting
        assert isinstance(wanted, settings.MessageFilter)
        self._apply(action, Filter(wanted.messages))
        return f"drop each {wanted.messages} on {_routes(action)}"

    def undo(self, action: Undo) -> Counts:
        return {"packets_dropped": self._undo(action)}


class ResetConnections(_Gated):
    """`network.reset`: what is under way is lost, and whoever sends finds the connection reset."""

    def __init__(self, simulation: Simulation, spoke: Spoke) -> None:
        super().__init__(simulation, spoke)
        self._reset_at_once: dict[str, int] = {}

    def apply(self, action: Apply) -> str:
        self._reset_at_once[action.fault.id] = self._network.reset(action.pairs)
        self._apply(action, Reset())
        return f"reset connections on {_routes(action)}"

    def undo(self, action: Undo) -> Counts:
        return {"connections_reset": self._reset_at_once.pop(action.fault_id) + self._undo(action)}


def _routes(action: Apply) -> str:
    return ", ".join(f"{source}>{target}" for source, target in action.pairs)


NETWORK_MECHANISMS: Mapping[str, MechanismFactory] = {
    "network.block": BlockLinks,
    "network.disturb": DisturbLinks,
    "network.throttle": ThrottleLinks,
    "network.filter": FilterMessages,
    "network.reset": ResetConnections,
}
"""Name in the nemesis registry -> mechanism."""
