"""What a kind of fault and a family of kinds are, and the words they are made of.

Here belong records and vocabularies. The kinds themselves are a literal in `nemesis.registry`, how a kind's nodes are
found in `nemesis.targets`, how it is carried out an environment's affair (`nemesis.mechanism`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

__all__ = ["EVENTS", "MECHANISMS", "TARGETS", "Family", "Hold", "Kind", "Parameter", "Shape", "Trigger"]

MECHANISMS: dict[str, str] = {
    "network.block": "drop all messages of chosen directed pairs of nodes",
    "process.kill": "end a process as SIGKILL does, keeping what the system wrote, and start it again",
    "process.pause": "stop a process as SIGSTOP does, keeping its inputs for later",
    "process.power-loss": "end a process and lose what it wrote and did not sync, and start it again",
}
"""What an environment may offer, by name; a kind needs one of these."""

TARGETS: dict[str, str] = {
    "leader": "the node that leads, as far as the environment knows; none known, or already held: as `one`",
    "follower": "a node that is up, does not lead and is not held by a fault of the same mechanism",
    "one": "a node that is up and not held by a fault of the same mechanism",
    "minority": "the largest number of nodes that is less than half",
    "majority": "the smallest number of nodes that is more than half",
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
    "acknowledged": Trigger("the node told a client that its operation took effect", 60, 4),
}
"""Events that `AtEvent` may name. Environments translate what their nodes report into these words."""


class Hold(StrEnum):
    """What a fault keeps from being normal while it lasts. A node returns when the last fault that holds it ends."""

    LINKS = "links"
    DOWN = "down"
    PAUSED = "paused"


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


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a kind: a closed list of values."""

    name: str
    choices: tuple[str, ...]
    description: str


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
