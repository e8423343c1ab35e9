"""The tables of docs/nemesis.md, made from the registries so that the page cannot say anything else."""

from __future__ import annotations

from nemesis.kinds import EVENTS, MECHANISMS, TARGETS, Kind
from nemesis.registry import FAMILIES

__all__ = ["events_table", "kinds_table", "mechanisms_table", "targets_table"]


def kinds_table() -> str:
    """All kinds as a Markdown table, in the registry's order."""
    rows = ["| family | kind | what happens | lasts | needs | counts as evidence |", "|---|---|---|---|---|---|"]
    rows += [_row(kind) for family in FAMILIES.values() for kind in family.kinds]
    return "\n".join(rows) + "\n"


def _row(kind: Kind) -> str:
    evidence = ", ".join(f"`{name}`" for name in kind.evidence)
    lasts = _between(kind.lasts_ns) + (f"; trap {_between(kind.trap_ns)}" if kind.trap_ns else "")
    return f"| {kind.family} | `{kind.name}` | {kind.description} | {lasts} | `{kind.mechanism}` | {evidence} |"


def _between(between_ns: tuple[int, int]) -> str:
    shortest_ns, longest_ns = between_ns
    return f"{_time(shortest_ns)} to {_time(longest_ns)}"


def _time(length_ns: int) -> str:
    milliseconds = length_ns // 1_000_000
    return f"{milliseconds // 1000} s" if milliseconds % 1000 == 0 else f"{milliseconds} ms"


def _pairs(heading: str, pairs: dict[str, str]) -> str:
    rows = [f"| {heading} | meaning |", "|---|---|", *[f"| `{name}` | {text} |" for name, text in pairs.items()]]
    return "\n".join(rows) + "\n"


def targets_table() -> str:
    """The symbols for nodes as a Markdown table."""
    return _pairs("target", TARGETS)


def events_table() -> str:
    """The events that may start a fault as a Markdown table."""
    return _pairs("event", {name: trigger.description for name, trigger in EVENTS.items()})


def mechanisms_table() -> str:
    """What an environment may offer as a Markdown table."""
    return _pairs("mechanism", MECHANISMS)
