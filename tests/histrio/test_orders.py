"""Orders to operators as faults: members, transfers and snapshots (issue 3, item 1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from checker.faults import FaultStatus
from checker.records import Configuration, Snapshot, Validity
from histrio.environments.orders import ORDERS, OrderedMembership
from histrio.errors import UsageProblem
from histrio.planning import plan_trial
from histrio.systems.raft_trio import RAFT_TRIO, RaftTrio
from histrio.systems.raft_trio_operator import RaftTrioOperator
from histrio.systems.system import Order, Performed
from nemesis.injector import Apply, Undo
from nemesis.plan import AtTime, Fault
from nemesis.registry import KINDS
from nemesis.settings import Reconfiguration
from raft_trio.messages import ChangeMembership, Done, Refusal, Refused, Status, StatusReport
from raft_trio.types import Config, Role
from tests.histrio.running import SHORT, run
from workloads.session import Operation

ORDERED = [kind.name for kind in KINDS.values() if kind.mechanism in ORDERS]
NODES = ("n1", "n2", "n3")


@pytest.mark.parametrize("kind", ORDERED)
def test_an_order_of_each_kind_is_obeyed_and_survived(kind: str, tmp_path: Path) -> None:
    """Evidence is the system's answer; at the end every node is a voting member again."""
    spec = msgspec.structs.replace(SHORT, nodes=5, nemesis=(kind,), time_limit_s=2.5)
    ran = run(tmp_path, spec)
    assert ran.verdict.validity is Validity.VALID, ran.verdict.signature
    effective = [fault for fault in ran.faults if fault.status is FaultStatus.EFFECTIVE]
    assert effective
    assert all(fault.healed_ns is not None for fault in effective)
    events = [line.event for line in ran.directory.read_trace().records]
    configurations = [event for event in events if isinstance(event, Configuration)]
    last = max(configurations, key=lambda event: event.index)
    assert (len(last.voters), last.voters_outgoing, last.learners) == (5, (), ())
    if kind.startswith("membership"):
        assert min(len(event.voters) for event in configurations) < 5
    if kind == "partition-until-snapshot":
        assert any(isinstance(event, Snapshot) and event.installed for event in events)


@pytest.mark.parametrize("name", ["membership", "transfer-leader", "partition-until-snapshot"])
def test_a_system_without_an_operator_refuses_orders_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 6, item 3: a kind asked for by name that cannot be done is refused when the trial is planned."""
    monkeypatch.setattr(RaftTrio, "orders", frozenset())
    with pytest.raises(UsageProblem, match="cannot give raft_trio such an order"):
        plan_trial(msgspec.structs.replace(SHORT, nemesis=(name,)))
    trial = plan_trial(msgspec.structs.replace(SHORT, nodes=5, nemesis=("all",)))
    assert set(ORDERED) <= set(trial.skipped)


def test_a_plan_that_outruns_a_follower_sets_the_log_that_is_needed_and_leaves_the_users_choice() -> None:
    asked = msgspec.structs.replace(SHORT, nemesis=("partition-until-snapshot",))
    assert plan_trial(asked).spec.system_options == RAFT_TRIO.options_for([Order.OUTRUN])
    chosen = msgspec.structs.replace(asked, system_options={"trailing_logs": "20"})
    assert plan_trial(chosen).spec.system_options == {"trailing_logs": "20"}


# ── one membership for all faults ────────────────────────────────────────────────────────────────────────────────────


class Clerk:
    """A desk at which orders lie until the test carries them out."""

    def __init__(self, nodes: tuple[str, ...]) -> None:
        self._nodes = nodes
        self.orders: list[tuple[Any, Callable[[Performed], None]]] = []
        self.calls: list[Callable[[], None]] = []
        self.returning = False

    def nodes(self) -> tuple[str, ...]:
        return self._nodes

    def order(self, operation: Operation, ended: Callable[[Performed], None]) -> None:
        self.orders.append((operation.value, ended))

    def later(self, delay_ns: int, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def installs(self, node: str) -> int:
        return 0

    def expect_members(self, returning: bool) -> None:
        self.returning = returning

    def carry_out(self, performed: Performed) -> Any:
        """End the oldest order and let time pass; gives what was ordered."""
        value, ended = self.orders.pop(0)
        ended(performed)
        calls, self.calls = self.calls, []
        for call in calls:
            call()
        return value


def applied(fault_id: str, *nodes: str) -> Apply:
    return Apply(
        fault=Fault(id=fault_id, kind="membership-remove-one", at=AtTime(0), for_ns=1_000_000_000),
        mechanism="cluster.membership",
        resolved=nodes,
        nodes=nodes,
        pairs=(),
        startable=nodes,
        setting=Reconfiguration("removed"),
        ends_ns=1_000_000_000,
    )


def test_faults_that_overlap_add_up_and_a_majority_stays() -> None:
    clerk, membership = Clerk(("n1", "n2", "n3", "n4", "n5")), OrderedMembership()
    membership.equip(clerk)
    membership.apply(applied("f1", "n1"))
    membership.apply(applied("f2", "n2", "n3"))
    assert len(clerk.orders) == 1
    assert clerk.carry_out(Performed({"changes_committed": 1}, ("n1",))) == (("n2", "n3", "n4", "n5"), ())
    assert clerk.carry_out(Performed({"changes_committed": 1}, ("n2",))) == (("n3", "n4", "n5"), ())
    assert membership.undo(Undo(fault_id="f1", mechanism="", nodes=("n1",), startable=())) == {"changes_committed": 1}
    assert not clerk.returning
    assert membership.undo(Undo(fault_id="f2", mechanism="", nodes=("n2",), startable=())) == {"changes_committed": 1}
    assert clerk.returning
    clerk.carry_out(Performed(settled=True))
    assert not membership.returned()
    assert clerk.carry_out(Performed(settled=True)) == (("n1", "n2", "n3", "n4", "n5"), ())
    assert membership.returned()
    assert not clerk.returning


# ── the operator ─────────────────────────────────────────────────────────────────────────────────────────────────────


def report(operation: str, node: str, config: Config, role: Role = Role.LEADER) -> StatusReport:
    return StatusReport(operation, node, role, 1, "n1", 9, 9, 1, 9, 0, config, 3)


def test_an_operator_follows_to_the_leader_and_counts_only_what_was_committed() -> None:
    operator = RaftTrioOperator(NODES, patience_ns=1_000_000_000)
    everybody = Config(voters=NODES)
    step = operator.invoke(0, Operation(Order.MEMBERS, value=(("n1", "n3"), ())), "o1")
    step = operator.disconnected(1, delivered=False)
    assert step.deadline_ns is not None
    step = operator.wake(step.deadline_ns)
    assert step.node == "n2"
    operator.received(30_000_000, report(step.sends[0].operation, "n2", everybody, Role.FOLLOWER))
    step = operator.wake(60_000_000)
    assert step.node == "n1"
    assert isinstance(step.sends[0], Status)
    step = operator.received(70_000_000, report(step.sends[0].operation, "n1", everybody))
    assert step.sends == (ChangeMembership(step.sends[0].operation, remove=("n2",)),)
    operator.received(80_000_000, Refused(step.sends[0].operation, Refusal.CHANGE_IN_PROGRESS, "n1"))
    step = operator.wake(110_000_000)
    step = operator.received(120_000_000, report(step.sends[0].operation, "n1", everybody))
    step = operator.received(130_000_000, Done(step.sends[0].operation, b"", 1, 10))
    assert step.completion is not None
    assert step.completion.value == Performed({"changes_committed": 1}, ("n2",))


def test_an_operator_whom_nobody_obeys_gives_up_with_nothing_performed() -> None:
    operator = RaftTrioOperator(NODES, patience_ns=1_000_000_000)
    step = operator.invoke(0, Operation(Order.TRANSFER), "o1")
    asked = []
    while step.completion is None:
        assert step.deadline_ns is not None
        asked += [step.node] if step.sends else []
        step = operator.wake(step.deadline_ns)
    assert set(asked) == set(NODES)
    assert step.completion.value == Performed()
