"""What becomes of each packet on a disturbed link: decides, draws and counts; touches nothing.

Packets come in as they are queued, verdicts come out when they are due. Each fault has a random stream of its own, each
directed pair a line of its own. Times are integer nanoseconds; who calls says what time it is.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass, field
from random import Random

from histrio.environments.cluster import Counts
from histrio.environments.mechanisms import packets
from nemesis.shapes import Pair

__all__ = ["Policy", "Send", "Traffic", "Verdict"]

_MS = 1_000_000
_S = 1_000 * _MS
_HELD_BACK_NS = (5 * _MS, 30 * _MS)
"""Packets of a busy link follow one another in a few milliseconds, so that some overtake one held this long."""
_REPEATED_NS = (1 * _MS, 20 * _MS)
_BACKLOG_NS = 400 * _MS
"""A line with more waiting drops, as a router does: the kernel's token bucket has the same in its manual page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one fault does to the packets of its pairs; shares are probabilities, each drawn on its own account."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    corruption: float = 0.0
    silent: bool = False
    """Only what programs said is corrupted, and checksums are made to fit, so that nobody below the program notices."""
    delay_min_ns: int = 0
    delay_max_ns: int = 0
    bytes_per_second: int | None = None
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Let a queued packet go, as it is or with other bytes, or drop it."""

    packet: int
    accept: bool
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Send a packet that was not queued."""

    payload: bytes


@dataclass(slots=True)
class _Fault:
    policy: Policy
    pairs: frozenset[Pair]
    random: Random
    counts: Counts = field(default_factory=dict)
    free_ns: dict[Pair, int] = field(default_factory=dict)
    """When each line has sent what waits in it."""
    reset: set[object] = field(default_factory=set)

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1


@dataclass(order=True, slots=True)
class _Due:
    at_ns: int
    order: int
    action: Verdict | Send = field(compare=False)
    pair: Pair = field(compare=False)
    arrival: int = field(compare=False)
    """Place among the packets of its pair; -1: of none."""
    faults: tuple[_Fault, ...] = field(compare=False)


class Traffic:
    """All links of one cluster. Pairs are of addresses."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._faults: dict[str, _Fault] = {}
        self._watched: dict[str, dict[Pair, int]] = {}
        self._waiting: list[_Due] = []
        self._order = 0
        self._arrivals: dict[Pair, int] = {}
        self._last_out: dict[Pair, int] = {}

    # ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, fault_id: str, pairs: Collection[Pair], policy: Policy) -> None:
        """Begin a fault, or give one that lasts other pairs."""
        fault = self._faults.get(fault_id)
        if fault is None:
            fault = self._faults[fault_id] = _Fault(policy, frozenset(), Random(f"{self._seed}/traffic/{fault_id}"))
        fault.policy, fault.pairs = policy, frozenset(pairs)

    def remove(self, fault_id: str) -> Counts:
        """End a fault; its pairs are watched from now on. What it held back goes when it is due."""
        fault = self._faults.pop(fault_id)
        self._watched[fault_id] = dict.fromkeys(sorted(fault.pairs), 0)
        return fault.counts

    def carried(self, fault_id: str) -> tuple[int, int]:
        """Of an ended fault: how many of its links have carried a packet that nothing was done to, of how many."""
        links = self._watched[fault_id]
        return sum(number > 0 for number in links.values()), len(links)

    def forget(self, fault_id: str) -> None:
        """Watch no longer."""
        self._watched.pop(fault_id, None)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All that must come through here: disturbed ones, and those watched. In order."""
        wanted = {pair for fault in self._faults.values() for pair in fault.pairs}
        wanted.update(pair for links in self._watched.values() for pair in links)
        return tuple(sorted(wanted))

    # ── packets ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def next_ns(self) -> int | None:
        """When something is due next."""
        return self._waiting[0].at_ns if self._waiting else None

    def due(self, now_ns: int) -> list[Verdict | Send]:
        """What is to be done by now, in order."""
        actions: list[Verdict | Send] = []
        while self._waiting and self._waiting[0].at_ns <= now_ns:
            actions.append(self._out(heapq.heappop(self._waiting)))
        return actions

    def flush(self) -> list[Verdict | Send]:
        """Everything that waits, whether due or not: nothing is held any more."""
        return [self._out(heapq.heappop(self._waiting)) for _ in range(len(self._waiting))]

    def arrived(self, now_ns: int, packet: int, payload: bytes) -> None:
        """A packet was queued; what becomes of it is in `due`, at once or later."""
        pair = packets.addresses(payload)
        arrival = self._arrivals[pair] = self._arrivals.get(pair, -1) + 1
        faults = tuple([fault for fault in self._faults.values() if pair in fault.pairs])
        if not faults:
            self._notice(pair)
        at_ns, changed = now_ns, payload
        for fault in faults:
            passed = self._pass(fault, pair, at_ns, changed)
            if passed is None:
                self._put(now_ns, Verdict(packet, accept=False), pair)
                return
            at_ns, changed = passed
        verdict = Verdict(packet, accept=True, payload=None if changed == payload else changed)
        self._put(at_ns, verdict, pair, arrival, faults)

    def _notice(self, pair: Pair) -> None:
        for links in self._watched.values():
            if pair in links:
                links[pair] += 1

    def _pass(self, fault: _Fault, pair: Pair, now_ns: int, payload: bytes) -> tuple[int, bytes] | None:
        """When and as what a packet comes out of one fault; None: it is lost there."""
        policy, random = fault.policy, fault.random
        if policy.reset:
            return self._reset(fault, pair, now_ns, payload)
        if random.random() < policy.loss:
            fault.count("packets_lost")
            return None
        if random.random() < policy.corruption:
            alter = packets.altered if policy.silent else packets.flipped
            corrupted = alter(payload, random.randrange)
            if corrupted != payload:
                fault.count("packets_corrupted")
            payload = corrupted
        at_ns = now_ns
        if policy.delay_max_ns:
            at_ns += random.randint(policy.delay_min_ns, policy.delay_max_ns)
            fault.count("packets_delayed")
        if random.random() < policy.reordering:
            at_ns += random.randint(*_HELD_BACK_NS)
        if random.random() < policy.duplication:
            fault.count("packets_duplicated")
            self._put(at_ns + random.randint(*_REPEATED_NS), Send(payload), pair)
        if policy.bytes_per_second is not None:
            return self._throttled(fault, pair, at_ns, payload)
        return at_ns, payload

    def _throttled(self, fault: _Fault, pair: Pair, now_ns: int, payload: bytes) -> tuple[int, bytes] | None:
        assert fault.policy.bytes_per_second is not None
        begins_ns = max(now_ns, fault.free_ns.get(pair, 0))
        if begins_ns - now_ns > _BACKLOG_NS:
            fault.count("packets_lost")
            return None
        if begins_ns > now_ns:
            fault.count("packets_throttled")
        ends_ns = fault.free_ns[pair] = begins_ns + len(payload) * _S // fault.policy.bytes_per_second
        return ends_ns, payload

    def _reset(self, fault: _Fault, pair: Pair, now_ns: int, payload: bytes) -> tuple[int, bytes]:
        ends = packets.connection(payload)
        if ends is None:
            return now_ns, payload
        if ends not in fault.reset:
            fault.reset.add(ends)
            fault.count("connections_reset")
        self._put(now_ns, Send(packets.reset_to_sender(payload)), pair)
        return now_ns, packets.reset_of(payload)

    def _put(
        self, at_ns: int, action: Verdict | Send, pair: Pair, arrival: int = -1, faults: tuple[_Fault, ...] = ()
    ) -> None:
        self._order += 1
        heapq.heappush(self._waiting, _Due(at_ns, self._order, action, pair, arrival, faults))

    def _out(self, due: _Due) -> Verdict | Send:
        """Counts a packet that a later one of its pair has overtaken."""
        if due.arrival >= 0:
            if due.arrival < self._last_out.get(due.pair, -1):
                for fault in due.faults:
                    fault.count("packets_reordered")
            self._last_out[due.pair] = max(due.arrival, self._last_out.get(due.pair, -1))
        return due.action
