"""Mechanisms that are orders to what is preloaded into the nodes: clocks, failing, slow and hanging disks.

A fault's orders stand in the node's page while it lasts; several faults on one node add up slot by slot. What the shim
counted meanwhile is the evidence. A node that has not loaded the shim, as a static program, counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from histrio.environments.cluster import Cluster, Counts, RealMechanism, Spoke
from histrio.environments.mechanisms.nodes import answered, revive
from histrio.environments.preload.install import load_shim, page_of
from histrio.environments.preload.page import Count, Order
from histrio.errors import HarnessFailure
from nemesis.injector import Apply, Probe, Undo
from nemesis.settings import ClockRate, ClockStep, ClockStrobe, DiskErrors, Setting, SlowSyncs

__all__ = ["DISK_ERRORS", "OrderedFault", "Orders", "clock_rate", "clock_step", "clock_strobe", "disk_orders"]

_MILLION = 1_000_000

DISK_ERRORS = {
    "write_errors": (Count.WRITE_ERRORS,),
    "io_errors": (Count.WRITE_ERRORS, Count.SYNC_ERRORS, Count.READ_ERRORS),
}
"""What shows that a disk refused something, whoever made it."""


@dataclass(frozen=True, slots=True)
class Orders:
    """One mechanism."""

    slots: Callable[[Setting | None], Mapping[Order, int]]
    text: Callable[[Setting | None], str]
    evidence: Mapping[str, tuple[Count, ...]]
    """Name of a count of the fault -> what it is the sum of."""
    combine: Callable[[Order, list[int]], int] = lambda order, values: max(values)
    """What several faults order of one slot."""
    ends_nodes: bool = False
    """A node may end itself for it."""


class OrderedFault:
    """Carries out one `Orders`."""

    def __init__(self, cluster: Cluster, spoke: Spoke, orders: Orders) -> None:
        self._cluster, self._spoke, self._orders = cluster, spoke, orders
        self._standing: dict[str, dict[str, Mapping[Order, int]]] = {node: {} for node in cluster.nodes}
        self._before: dict[str, dict[str, Counts]] = {}

    async def apply(self, action: Apply) -> str:
        """Order it of the nodes, from their next call on."""
        slots = self._orders.slots(action.setting)
        self._before.setdefault(action.fault.id, {node: self._counted(node) for node in action.nodes})
        for node in action.nodes:
            self._standing[node][action.fault.id] = slots
            self._write(node, slots)
        return f"{self._orders.text(action.setting)}: {' '.join(action.nodes)}"

    async def undo(self, action: Undo) -> Counts:
        """Order it no more; starts nodes that ended for it."""
        before = self._before.pop(action.fault_id)
        for node in before:
            self._write(node, self._standing[node].pop(action.fault_id))
        if self._orders.ends_nodes:
            refused = [node for node, then in before.items() if any(self._since(node, then).values())]
            await revive(self._cluster, tuple(before), action.startable, refused)
        counts: Counts = {}
        for node, then in before.items():
            for name, number in self._since(node, then).items():
                counts[name] = counts.get(name, 0) + number
        return counts

    async def healed(self, probe: Probe, since_ns: int) -> str | None:
        """The nodes answer."""
        return answered(self._cluster, self._spoke, probe.nodes, since_ns)

    async def close(self) -> None:
        """No order stands."""
        for node, standing in self._standing.items():
            slots = {slot: 0 for orders in standing.values() for slot in orders}
            standing.clear()
            self._write(node, slots)

    def _write(self, node: str, changed: Mapping[Order, int]) -> None:
        page = page_of(self._cluster, node)
        if page is None:
            return
        for slot in changed:
            values = [orders[slot] for orders in self._standing[node].values() if slot in orders]
            page.order(slot, self._orders.combine(slot, values) if values else 0)
        if Order.RATE_PPM in changed:
            page.order(Order.RATE_GENERATION, page.ordered(Order.RATE_GENERATION) + 1)

    def _counted(self, node: str) -> Counts:
        page = page_of(self._cluster, node)
        if page is None:
            return dict.fromkeys(self._orders.evidence, 0)
        return {name: sum(map(page.count, slots)) for name, slots in self._orders.evidence.items()}

    def _since(self, node: str, then: Counts) -> Counts:
        return {name: number - then[name] for name, number in self._counted(node).items()}


# ── clocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_WALL = {"clock_steps_seen": (Count.CLOCK_STEPS_SEEN,), "wall_reads_shifted": (Count.WALL_READS_SHIFTED,)}


def _added(order: Order, values: list[int]) -> int:
    return max(values) if order is Order.STROBE_HALF_NS else sum(values)


def _step(setting: Setting | None) -> Mapping[Order, int]:
    assert isinstance(setting, ClockStep)
    return {Order.WALL_OFFSET_NS: setting.offset_ns}


def _strobe(setting: Setting | None) -> Mapping[Order, int]:
    assert isinstance(setting, ClockStrobe)
    return {Order.STROBE_NS: setting.offset_ns, Order.STROBE_HALF_NS: setting.period_ns // 2}


def _rate(setting: Setting | None) -> Mapping[Order, int]:
    assert isinstance(setting, ClockRate)
    return {Order.RATE_PPM: setting.percent * _MILLION // 100}


def _multiplied(order: Order, values: list[int]) -> int:
    product = _MILLION
    for value in values:
        product = product * value // _MILLION
    return product


def _clock_text(setting: Setting | None) -> str:
    match setting:
        case ClockStep():
            return f"wall clock {setting.offset_ns / 1e6:+g} ms"
        case ClockStrobe():
            return f"wall clock {setting.offset_ns / 1e6:+g} ms and back every {setting.period_ns / 1e6:g} ms"
        case ClockRate():
            return f"monotonic clock at {setting.percent} %"
        case _:
            raise HarnessFailure(f"no clock can do {setting!r}")


def clock_step(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    """`clock.step`: the wall clock of the node jumps, and jumps back at the end."""
    load_shim(cluster, journal=False)
    return OrderedFault(cluster, spoke, Orders(_step, _clock_text, _WALL, combine=_added))


def clock_strobe(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    """`clock.strobe`: the wall clock of the node jumps to and fro."""
    load_shim(cluster, journal=False)
    return OrderedFault(cluster, spoke, Orders(_strobe, _clock_text, _WALL, combine=_added))


def clock_rate(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    """`clock.rate`: the monotonic clocks of the node, and all its waits, go at another speed; without a jump."""
    load_shim(cluster, journal=False)
    evidence = {"timers_shifted": (Count.TIMERS_SHIFTED,), "clock_reads_shifted": (Count.CLOCK_READS_SHIFTED,)}
    return OrderedFault(cluster, spoke, Orders(_rate, _clock_text, evidence, combine=_multiplied))


# ── disks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _failing(setting: Setting | None) -> Mapping[Order, int]:
    assert isinstance(setting, DiskErrors)
    slots = {
        "write": (Order.FAIL_WRITES,),
        "sync": (Order.FAIL_SYNCS,),
        "any": (Order.FAIL_WRITES, Order.FAIL_SYNCS, Order.FAIL_READS),
    }
    return dict.fromkeys(slots[setting.operations], 1)


def _slow(setting: Setting | None) -> Mapping[Order, int]:
    assert isinstance(setting, SlowSyncs)
    return {Order.SYNC_DELAY_NS: setting.delay_ns}


def _disk_text(setting: Setting | None) -> str:
    match setting:
        case DiskErrors():
            return f"EIO of {'all operations' if setting.operations == 'any' else setting.operations + 's'}"
        case SlowSyncs():
            return f"syncs take {setting.delay_ns / 1e6:g} ms longer"
        case _:
            raise HarnessFailure(f"no disk can do {setting!r}")


_DISK: Mapping[str, Orders] = {
    "disk.full": Orders(
        lambda setting: {Order.FULL: 1}, lambda setting: "ENOSPC of writes", DISK_ERRORS, ends_nodes=True
    ),
    "disk.error": Orders(_failing, _disk_text, DISK_ERRORS, ends_nodes=True),
    "disk.read-only": Orders(
        lambda setting: {Order.READ_ONLY: 1}, lambda setting: "EROFS of writes", DISK_ERRORS, ends_nodes=True
    ),
    "disk.slow": Orders(_slow, _disk_text, {"syncs_delayed": (Count.SYNCS_DELAYED,)}),
    "disk.hang": Orders(
        lambda setting: {Order.HANG: 1}, lambda setting: "syncs do not come back", {"syncs_held": (Count.SYNCS_HELD,)}
    ),
}


def disk_orders(mechanism: str, cluster: Cluster, spoke: Spoke) -> RealMechanism:
    """A mechanism of the disk, by its name, without the help of any file system."""
    return OrderedFault(cluster, spoke, _DISK[mechanism])
