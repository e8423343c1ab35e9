"""The simulator's operators: they carry orders to nodes in the event heap, and the mechanisms that are orders there.

Operators reach nodes as clients do, whatever is wrong between nodes. What is ordered when is `orders`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from histrio.environments.orders import Desk, OrderedMembership, OrderedSnapshots, OrderedTransfer
from histrio.environments.simulated_mechanism import Counts, MechanismFactory, Spoke, reported_again
from histrio.environments.simulated_network_faults import BlockLinks
from histrio.simulation.kernel import Simulation, Timer
from histrio.systems.system import Order, Performed, SimulatedSystem
from nemesis.injector import Apply, Probe, Undo
from workloads.session import Operation, Session, SessionStep

__all__ = ["ORDER_MECHANISMS", "SimulatedDesk"]

PATIENCE_NS = 2_000_000_000


class _Errand:
    """One order under way."""

    __slots__ = ("address", "deadline", "ended", "reached", "session")

    def __init__(self, address: str, session: Session, ended: Callable[[Performed], None]) -> None:
        self.address, self.session, self.ended = address, session, ended
        self.reached = ""
        self.deadline: Timer | None = None


class SimulatedDesk:
    """Implements `Desk`: each order is an errand with a session and a connection of its own."""

    def __init__(
        self,
        simulation: Simulation,
        system: SimulatedSystem,
        nodes: tuple[str, ...],
        expect_members: Callable[[bool], None],
    ) -> None:
        self._simulation, self._system, self._nodes = simulation, system, nodes
        self.expect_members = expect_members
        self._errands = 0
        self._installs: dict[str, int] = {}

    def nodes(self) -> tuple[str, ...]:
        return self._nodes

    def installed(self, node: str) -> None:
        """The node has told that it took over a snapshot."""
        self._installs[node] = self.installs(node) + 1

    def installs(self, node: str) -> int:
        return self._installs.get(node, 0)

    def later(self, delay_ns: int, call: Callable[[], None]) -> None:
        self._simulation.call_at(self._simulation.now_ns + delay_ns, call)

    def order(self, operation: Operation, ended: Callable[[Performed], None]) -> None:
        assert self._system.operator is not None, "planning refuses orders to systems without an operator"
        self._errands += 1
        errand = _Errand(f"o{self._errands}", self._system.operator(PATIENCE_NS), ended)
        self._take(errand, errand.session.invoke(self._simulation.now_ns, operation, errand.address))

    def _take(self, errand: _Errand, step: SessionStep) -> None:
        """Do what the operator wants."""
        simulation = self._simulation
        if errand.deadline is not None:
            errand.deadline.cancel()
            errand.deadline = None
        for payload in step.sends:
            assert step.node is not None, "an operator says whom it asks"
            if simulation.is_connected(errand.address) and errand.reached != step.node:
                simulation.disconnect(errand.address)
            if not simulation.is_connected(errand.address):
                errand.reached = step.node
                simulation.connect(
                    errand.address, step.node, partial(self._received, errand), partial(self._disconnected, errand)
                )
            simulation.request(errand.address, payload)
        if step.deadline_ns is not None:
            errand.deadline = simulation.call_at(step.deadline_ns, partial(self._woken, errand))
        if step.completion is not None:
            if simulation.is_connected(errand.address):
                simulation.disconnect(errand.address)
            errand.ended(step.completion.value)

    def _received(self, errand: _Errand, payload: Any) -> None:
        self._take(errand, errand.session.received(self._simulation.now_ns, payload))

    def _disconnected(self, errand: _Errand, delivered: bool) -> None:
        self._take(errand, errand.session.disconnected(self._simulation.now_ns, delivered=delivered))

    def _woken(self, errand: _Errand) -> None:
        errand.deadline = None
        self._take(errand, errand.session.wake(self._simulation.now_ns))


class _Membership(OrderedMembership):
    def healed(self, probe: Probe, since_ns: int) -> str | None:
        return "the membership is as ordered" if self.returned() else None


class _Transfer(OrderedTransfer):
    def __init__(self, spoke: Spoke) -> None:
        super().__init__()
        self._spoke = spoke

    def healed(self, probe: Probe, since_ns: int) -> str | None:
        return reported_again(self._spoke, probe, since_ns)


class _Snapshots(OrderedSnapshots):
    def __init__(self, spoke: Spoke) -> None:
        super().__init__()
        self._spoke = spoke

    def healed(self, probe: Probe, since_ns: int) -> str | None:
        return reported_again(self._spoke, probe, since_ns)


class OutrunNodes(BlockLinks):
    """`cluster.outrun`: cut off until the leader's log has nothing for the node, two thirds of the time at most.

    Then it is connected again, so that it can be seen to take over a snapshot.
    """

    def __init__(self, simulation: Simulation, spoke: Spoke) -> None:
        super().__init__(simulation, spoke)
        self._simulation = simulation
        self._equipment: Desk | None = None
        self._installed_before: dict[str, dict[str, int]] = {}
        self._cut: set[str] = set()

    def equip(self, desk: Desk) -> None:
        """Use this desk."""
        self._equipment = desk

    def apply(self, action: Apply) -> str:
        fault_id = action.fault.id
        self._installed_before[fault_id] = {node: self._desk.installs(node) for node in action.resolved}
        rule = super().apply(action)
        self._cut.add(fault_id)
        self._desk.later(action.fault.for_ns * 2 // 3, partial(self._connect, fault_id))
        for node in action.resolved:
            self._outrun(fault_id, node)
        return f"{rule}, until the leader's log has nothing for {' '.join(action.resolved)}"

    def undo(self, action: Undo) -> Counts:
        before = self._installed_before.pop(action.fault_id)
        self._connect(action.fault_id)
        installed = sum([self._desk.installs(node) - count for node, count in before.items()])
        self._undone(action)
        dropped = self._network.dropped(self._rules.pop(action.fault_id)[-1])
        return {"packets_dropped": dropped, "snapshots_installed": installed}

    @property
    def _desk(self) -> Desk:
        assert self._equipment is not None, "the world equips its mechanisms"
        return self._equipment

    def _outrun(self, fault_id: str, node: str) -> None:
        def ended(performed: Performed) -> None:
            if performed.settled:
                self._connect(fault_id)
            elif fault_id in self._cut:
                self._outrun(fault_id, node)

        self._desk.order(Operation(Order.OUTRUN, value=node), ended)

    def _connect(self, fault_id: str) -> None:
        if fault_id in self._cut:
            self._cut.remove(fault_id)
            self._network.reset(tuple(self._pairs[fault_id]))  # a stream would still bring what it kept
            self._network.unblock(self._rules[fault_id][-1])


ORDER_MECHANISMS: Mapping[str, MechanismFactory] = {
    "cluster.membership": lambda simulation, spoke: _Membership(),
    "cluster.transfer": lambda simulation, spoke: _Transfer(spoke),
    "cluster.snapshot": lambda simulation, spoke: _Snapshots(spoke),
    "cluster.outrun": OutrunNodes,
}
"""Name in the nemesis registry -> mechanism."""
