"""One direction between two nodes: when a unit arrives, how often, and whether. Rules come from `network.py`.

A link draws twice per unit from its own stream, whatever becomes of the unit, and each rule on it twice from a stream
of its own. So removing a rule, or a fault elsewhere, leaves every other draw as it was.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from functools import partial
from random import Random
from typing import Any, Protocol

from histrio.simulation.agenda import Agenda, Handler
from histrio.simulation.gates import Gate
from histrio.simulation.link_rules import Block, Disturbance, DisturbanceCounts, DisturbanceRule, LinkCounts
from histrio.simulation.node import Address
from histrio.simulation.profile import LinkKind, LinkProfile

__all__ = [
    "Block",
    "Destination",
    "Disturbance",
    "DisturbanceCounts",
    "DisturbanceRule",
    "Link",
    "LinkCounts",
    "Receiver",
]

_NS_PER_S = 1_000_000_000


class Receiver(Protocol):
    """One incarnation of a node."""

    def receive(self, source: Address, payload: Any) -> None:
        """A unit has arrived."""
        ...


class Destination(Protocol):
    """A node, up or not."""

    @property
    def process(self) -> Receiver | None:
        """The incarnation that is up, if any."""
        ...


class _Fate(Enum):
    PASSED = auto()
    LOST = auto()
    DUPLICATED = auto()
    REORDERED = auto()
    CORRUPTED = auto()
    ALTERED = auto()


_RETRANSMITTED = (_Fate.LOST, _Fate.CORRUPTED)
_GONE = (*_RETRANSMITTED, _Fate.ALTERED)


class Link:
    """One direction between two nodes."""

    __slots__ = (
        "_agenda",
        "_arrive",
        "_blocked_label",
        "_busy_until",
        "_destination",
        "_doomed_until",
        "_held_back",
        "_labels",
        "_last",
        "_latency_min",
        "_latency_span",
        "_lost_label",
        "_own",
        "_profile",
        "_random",
        "_source",
        "_stalled",
        "_trouble",
        "blocks",
        "counts",
        "disturbances",
        "gates",
        "route",
    )

    def __init__(
        self,
        source: Address,
        target: Address,
        destination: Destination,
        agenda: Agenda,
        profile: LinkProfile,
        rng: Random,
    ) -> None:
        self._source, self.route = source, f"{source}>{target}"
        self._blocked_label, self._lost_label = f"block {self.route}", f"lose {self.route}"
        self._destination, self._agenda, self._profile, self._random = destination, agenda, profile, rng.random
        self._arrive = self._arrive_stream if profile.kind == "stream" else self._arrive_datagram
        self._latency_min = profile.latency_min_ns
        self._latency_span = profile.latency_max_ns - profile.latency_min_ns
        self._own = Disturbance(loss=profile.loss, duplication=profile.duplication, reordering=profile.reordering)
        self._trouble = profile.loss + profile.duplication + profile.reordering
        self._labels: dict[str, str] = {}
        self._last = self._busy_until = 0
        self._doomed_until = -1  # what arrives until then was under way when the connection was reset
        self._held_back: list[int] = []
        self._stalled: deque[tuple[Any, Receiver | None]] = deque()
        self.blocks: list[Block] = []
        self.disturbances: list[tuple[DisturbanceRule, Random]] = []
        self.gates: list[Gate] = []
        self.counts = LinkCounts()

    def send(self, payload: Any, kind: str, size: int) -> None:
        """Put a unit on the link. `size` in bytes, 0: takes no time to transmit."""
        chance, spread = self._random(), self._random()
        departs = self._transmitted(size) if size else self._agenda.now_ns
        if self.gates:
            passed = self._passed_gates(departs, kind, size)
            if passed is None:
                return
            departs = passed
        arrives = departs + self._latency_min + int(spread * self._latency_span)
        label = self._labels.get(kind) or self._label(kind)
        self.counts.sent += 1
        if chance < self._trouble or self.disturbances:
            self._send_disturbed(arrives, label, payload, chance)
        else:
            self._send_in_order(arrives, label, payload, self._arrive)

    def reset(self) -> bool:
        """Lose all that is under way or stalled, as a connection does that is reset. Returns whether anything was."""
        lost = len(self._stalled)
        self.counts.lost += lost
        self._stalled.clear()
        under_way = self._last > self._agenda.now_ns
        if under_way:
            self._doomed_until = self._last
        self._agenda.note(f"reset {self.route}")
        return under_way or lost > 0

    def unblocked(self) -> None:
        """A block was lifted. A stream that stalled goes on when its sender next tries."""
        if self._stalled and not self.blocks:
            due = self._agenda.now_ns + self._profile.retransmission_ns
            self._agenda.push(due, f"resume {self.route}", self._resume_stream, None, None)

    def _passed_gates(self, departs: int, kind: str, size: int) -> int | None:
        for gate in self.gates:
            passed = gate.passes(departs, kind, size)
            if passed is None:
                self.counts.sent += 1
                self.counts.lost += 1
                self._agenda.note(self._lost_label)
                if gate.breaks:
                    self.reset()
                return None
            departs = passed
        return departs

    def _label(self, kind: str) -> str:
        label = self._labels[kind] = f"deliver {self.route} {kind}"
        return label

    def _transmitted(self, size: int) -> int:
        """When the last byte has left, behind all that is still leaving."""
        now, rate = self._agenda.now_ns, self._profile.bytes_per_second
        if rate:
            begins = self._busy_until
            if begins < now:
                begins = now
            self._busy_until = ends = begins + size * _NS_PER_S // rate
            return ends
        return now

    def _send_in_order(self, arrives: int, label: str, payload: Any, arrive: Handler) -> None:
        if self._profile.quantum_ns:
            arrives = _round_up(arrives, self._profile.quantum_ns)
        if arrives < self._last:
            arrives = self._last
        else:
            self._last = arrives
        if self._held_back:
            # Whatever is not overtaken by this unit is not overtaken by a later one, which arrives no earlier.
            self.counts.overtaken += sum(other > arrives for other in self._held_back)
            self._held_back.clear()
        self._agenda.push(arrives, label, arrive, payload, self._destination.process)

    def _send_late(self, arrives: int, label: str, payload: Any, share: float) -> int:
        arrives = max(arrives, self._last) + 1 + int(share * self._profile.holdback_max_ns)
        if self._profile.quantum_ns:
            arrives = _round_up(arrives, self._profile.quantum_ns)
        self._agenda.push(arrives, label, self._arrive, payload, self._destination.process)
        return arrives

    def _send_disturbed(self, arrives: int, label: str, payload: Any, chance: float) -> None:
        fates = [_fate_of(chance, self._own)]
        for rule, rng in self.disturbances:
            chance, spread = rng.random(), rng.random()
            fates.append(_fate_of(chance, rule.disturbance))
            arrives += _delay(rule, spread)
            _count(rule.counts, fates[-1][0], self._profile.kind)
        if self._profile.kind == "stream":
            losses = sum(fate in _RETRANSMITTED for fate, _ in fates)
            self.counts.lost += losses
            held_ns = sum(
                int(share * self._profile.holdback_max_ns) for fate, share in fates if fate is _Fate.REORDERED
            )
            altered_by = [
                rule for (rule, _), (fate, _) in zip(self.disturbances, fates[1:], strict=True) if fate is _Fate.ALTERED
            ]
            arrive = partial(self._arrive_altered, altered_by[0]) if altered_by else self._arrive
            self._send_in_order(arrives + losses * self._profile.retransmission_ns + held_ns, label, payload, arrive)
        else:
            self._send_datagram(arrives, label, payload, fates)

    def _send_datagram(self, arrives: int, label: str, payload: Any, fates: list[tuple[_Fate, float]]) -> None:
        if any(fate in _GONE for fate, _ in fates):
            self.counts.lost += 1
            self._agenda.note(self._lost_label)
            return
        late = [share for fate, share in fates if fate is _Fate.REORDERED]
        if late:
            self._held_back.append(self._send_late(arrives, label, payload, max(late)))
        else:
            self._send_in_order(arrives, label, payload, self._arrive)
        for fate, share in fates:
            if fate is _Fate.DUPLICATED:
                self.counts.duplicated += 1
                self._send_late(arrives, label, payload, share)

    def _arrive_datagram(self, payload: Any, _: Receiver | None) -> None:
        if self.blocks:
            self._stop()
            return
        if self._agenda.now_ns <= self._doomed_until:
            self._perish()
            return
        process = self._destination.process
        if process is None:
            self.counts.undeliverable += 1
            return
        self.counts.delivered += 1
        process.receive(self._source, payload)

    def _arrive_stream(self, payload: Any, receiver: Receiver | None) -> None:
        """A connection ends with the incarnation it leads to; units for an earlier one are gone."""
        if self._agenda.now_ns <= self._doomed_until:
            self._perish()
            return
        if self.blocks:
            self._stop()
        elif not self._stalled:
            self._hand_over(payload, receiver)
            return
        self._stalled.append((payload, receiver))
        if len(self._stalled) > self._profile.stream_window:
            self._agenda.note(f"break {self.route}")
            self.counts.lost += len(self._stalled)
            self._stalled.clear()

    def _arrive_altered(self, rule: DisturbanceRule, payload: Any, receiver: Receiver | None) -> None:
        """The receiver finds that a frame does not fit its checksum, and hangs up.

        Behind a block the unit has not arrived: it is sent again, as it was.
        """
        if self._agenda.now_ns <= self._doomed_until or self.blocks or self._stalled:
            self._arrive_stream(payload, receiver)
            return
        self._perish()
        if receiver is not None and receiver is self._destination.process:
            rule.counts.broken += 1
            self.reset()

    def _resume_stream(self, _first: None, _second: None) -> None:
        if not self.blocks:
            while self._stalled:
                self._hand_over(*self._stalled.popleft())

    def _hand_over(self, payload: Any, receiver: Receiver | None) -> None:
        if receiver is None or receiver is not self._destination.process:
            self.counts.undeliverable += 1
            return
        self.counts.delivered += 1
        receiver.receive(self._source, payload)

    def _perish(self) -> None:
        self.counts.lost += 1
        self._agenda.note(self._lost_label)

    def _stop(self) -> None:
        self.counts.blocked += 1
        for block in self.blocks:
            block.dropped += 1
        self._agenda.note(self._blocked_label)


def _fate_of(chance: float, disturbance: Disturbance) -> tuple[_Fate, float]:
    """The fate that a draw from [0, 1) means, and where in that fate's share it fell, again from [0, 1)."""
    for fate, share in (
        (_Fate.LOST, disturbance.loss),
        (_Fate.DUPLICATED, disturbance.duplication),
        (_Fate.REORDERED, disturbance.reordering),
        (_Fate.ALTERED if disturbance.silent else _Fate.CORRUPTED, disturbance.corruption),
    ):
        if chance < share:
            return fate, chance / share
        chance -= share
    return _Fate.PASSED, 0.0


def _delay(rule: DisturbanceRule, spread: float) -> int:
    low, high = rule.disturbance.delay_min_ns, rule.disturbance.delay_max_ns
    rule.counts.delayed += high > 0
    return low + int(spread * (high - low))


def _count(counts: DisturbanceCounts, fate: _Fate, kind: LinkKind) -> None:
    match fate:
        case _Fate.LOST:
            counts.lost += 1
        case _Fate.DUPLICATED:
            counts.duplicated += kind == "datagram"
        case _Fate.REORDERED:
            counts.reordered += 1
        case _Fate.CORRUPTED | _Fate.ALTERED:
            counts.corrupted += 1
        case _Fate.PASSED:
            pass


def _round_up(time_ns: int, quantum_ns: int) -> int:
    return -(-time_ns // quantum_ns) * quantum_ns
