"""Faults that are orders to the system's operators: what is ordered when, what came of it, until when it is tried.

Written once for all worlds: callbacks, no clock, no I/O. Whoever can carry an order to the system (`Desk`) gives these
mechanisms hands, and how a system is told is its adapter's affair (`histrio.systems.system.Order`). Orders fail, as a
cluster without a leader obeys nobody: they are given again while the fault lasts, and evidence is what was answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from histrio.systems.system import Order, Performed
from nemesis.injector import Apply, Undo
from nemesis.settings import Handover, Reconfiguration
from nemesis.shapes import majority_size
from workloads.session import Operation

__all__ = ["ORDERS", "Desk", "GivesOrders", "OrderedMembership", "OrderedSnapshots", "OrderedTransfer"]

Counts = dict[str, int]

_MS = 1_000_000
PAUSE_NS = 30 * _MS
"""Between an order and the next: a heartbeat or less."""

ORDERS: Mapping[str, Order] = {
    "cluster.membership": Order.MEMBERS,
    "cluster.transfer": Order.TRANSFER,
    "cluster.snapshot": Order.SNAPSHOT,
    "cluster.outrun": Order.OUTRUN,
}
"""Mechanism of the nemesis registry -> what the system must be able to be told."""


class Desk(Protocol):
    """Where orders are given. Nothing here waits: what is to come is told later."""

    def order(self, operation: Operation, ended: Callable[[Performed], None]) -> None:
        """Let an operator carry out one order; `ended` is called once, at the latest when its patience is over."""
        ...

    def later(self, delay_ns: int, call: Callable[[], None]) -> None:
        """Call after a while."""
        ...

    def installs(self, node: str) -> int:
        """How many snapshots of others the node has taken over, as far as it has told."""
        ...

    def nodes(self) -> tuple[str, ...]:
        """All nodes of the run."""
        ...

    def expect_members(self, returning: bool) -> None:
        """Nodes are on their way to being members again, or all are."""
        ...


@runtime_checkable
class GivesOrders(Protocol):
    """A mechanism that wants a desk, before its first fault."""

    def equip(self, desk: Desk) -> None:
        """Use this one."""
        ...


class _AtDesk:
    """Knows which faults last and what was counted for each."""

    def __init__(self) -> None:
        self._counts: dict[str, Counts] = {}
        self._equipment: Desk | None = None

    def equip(self, desk: Desk) -> None:
        """Use this desk."""
        self._equipment = desk

    @property
    def _desk(self) -> Desk:
        assert self._equipment is not None, "a world equips its mechanisms"
        return self._equipment

    def _lasts(self, fault_id: str) -> bool:
        return fault_id in self._counts

    def _count(self, fault_id: str, counts: Mapping[str, int]) -> None:
        mine = self._counts.get(fault_id)
        if mine is not None:
            for name, number in counts.items():
                mine[name] = mine.get(name, 0) + number

    def _repeat(self, fault_id: str, operation: Operation, again: Callable[[Performed], bool]) -> None:
        """Give an order, and again after a pause, while the fault lasts and `again` says so of what came of it."""

        def give() -> None:
            if self._lasts(fault_id):
                self._desk.order(operation, ended)

        def ended(performed: Performed) -> None:
            self._count(fault_id, performed.counts)
            if self._lasts(fault_id) and again(performed):
                self._desk.later(PAUSE_NS, give)

        give()


class OrderedTransfer(_AtDesk):
    """`cluster.transfer`: once, or again and again."""

    def apply(self, action: Apply) -> str:
        """Begin to order."""
        setting = action.setting
        assert isinstance(setting, Handover)
        self._counts[action.fault.id] = {"transfers_done": 0}
        target: Any = {"drawn": action.resolved[0], "laggard": "", "anyone": None}[setting.to]
        operation = Operation(Order.TRANSFER, value=target)
        self._repeat(action.fault.id, operation, lambda performed: setting.to == "anyone" or not performed.settled)
        whom = {"drawn": action.resolved[0], "laggard": "the node that is furthest behind", "anyone": "anyone, again"}
        return f"hand leadership over to {whom[setting.to]}"

    def undo(self, action: Undo) -> Counts:
        """Order nothing more."""
        return self._counts.pop(action.fault_id)


class OrderedSnapshots(_AtDesk):
    """`cluster.snapshot`: one of each node."""

    def apply(self, action: Apply) -> str:
        """Begin to order."""
        self._counts[action.fault.id] = {"snapshots_taken": 0}
        for node in action.nodes:
            operation = Operation(Order.SNAPSHOT, value=node)
            self._repeat(action.fault.id, operation, lambda performed: not performed.settled)
        return f"take a snapshot: {' '.join(action.nodes)}"

    def undo(self, action: Undo) -> Counts:
        """Order nothing more."""
        return self._counts.pop(action.fault_id)


class _Out:
    """What a fault wants of the membership: who is no voter, now and later."""

    def __init__(self, phases: list[tuple[str, ...]], *, learners: bool) -> None:
        self.phases, self.learners = phases, learners


class OrderedMembership(_AtDesk):
    """`cluster.membership`: one membership for all faults that last; without any, all nodes are voters.

    One operator works on it, change by change, until it is as wanted: so faults add up and none undoes another's. A
    majority of all nodes always stays: of several faults the later ones do without what is beyond.
    """

    def __init__(self) -> None:
        super().__init__()
        self._out: dict[str, _Out] = {}
        self._working = False

    def apply(self, action: Apply) -> str:
        """Begin to order."""
        setting = action.setting
        assert isinstance(setting, Reconfiguration)
        fault_id, nodes = action.fault.id, action.resolved
        phases = [nodes]
        if setting.manner in ("at-once", "one-by-one"):
            phases = [nodes[:1], nodes[1:]] if setting.manner == "at-once" else [nodes[:1], (), nodes[1:]]
        self._counts[fault_id] = {"changes_committed": 0}
        self._out[fault_id] = _Out(phases, learners=setting.manner == "learner")
        for number in range(1, len(phases)):
            self._desk.later(action.fault.for_ns * number // len(phases), lambda: self._next_phase(fault_id))
        self._work()
        verb = "take the vote of" if setting.manner == "learner" else "remove"
        return f"{verb} {', then '.join(' '.join(phase) or 'nobody' for phase in phases)}"

    def undo(self, action: Undo) -> Counts:
        """Order the nodes back; that is tried until it is so."""
        del self._out[action.fault_id]
        if not self._out:
            self._desk.expect_members(True)
        self._work()
        return self._counts.pop(action.fault_id)

    def returned(self) -> bool:
        """All is as the faults that last want it."""
        return not self._working

    def _next_phase(self, fault_id: str) -> None:
        out = self._out.get(fault_id)
        if out is not None:
            del out.phases[0]
            self._work()

    def _wanted(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        nodes = self._desk.nodes()
        spared = len(nodes) - majority_size(len(nodes))
        gone: dict[str, bool] = {}
        for out in self._out.values():
            for node in out.phases[0]:
                if node not in gone and len(gone) < spared:
                    gone[node] = out.learners
        return tuple([node for node in nodes if node not in gone]), tuple([node for node in nodes if gone.get(node)])

    def _work(self) -> None:
        """One order at a time; each is the next change towards what is wanted by then."""
        if self._working:
            return
        self._working = True
        wanted = self._wanted()
        self._desk.order(Operation(Order.MEMBERS, value=wanted), lambda performed: self._ended(wanted, performed))

    def _ended(self, wanted: tuple[tuple[str, ...], tuple[str, ...]], performed: Performed) -> None:
        for fault_id, out in self._out.items():
            if any(node in phase for phase in out.phases for node in performed.nodes):
                self._count(fault_id, performed.counts)
        self._working = False
        if performed.settled and wanted == self._wanted():
            if not self._out:
                self._desk.expect_members(False)
            return
        self._working = True
        self._desk.later(PAUSE_NS, self._again)

    def _again(self) -> None:
        self._working = False
        self._work()
