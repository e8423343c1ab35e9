"""All kinds of faults. A literal: a kind exists if it is written here.

Lengths are chosen against heartbeats (tens of milliseconds) and elections (hundreds): a partition under 300 ms may pass
unnoticed, an outage over 4 s teaches nothing that one of 2 s did not. Traps are short, from 1 ms: what comes back at
once meets its own past, and event-driven crashes find what clocks do not.
"""

from __future__ import annotations

from nemesis.errors import UnknownNemesis
from nemesis.kinds import Family, Hold, Kind, Parameter, Shape

__all__ = ["FAMILIES", "KINDS", "kind_named"]

_MS = 1_000_000
_S = 1_000 * _MS

_LEADER_SIDE = Parameter("leader", ("minority", "anywhere"), "whether the leader is forced into the smaller side")
_DIRECTION = Parameter("direction", ("out", "in"), "whether the target is not heard (out) or does not hear (in)")

_PARTITION = Family(
    name="partition",
    description="messages between some nodes are dropped; clients still reach their nodes",
    kinds=(
        Kind(
            name="partition-halves",
            family="partition",
            mechanism="network.block",
            description="two halves, drawn; with an odd number of nodes one of them is a majority",
            undo="all blocked pairs carry again",
            evidence=("packets_dropped",),
            shape=Shape.HALVES,
            hold=Hold.LINKS,
            nodes_min=2,
            lasts_ns=(300 * _MS, 4 * _S),
            probe="links-carry",
        ),
        Kind(
            name="partition-one",
            family="partition",
            mechanism="network.block",
            description="one node alone",
            undo="all blocked pairs carry again",
            evidence=("packets_dropped",),
            shape=Shape.CUT_OFF,
            hold=Hold.LINKS,
            targets=("one", "follower", "self"),
            nodes_min=2,
            lasts_ns=(300 * _MS, 4 * _S),
            trap_ns=(50 * _MS, 1 * _S),
            probe="links-carry",
        ),
        Kind(
            name="partition-majority",
            family="partition",
            mechanism="network.block",
            description="the largest minority from the rest, the leader among the minority half of the time",
            undo="all blocked pairs carry again",
            evidence=("packets_dropped",),
            shape=Shape.CUT_OFF,
            hold=Hold.LINKS,
            targets=("minority",),
            parameters=(_LEADER_SIDE,),
            nodes_min=3,
            lasts_ns=(300 * _MS, 4 * _S),
            probe="links-carry",
        ),
        Kind(
            name="partition-one-way",
            family="partition",
            mechanism="network.block",
            description="one node is heard by none, or hears none, but not both",
            undo="all blocked pairs carry again",
            evidence=("packets_dropped",),
            shape=Shape.ONE_WAY,
            hold=Hold.LINKS,
            targets=("one", "leader", "self"),
            parameters=(_DIRECTION,),
            nodes_min=2,
            lasts_ns=(300 * _MS, 3 * _S),
            trap_ns=(50 * _MS, 1 * _S),
            probe="links-carry",
        ),
        Kind(
            name="partition-leader",
            family="partition",
            mechanism="network.block",
            description="the leader alone",
            undo="all blocked pairs carry again",
            evidence=("packets_dropped",),
            shape=Shape.CUT_OFF,
            hold=Hold.LINKS,
            targets=("leader",),
            nodes_min=2,
            lasts_ns=(300 * _MS, 3 * _S),
            trap_ns=(50 * _MS, 1 * _S),
            probe="links-carry",
        ),
        Kind(
            name="partition-bridge",
            family="partition",
            mechanism="network.block",
            description="two halves that hear nothing of each other, and one node that both hear",
            undo="all blocked pairs carry again",
            evidence=("packets_dropped",),
            shape=Shape.BRIDGE,
            hold=Hold.LINKS,
            nodes_min=3,
            lasts_ns=(300 * _MS, 3 * _S),
            weight=2,
            probe="links-carry",
        ),
        Kind(
            name="partition-ring",
            family="partition",
            mechanism="network.block",
            description="every node hears a majority, and no two nodes hear the same one",
            undo="all blocked pairs carry again",
            evidence=("packets_dropped",),
            shape=Shape.RING,
            hold=Hold.LINKS,
            nodes_min=4,
            lasts_ns=(300 * _MS, 3 * _S),
            weight=2,
            probe="links-carry",
        ),
    ),
)

_KILL = Family(
    name="kill",
    description="processes end as by SIGKILL and are started again; what they wrote, synced or not, is still there",
    kinds=(
        Kind(
            name="kill-one",
            family="kill",
            mechanism="process.kill",
            description="one node",
            undo="the process is started again",
            evidence=("processes_ended",),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("one", "follower", "self"),
            nodes_min=1,
            lasts_ns=(50 * _MS, 3 * _S),
            trap_ns=(1 * _MS, 1 * _S),
            probe="node-answers",
        ),
        Kind(
            name="kill-leader",
            family="kill",
            mechanism="process.kill",
            description="the leader",
            undo="the process is started again",
            evidence=("processes_ended",),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("leader",),
            nodes_min=1,
            lasts_ns=(50 * _MS, 3 * _S),
            trap_ns=(1 * _MS, 1 * _S),
            probe="node-answers",
        ),
        Kind(
            name="kill-minority",
            family="kill",
            mechanism="process.kill",
            description="as many nodes as the system promises to do without",
            undo="the processes are started again",
            evidence=("processes_ended",),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("minority",),
            nodes_min=3,
            lasts_ns=(100 * _MS, 3 * _S),
            weight=2,
            probe="node-answers",
        ),
        Kind(
            name="kill-majority",
            family="kill",
            mechanism="process.kill",
            description="more nodes than the system can serve without; nothing acknowledged may be lost",
            undo="the processes are started again",
            evidence=("processes_ended",),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("majority",),
            nodes_min=2,
            lasts_ns=(50 * _MS, 1 * _S),
            weight=1,
            probe="node-answers",
        ),
        Kind(
            name="kill-all",
            family="kill",
            mechanism="process.kill",
            description="all nodes at once",
            undo="the processes are started again",
            evidence=("processes_ended",),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("all",),
            nodes_min=1,
            lasts_ns=(50 * _MS, 800 * _MS),
            weight=1,
            probe="node-answers",
        ),
    ),
)

_PAUSE = Family(
    name="pause",
    description="processes stand still as by SIGSTOP and go on as if nothing had happened",
    kinds=(
        Kind(
            name="pause-one",
            family="pause",
            mechanism="process.pause",
            description="one node",
            undo="the process goes on",
            evidence=("inputs_held", "timers_shifted"),
            shape=Shape.TARGET,
            hold=Hold.PAUSED,
            targets=("one", "follower", "self"),
            nodes_min=1,
            lasts_ns=(200 * _MS, 3 * _S),
            trap_ns=(20 * _MS, 1 * _S),
            probe="node-answers",
        ),
        Kind(
            name="pause-leader",
            family="pause",
            mechanism="process.pause",
            description="the leader, which does not notice that time passes and others elect",
            undo="the process goes on",
            evidence=("inputs_held", "timers_shifted"),
            shape=Shape.TARGET,
            hold=Hold.PAUSED,
            targets=("leader",),
            nodes_min=1,
            lasts_ns=(200 * _MS, 3 * _S),
            trap_ns=(20 * _MS, 1 * _S),
            probe="node-answers",
        ),
    ),
)

_POWER_LOSS = Family(
    name="power-loss",
    description="a machine loses power: its process ends and what it did not sync is lost; never more than a minority "
    "at a time",
    kinds=(
        Kind(
            name="power-loss-one",
            family="power-loss",
            mechanism="process.power-loss",
            description="one node",
            undo="the process is started again on what the disk kept",
            evidence=("processes_ended", "unsynced_bytes_lost"),
            triggers=("appended", "voted"),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("one", "follower", "self"),
            nodes_min=1,
            lasts_ns=(50 * _MS, 2 * _S),
            trap_ns=(1 * _MS, 1 * _S),
            probe="node-answers",
        ),
        Kind(
            name="power-loss-leader",
            family="power-loss",
            mechanism="process.power-loss",
            description="the leader",
            undo="the process is started again on what the disk kept",
            evidence=("processes_ended", "unsynced_bytes_lost"),
            triggers=("appended", "voted"),
            shape=Shape.TARGET,
            hold=Hold.DOWN,
            targets=("leader",),
            nodes_min=1,
            lasts_ns=(50 * _MS, 2 * _S),
            trap_ns=(1 * _MS, 1 * _S),
            probe="node-answers",
        ),
    ),
)

FAMILIES: dict[str, Family] = {
    "partition": _PARTITION,
    "kill": _KILL,
    "pause": _PAUSE,
    "power-loss": _POWER_LOSS,
}
"""All families by name."""

KINDS: dict[str, Kind] = {kind.name: kind for family in FAMILIES.values() for kind in family.kinds}
"""All kinds by name."""


def kind_named(name: str) -> Kind:
    """The kind called `name`. Raises UnknownNemesis with a suggestion."""
    try:
        return KINDS[name]
    except KeyError:
        raise UnknownNemesis(name, tuple(KINDS)) from None
