"""What a planted bug of raft_trio is: a catalogue entry, and how to make the node that has it.

Here belongs the record; the bugs are in the modules `raft_trio_bugs_*`, one for each family of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from histrio.systems.system import Bug
from raft_trio.build import Build

__all__ = ["PlantedBug"]


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """A catalogue entry and what is different with it."""

    bug: Bug
    plant: Callable[[Build], Build]
    """The correct build -> the broken one."""
