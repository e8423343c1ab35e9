"""Kinds of fault of the families `partition` and `net`: messages between nodes are dropped, late or spoilt. A literal.

Lengths are chosen against heartbeats (tens of milliseconds) and elections (hundreds): a partition under 300 ms may pass
unnoticed, an outage over 4 s teaches nothing that one of 2 s did not.
"""

from __future__ import annotations

from functools import partial

from nemesis.kinds import MESSAGES, Family, Hold, Kind, Parameter, Shape

__all__ = ["NET", "PARTITION"]

_MS = 1_000_000
_S = 1_000 * _MS

_LEADER_SIDE = Parameter("leader", ("minority", "anywhere"), "whether the leader is forced into the smaller side")
_DIRECTION = Parameter("direction", ("out", "in"), "whether the target is not heard (out) or does not hear (in)")

PARTITION = Family(
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
        Kind(
            name="partition-until-snapshot",
            family="partition",
            mechanism="cluster.outrun",
            description="a follower, until what it misses is only in the leader's snapshot",
            undo="all blocked pairs carry again, at the latest",
            evidence=("snapshots_installed",),
            shape=Shape.CUT_OFF,
            hold=Hold.LINKS,
            targets=("follower",),
            nodes_min=3,
            lasts_ns=(1 * _S, 3 * _S),
            weight=2,
            probe="links-carry",
        ),
    ),
)

_TARGET_LINKS = Parameter(
    "links", ("both", "out", "in"), "which links of the target: all, those from it, or those to it; of `all` nodes: all"
)

_net = partial(
    Kind,
    family="net",
    undo="the links are as before",
    shape=Shape.LINKS,
    hold=Hold.LINKS,
    targets=("all", "one", "leader"),
    nodes_min=2,
    lasts_ns=(300 * _MS, 4 * _S),
    probe="links-carry",
)

NET = Family(
    name="net",
    description="messages between nodes are lost, late, repeated or spoilt; clients still reach their nodes",
    kinds=(
        _net(
            name="net-loss",
            mechanism="network.disturb",
            description="a share of the messages is lost",
            evidence=("packets_lost",),
            parameters=(_TARGET_LINKS, Parameter("loss", ("30%", "10%", "60%"), "share of the messages")),
        ),
        _net(
            name="net-delay",
            mechanism="network.disturb",
            description="messages are late, each by its own time",
            evidence=("packets_delayed",),
            parameters=(
                _TARGET_LINKS,
                Parameter("delay", ("60ms", "20ms", "150ms", "400ms"), "shortest delay"),
                Parameter("jitter", ("20ms", "0ms", "100ms"), "up to so much more"),
            ),
        ),
        _net(
            name="net-reorder",
            mechanism="network.disturb",
            description="a share of the messages is held back, so that later ones overtake them",
            evidence=("packets_reordered",),
            parameters=(_TARGET_LINKS, Parameter("reordering", ("30%", "10%"), "share of the messages")),
        ),
        _net(
            name="net-duplicate",
            mechanism="network.disturb",
            description="a share of the messages arrives twice, the second time later",
            evidence=("packets_duplicated",),
            parameters=(_TARGET_LINKS, Parameter("duplication", ("40%", "10%"), "share of the messages")),
        ),
        _net(
            name="net-corrupt",
            mechanism="network.disturb",
            description="bits of a share of the messages flip, on the way or where checksums are made anew",
            evidence=("packets_corrupted",),
            parameters=(
                _TARGET_LINKS,
                Parameter("corruption", ("20%", "5%"), "share of the messages"),
                Parameter(
                    "checksums",
                    ("detected", "silent"),
                    "of the network: they tell, and the message comes again (detected), or they fit (silent)",
                ),
            ),
        ),
        _net(
            name="net-flaky",
            mechanism="network.disturb",
            description="some of everything: loss, delay, repetition, another order, corruption",
            evidence=("packets_lost", "packets_delayed", "packets_reordered", "packets_duplicated"),
            parameters=(_TARGET_LINKS, Parameter("level", ("rough", "mild", "storm"), "how much of it")),
        ),
        _net(
            name="net-slow",
            mechanism="network.throttle",
            description="little bandwidth, so that messages queue up",
            evidence=("packets_throttled",),
            parameters=(
                _TARGET_LINKS,
                Parameter("bandwidth", ("16kB/s", "4kB/s", "64kB/s"), "of each link and direction"),
            ),
        ),
        _net(
            name="net-filter",
            mechanism="network.filter",
            description="one kind of message is dropped, all others pass",
            evidence=("packets_dropped",),
            targets=("all", "one", "leader", "self"),
            parameters=(
                _TARGET_LINKS,
                Parameter("messages", tuple(MESSAGES), "the kind of message", surest="append-response"),
            ),
            lasts_ns=(500 * _MS, 4 * _S),
            trap_ns=(50 * _MS, 1 * _S),
            triggers=("became-candidate", "became-leader", "voted", "truncated"),
        ),
        _net(
            name="net-swizzle",
            mechanism="network.block",
            description="some nodes are cut off one after the other, and come back so in another order",
            undo="all blocked pairs carry again",
            evidence=("packets_dropped",),
            shape=Shape.SWIZZLE,
            targets=(),
            parameters=(Parameter("nodes", ("majority", "minority", "all"), "how many are cut off"),),
            nodes_min=3,
            lasts_ns=(1 * _S, 4 * _S),
        ),
        _net(
            name="net-reset",
            mechanism="network.reset",
            description="connections are reset again and again; what is on its way is lost",
            undo="connections last again",
            evidence=("connections_reset",),
            targets=("all", "one", "leader", "self"),
            parameters=(_TARGET_LINKS,),
            trap_ns=(20 * _MS, 500 * _MS),
            triggers=("became-leader", "appended", "truncated"),
        ),
    ),
)
