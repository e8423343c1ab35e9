"""Kinds of fault of the families `membership`, `transfer` and `snapshot`: what operators order. A literal.

Nothing here is broken: a system promises to go on while its operators do such things, also when all else goes wrong.
"""

from __future__ import annotations

from nemesis.kinds import Family, Hold, Kind, Parameter, Shape

__all__ = ["MEMBERSHIP", "SNAPSHOT", "TRANSFER"]

_MS = 1_000_000
_S = 1_000 * _MS

_MANNER = Parameter(
    "manner", ("removed", "learner"), "what becomes of the nodes: no members, or members without a vote"
)
_AGAIN = "all nodes become voting members again, with all they missed"
_NOTHING = "nothing: who leads then, leads"
_KEPT = "nothing: snapshots are kept or replaced as always"

MEMBERSHIP = Family(
    name="membership",
    description="nodes cease to be voting members, and return; a majority of all nodes stays",
    kinds=(
        Kind(
            name="membership-remove-one",
            family="membership",
            mechanism="cluster.membership",
            description="one node",
            undo=_AGAIN,
            evidence=("changes_committed",),
            parameters=(_MANNER,),
            triggers=("became-leader",),
            shape=Shape.TARGET,
            hold=Hold.MEMBERS,
            targets=("one", "follower"),
            nodes_min=3,
            lasts_ns=(600 * _MS, 3 * _S),
            trap_ns=(300 * _MS, 2 * _S),
            probe="node-answers",
        ),
        Kind(
            name="membership-remove-leader",
            family="membership",
            mechanism="cluster.membership",
            description="the leader, which leads the change and then steps down",
            undo=_AGAIN,
            evidence=("changes_committed",),
            parameters=(_MANNER,),
            triggers=("became-leader",),
            shape=Shape.TARGET,
            hold=Hold.MEMBERS,
            targets=("leader",),
            nodes_min=3,
            lasts_ns=(600 * _MS, 3 * _S),
            trap_ns=(300 * _MS, 2 * _S),
            probe="node-answers",
        ),
        Kind(
            name="membership-shrink",
            family="membership",
            mechanism="cluster.membership",
            description="a minority in one change; the cluster grows again at the end",
            undo=_AGAIN,
            evidence=("changes_committed",),
            parameters=(_MANNER,),
            shape=Shape.TARGET,
            hold=Hold.MEMBERS,
            targets=("minority",),
            nodes_min=3,
            lasts_ns=(600 * _MS, 3 * _S),
            weight=2,
            probe="node-answers",
        ),
        Kind(
            name="membership-replace",
            family="membership",
            mechanism="cluster.membership",
            description="one node, and after a while another in its place",
            undo=_AGAIN,
            evidence=("changes_committed",),
            parameters=(
                Parameter("manner", ("at-once", "one-by-one"), "how they are exchanged: in one change, or in two"),
            ),
            shape=Shape.TARGET,
            hold=Hold.MEMBERS,
            targets=("pair",),
            nodes_min=3,
            lasts_ns=(900 * _MS, 4 * _S),
            weight=2,
            probe="node-answers",
        ),
    ),
)

TRANSFER = Family(
    name="transfer",
    description="the leader hands over on request",
    kinds=(
        Kind(
            name="transfer-leader",
            family="transfer",
            mechanism="cluster.transfer",
            description="to another node",
            undo=_NOTHING,
            evidence=("transfers_done",),
            parameters=(
                Parameter("to", ("drawn", "laggard"), "to any node, or to the one whose log is furthest behind"),
            ),
            triggers=("became-leader", "appended"),
            shape=Shape.TARGET,
            hold=Hold.NOTHING,
            targets=("follower",),
            nodes_min=2,
            lasts_ns=(400 * _MS, 2 * _S),
            trap_ns=(100 * _MS, 1 * _S),
            probe="node-answers",
        ),
        Kind(
            name="transfer-storm",
            family="transfer",
            mechanism="cluster.transfer",
            description="again and again, to whom the leader likes",
            undo=_NOTHING,
            evidence=("transfers_done",),
            shape=Shape.TARGET,
            hold=Hold.NOTHING,
            targets=("all",),
            nodes_min=2,
            lasts_ns=(500 * _MS, 2 * _S),
            weight=2,
            probe="node-answers",
        ),
    ),
)

SNAPSHOT = Family(
    name="snapshot",
    description="nodes take a snapshot of what they have applied, at once",
    kinds=(
        Kind(
            name="snapshot-one",
            family="snapshot",
            mechanism="cluster.snapshot",
            description="one node",
            undo=_KEPT,
            evidence=("snapshots_taken",),
            triggers=("became-leader", "committed", "snapshot-installing"),
            shape=Shape.TARGET,
            hold=Hold.NOTHING,
            targets=("one", "follower", "self"),
            nodes_min=1,
            lasts_ns=(300 * _MS, 1 * _S),
            trap_ns=(50 * _MS, 500 * _MS),
            probe="node-answers",
        ),
        Kind(
            name="snapshot-leader",
            family="snapshot",
            mechanism="cluster.snapshot",
            description="the leader",
            undo=_KEPT,
            evidence=("snapshots_taken",),
            triggers=("became-leader", "committed"),
            shape=Shape.TARGET,
            hold=Hold.NOTHING,
            targets=("leader",),
            nodes_min=1,
            lasts_ns=(300 * _MS, 1 * _S),
            trap_ns=(50 * _MS, 500 * _MS),
            probe="node-answers",
        ),
        Kind(
            name="snapshot-all",
            family="snapshot",
            mechanism="cluster.snapshot",
            description="all nodes",
            undo=_KEPT,
            evidence=("snapshots_taken",),
            shape=Shape.TARGET,
            hold=Hold.NOTHING,
            targets=("all",),
            nodes_min=1,
            lasts_ns=(300 * _MS, 1 * _S),
            weight=2,
            probe="node-answers",
        ),
    ),
)
