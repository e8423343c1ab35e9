"""What kind of world a simulated run takes place in, drawn per seed beside its faults and saved with them in the plan.

Words of closed lists, as the parameters of faults are; a plan that does not mention a condition has its first value,
so plans saved before a condition was thought of mean what they meant. Other environments have the world they have.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from random import Random

import msgspec

from histrio.simulation.errors import BadProfile
from histrio.simulation.profile import Profile

__all__ = ["CONDITIONS", "Condition", "check_conditions", "conditions_table", "draw_conditions", "profile_under"]


class Condition(msgspec.Struct, frozen=True):
    """One property of the world."""

    weights: dict[str, int]
    """Value -> how often a seed draws it, against the others."""
    description: str


CONDITIONS: dict[str, Condition] = {
    "links": Condition(
        {"datagram": 7, "stream": 3},
        "units between nodes are lost, repeated and overtaken, or come in order on connections that stall and break",
    ),
    "ties": Condition(
        {"none": 7, "100us": 2, "1ms": 1},
        "arrivals between nodes are rounded up to a multiple, so that many come at the same time",
    ),
    "buggify": Condition(
        {"off": 1, "on": 1},
        "the adapter's nodes do unlikely things that are allowed: `histrio.simulation.buggify`",
    ),
}
"""All conditions by name. The first value is that of a plan that does not say."""

_QUANTUM_NS = {"none": 0, "100us": 100_000, "1ms": 1_000_000}
_NOTHING_ON_STREAMS = ("net-duplicate",)
"""Kinds of fault that a connection hides: they would be asked for and never take effect."""


def draw_conditions(seed: int, kinds: Collection[str]) -> dict[str, str]:
    """The world of a seed whose plan has faults of these kinds."""
    drawn = {}
    for name, condition in CONDITIONS.items():
        random = Random(f"{seed}/world/{name}")
        drawn[name] = random.choices(tuple(condition.weights), weights=tuple(condition.weights.values()))[0]
    if any(kind in kinds for kind in _NOTHING_ON_STREAMS):
        drawn["links"] = "datagram"
    return drawn


def check_conditions(world: Mapping[str, str]) -> None:
    """Raises BadProfile for a condition or a value that does not exist."""
    for name, value in world.items():
        if name not in CONDITIONS:
            raise BadProfile(f"world.{name}: no such condition; known: {', '.join(CONDITIONS)}")
        if value not in CONDITIONS[name].weights:
            raise BadProfile(f"world.{name}: {value!r} is not one of {', '.join(CONDITIONS[name].weights)}")


def profile_under(profile: Profile, world: Mapping[str, str]) -> Profile:
    """`profile` in a world with these conditions; what is not mentioned stays."""
    links = profile.links
    if world.get("links") == "stream":
        links = msgspec.structs.replace(links, kind="stream")
    if quantum_ns := _QUANTUM_NS[world.get("ties", "none")]:
        links = msgspec.structs.replace(links, quantum_ns=quantum_ns)
    return msgspec.structs.replace(profile, links=links)


def conditions_table() -> str:
    """The conditions as a Markdown table, for docs/simulation.md."""
    rows = ["| condition | values, and how often | meaning |", "|---|---|---|"]
    for name, condition in CONDITIONS.items():
        total = sum(condition.weights.values())
        values = ", ".join(f"`{value}` {100 * weight // total} %" for value, weight in condition.weights.items())
        rows.append(f"| `{name}` | {values} | {condition.description} |")
    return "\n".join(rows) + "\n"
