"""What a kind of fault and a family of kinds are, and the words they are made of.

Here belong records and vocabularies. The kinds themselves are a literal in `nemesis.registry`, how a kind's nodes are
found in `nemesis.targets`, how it is carried out an environment's affair (`nemesis.mechanism`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

__all__ = ["EVENTS", "MECHANISMS", "MESSAGES", "TARGETS", "Family", "Hold", "Kind", "Parameter", "Shape", "Trigger"]

MECHANISMS: dict[str, str] = {
    "network.block": "drop all messages of chosen directed pairs of nodes",
    "network.disturb": "lose, delay, reorder, duplicate or corrupt messages of chosen directed pairs",
    "network.throttle": "limit the bandwidth of chosen directed pairs",
    "network.filter": "drop messages of one kind of chosen directed pairs",
    "network.reset": "reset the connections of chosen directed pairs",
    "process.kill": "end a process as SIGKILL does, keeping what the system wrote, and start it again",
    "process.pause": "stop a process as SIGSTOP does, keeping its inputs for later",
    "process.power-loss": "end a process and lose what it wrote and did not sync, and start it again",
    "process.terminate": "ask a process to end, as SIGTERM does, and start it again",
    "clock.step": "move a node's clock by an offset",
    "clock.strobe": "move a node's clock ahead and back, again and again",
    "clock.rate": "let a node's clock run faster or slower",
    "disk.full": "fail writes with ENOSPC",
    "disk.error": "fail operations with EIO",
    "disk.read-only": "fail whatever changes a file with EROFS",
    "disk.slow": "let syncs take longer",
    "disk.hang": "let syncs not come back",
    "disk.tear": "end a process in a write, and keep any sectors of what it did not sync, and start it again",
    "disk.flip": "flip bits of what a node has stored while it is down",
    "disk.truncate": "cut off the end of a file of a node while it is down",
    "disk.misdirect": "let a write land in another place of its file",
    "resource.cpu": "give a process little processor time",
    "resource.memory": "give a process too little memory",
    "resource.files": "give a process no more file descriptors",
    "cluster.membership": "order other members, and at the end all nodes again",
    "cluster.transfer": "order leadership to be handed over",
    "cluster.snapshot": "order nodes to take a snapshot now",
    "cluster.outrun": "cut nodes off, and order snapshots until what they need is gone from the leader's log",
}
"""What an environment may offer, by name; a kind needs one of these."""

TARGETS: dict[str, str] = {
    "leader": "the node that leads, as far as the environment knows; none known, or already held: as `one`",
    "follower": "a node that is up, does not lead and is not held by a fault of the same mechanism",
    "one": "a node that is up and not held by a fault of the same mechanism",
    "minority": "the largest number of nodes that is less than half",
    "majority": "the smallest number of nodes that is more than half",
    "pair": "two nodes, the leader not among them if there are others",
    "all": "all nodes",
    "self": "the node that reported the event; only with an event",
}
"""Symbols for nodes, resolved when the fault is injected."""


class Trigger(msgspec.Struct, frozen=True):
    """An event that nodes report and that may start a fault."""

    description: str
    per_second: int
    """About how many of them to wait for per second of load, at 200 operations per second; 0: a few per run."""
    weight: int
    """How often a plan uses it, against the others."""


EVENTS: dict[str, Trigger] = {
    "became-leader": Trigger("the node became leader", 0, 4),
    "became-candidate": Trigger("the node began to campaign", 0, 1),
    "voted": Trigger("the node granted a vote, possibly to itself", 0, 6),
    "restored": Trigger("the node has read its disk and begins to take part", 0, 2),
    "truncated": Trigger("the node removed entries that another leader did not have", 0, 1),
    "appended": Trigger("the node put an entry into its log, in memory", 300, 3),
    "synced": Trigger("entries became durable on the node", 150, 2),
    "committed": Trigger("the node's commit index moved", 150, 2),
    "snapshot-installing": Trigger("the node takes over a snapshot from the leader, which is not durable yet", 0, 1),
    "acknowledged": Trigger("the node told a client that its operation took effect", 60, 4),
}
"""Events that `AtEvent` may name. Environments translate what their nodes report into these words."""


MESSAGES: dict[str, str] = {
    "append-response": "answers to replicated entries and heartbeats",
    "append-request": "replicated entries and heartbeats",
    "snapshot-response": "answers to parts of a snapshot",
    "snapshot-request": "parts of a snapshot",
    "vote-response": "answers to candidates",
    "vote-request": "requests for votes",
}
"""Kinds of message that `network.filter` may drop. Systems translate what their nodes send into these words."""


class Hold(StrEnum):
    """What a fault keeps from being normal while it lasts.

    Of nodes that are down or paused, each returns when the last fault that holds it ends. All else is kept by fault:
    each has its own rule, rules add up, and a fault that ends takes its rule away.
    """

    LINKS = "links"
    DOWN = "down"
    PAUSED = "paused"
    CLOCK = "clock"
    DISK = "disk"
    LIMITS = "limits"
    MEMBERS = "members"
    NOTHING = "nothing"
    """What it orders is within the system's promises, and nothing has to return."""

    @property
    def by_node(self) -> bool:
        """Whether nodes are held, as against rules kept."""
        return self in (Hold.DOWN, Hold.PAUSED)


class Shape(StrEnum):
    """Which nodes a kind hits, and for partitions how it separates them."""

    TARGET = "target"
    """The target's nodes, each of them."""
    HALVES = "halves"
    CUT_OFF = "cut-off"
    """The target's nodes from all others."""
    ONE_WAY = "one-way"
    """As `CUT_OFF`, in one direction."""
    BRIDGE = "bridge"
    RING = "ring"
    LINKS = "links"
    """The links of the target's nodes: from them, to them, or both."""
    SWIZZLE = "swizzle"
    """Some nodes are cut off one by one, and come back one by one in another order."""


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a kind: a closed list of values, the first of which holds where a plan does not say."""

    name: str
    choices: tuple[str, ...]
    description: str
    surest: str | None = None
    """The value that is surest to leave evidence: plans use it where a fault must take effect."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of fault."""

    name: str
    family: str
    mechanism: str
    """A name of `MECHANISMS`."""
    description: str
    undo: str
    """How it ends."""
    evidence: tuple[str, ...]
    """Names of counts, any of which above zero shows that it had an effect."""
    shape: Shape
    hold: Hold
    targets: tuple[str, ...] = ()
    """Symbols a plan may use; empty: the kind has its own way to choose."""
    parameters: tuple[Parameter, ...] = ()
    nodes_min: int
    """It means nothing in a smaller cluster."""
    lasts_ns: tuple[int, int]
    """Shortest and longest duration when started by the clock."""
    trap_ns: tuple[int, int] | None = None
    """The same when started by an event; None: by the clock only."""
    triggers: tuple[str, ...] = ()
    """Events its traps wait for: those at which it has something to break; empty: all of `EVENTS`."""
    weight: int = 4
    """How often a plan uses it, against the other kinds of its family."""
    probe: Literal["links-carry", "node-answers"]
    """What shows, after the end, that it has ended."""


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Kinds of fault that are asked for together."""

    name: str
    description: str
    kinds: tuple[Kind, ...]
