"""The plan of faults: pure data that is replayed, re-enacted, shrunk, reviewed and kept as a regression.

Every fault carries its own duration, so any subset of a plan is a plan. Targets are symbolic (`leader`) and are
resolved at injection. Randomness used while carrying a fault out comes from a stream named after the fault's id, so
that removing one fault changes nothing for the others. No clock, no I/O, no mechanism here.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["AtEvent", "AtTime", "Fault", "Plan", "Target", "When"]


class AtTime(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="on", tag="time"):
    """Start `ns` nanoseconds after the load phase began."""

    ns: int


class AtEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="on", tag="event"):
    """Start when a node reports `event` for the `nth` time (from 1), `after_ns` or later after the load phase began.

    `where`: the node that must report it, or None for any. The node that reported it is the target `self`.
    """

    event: str
    where: str | None = None
    nth: int = 1
    after_ns: int | msgspec.UnsetType = msgspec.UNSET
    """Earlier occurrences are not counted: so a trap can follow a fault that a clock starts. Unset: from the start."""


When = AtTime | AtEvent

Target = str | tuple[str, ...]
"""A symbol (`leader`, `follower`, `one`, `minority`, `majority`, `pair`, `all`, `self`) or node names."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault."""

    id: str
    """Unique in the plan, stable under shrinking; keys the fault's random stream."""
    kind: str
    """A kind of the registry, such as `partition-halves`."""
    at: When
    for_ns: int
    """How long it lasts; then it is undone."""
    target: Target | None = None
    params: dict[str, Any] = {}
    resolved: tuple[str, ...] | None = None
    """Nodes hit in the run this plan was saved from; for people, ignored on replay."""


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """plan.json: all faults of a trial, with what is needed to read them alone."""

    version: int = 1
    seed: int
    nodes: tuple[str, ...]
    workload: str
    world: dict[str, str] = {}
    """Conditions of a simulated world that were drawn with the plan; what they mean is the simulator's affair."""
    faults: tuple[Fault, ...]
