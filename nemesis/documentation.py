"""The tables of docs/nemesis.md, made from the registries so that the page cannot say anything else."""

from __future__ import annotations

from collections.abc import Mapping

from nemesis.kinds import EVENTS, MECHANISMS, MESSAGES, TARGETS, Kind
from nemesis.registry import FAMILIES

__all__ = ["events_table", "kinds_table", "mechanisms_table", "messages_table", "parameters_table", "targets_table"]


def kinds_table() -> str:
    """All kinds as a Markdown table, in the registry's order."""
    heads = ("family", "kind", "what happens", "lasts", "needs", "counts as evidence", "undone")
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    rows += [_row(kind) for family in FAMILIES.values() for kind in family.kinds]
    return "\n".join(rows) + "\n"


def _row(kind: Kind) -> str:
    evidence = ", ".join(f"`{name}`" for name in kind.evidence)
    lasts = _between(kind.lasts_ns) + (f"; trap {_between(kind.trap_ns)}" if kind.trap_ns else "")
    cells = (kind.family, f"`{kind.name}`", kind.description, lasts, f"`{kind.mechanism}`", evidence, kind.undo)
    return f"| {' | '.join(cells)} |"


def parameters_table() -> str:
    """The parameters of all kinds as a Markdown table."""
    rows = ["| kind | parameter | meaning | values |", "|---|---|---|---|"]
    for kind in [kind for family in FAMILIES.values() for kind in family.kinds]:
        for one in kind.parameters:
            words = ", ".join(f"`{word}`" for word in one.choices)
            rows.append(f"| `{kind.name}` | `{one.name}` | {one.description} | {words} |")
    return "\n".join(rows) + "\n"


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


def messages_table() -> str:
    """The kinds of message that may be dropped alone as a Markdown table."""
    return _pairs("message", MESSAGES)


def mechanisms_table(environments: Mapping[str, Mapping[str, str | None]]) -> str:
    """What each environment offers as a Markdown table. environments: name -> mechanism -> None, or why not."""
    heads = ["mechanism", "meaning", *[f"`{name}`" for name in environments]]
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for mechanism, text in MECHANISMS.items():
        lacks = [offers.get(mechanism, "not yet") for offers in environments.values()]
        cells = [f"`{mechanism}`", text, *["yes" if lack is None else f"no: {lack}" for lack in lacks]]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"
