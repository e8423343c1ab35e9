"""Rules on links and what they did, as records; what follows from them for a unit is `histrio.simulation.links`."""

from __future__ import annotations

import msgspec

from histrio.simulation.errors import BadProfile

__all__ = ["Block", "Disturbance", "DisturbanceCounts", "DisturbanceRule", "LinkCounts"]


class Disturbance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rule adds to a link's own trouble. Probabilities per unit, nanoseconds.

    On a stream link loss and corruption cost a retransmission, a unit held back holds up all behind it, and duplication
    does nothing. Corrupted units do not pass the network's checksum. With `silent` they do, but not that of the
    receiver's frames: it takes nothing from the unit, and hangs up on a stream, which loses what is under way.
    """

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    corruption: float = 0.0
    silent: bool = False
    delay_min_ns: int = 0
    delay_max_ns: int = 0

    def __post_init__(self) -> None:
        shares = (self.loss, self.duplication, self.reordering, self.corruption)
        if min(shares) < 0 or sum(shares) > 1:
            raise BadProfile(f"disturbance: probabilities {shares} must not be negative nor add up to more than 1")
        if not 0 <= self.delay_min_ns <= self.delay_max_ns:
            raise BadProfile(f"disturbance: delay from {self.delay_min_ns} to {self.delay_max_ns} ns is no range")


class DisturbanceCounts(msgspec.Struct):
    """What a rule did, in units. `lost` and `corrupted` on a stream: retransmitted. `reordered`: held back.

    `broken`: connections that a receiver gave up for a silently corrupted unit.
    """

    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    delayed: int = 0
    corrupted: int = 0
    broken: int = 0


class LinkCounts(msgspec.Struct):
    """What became of units, rules included. Every copy counts as delivered, so delivered may exceed sent."""

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    """By the link's own loss or by a rule; on a stream: retransmitted, or gone with a broken connection."""
    duplicated: int = 0
    overtaken: int = 0
    """Units that were held back and really were overtaken by a later one."""
    blocked: int = 0
    """Stopped by a block; on a stream they go on afterwards."""
    undeliverable: int = 0
    """Arrived at a node that was down."""


class Block(msgspec.Struct, eq=False):
    """A rule that lets nothing through. A unit stopped by several rules counts for each."""

    name: str
    dropped: int = 0


class DisturbanceRule(msgspec.Struct, eq=False):
    """A disturbance in force."""

    name: str
    disturbance: Disturbance
    counts: DisturbanceCounts
