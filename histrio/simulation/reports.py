"""What became of a process: that it ended itself, what a kill destroyed, what a pause held up. Records only."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from histrio.simulation.node import Address

__all__ = ["Exit", "KillReport", "PauseReport"]


class Exit(NamedTuple):
    """A node that ended itself. `reason` is the text of `Effects.failed`, or the exception and where it came from."""

    name: Address
    time_ns: int
    reason: str
    disk_at_fault: bool = False
    """It decided to, and its disk had failed it or held damage: a node that says so may have done what it should."""


class KillReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a kill destroyed: the evidence that it took effect. All but `incarnation` zero: nothing was there."""

    incarnation: int
    """The one that was killed; of a node that was down, the last one; 0: never started."""
    processes_ended: int = 0
    inputs_lost: int = 0
    """Inputs that had arrived and had not been worked on."""
    batches_lost: int = 0
    """File batches asked for that did not take effect as a whole."""
    connections_broken: int = 0
    unsynced_bytes_at_risk: int = 0
    """Power loss only, like the following: bytes of writes begun and not synced."""
    unsynced_bytes_lost: int = 0
    writes_lost: int = 0
    writes_torn: int = 0
    bytes_torn: int = 0
    """Bytes lost of writes that left a part of themselves behind."""
    truncations_lost: int = 0
    names_lost: int = 0


class PauseReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a pause held up. All zero: nothing was paused."""

    paused_ns: int = 0
    inputs_held: int = 0
    """Inputs, timers included, that waited for the process to go on."""
    timers_shifted: int = 0
    """Timers that came due during the pause and were noticed late."""
