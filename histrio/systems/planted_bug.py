"""What a planted bug of raft_trio is: a catalogue entry, and how to make the node or the client that has it.

Here belongs the record; the bugs are in the modules `raft_trio_bugs_*`, one for each family of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from histrio.systems.system import Bug
from raft_trio.build import Build
from workloads.session import Session

__all__ = ["PlantedBug"]


def _correct_build(build: Build) -> Build:
    return build


def _correct_client(session: Session) -> Session:
    return session


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """A catalogue entry and what is different with it."""

    bug: Bug
    plant: Callable[[Build], Build] = _correct_build
    """The correct build -> the broken one."""
    client: Callable[[Session], Session] = _correct_client
    """A correct client session -> the broken one."""
