"""The tables of docs/bugs.md, made from the catalogue of planted bugs so that the page cannot say anything else."""

from __future__ import annotations

from collections.abc import Iterable

from histrio.judge import BLACK_BOX
from histrio.systems.system import Bug, Hunt

__all__ = ["bugs_table", "real_hunts_table", "scenarios_table"]


def bugs_table(bugs: Iterable[Bug]) -> str:
    """All bugs as a Markdown table; detectors that believe nothing the system says of itself are bold."""
    head = ("bug", "seen in the field", "what is different", "expected detectors", "workload", "profile", "plan")
    rows = _head(head)
    for bug in bugs:
        detectors = ", ".join(f"**`{name}`**" if name in BLACK_BOX else f"`{name}`" for name in bug.detectors)
        plan = f"`{bug.hunt.plan}`" if bug.hunt.plan else bug.hunt.scenario
        profile = bug.hunt.options.get("profile", "hardened")
        cells = (f"`{bug.name}`", bug.reference, bug.change, detectors, bug.hunt.workload, profile, plan)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def scenarios_table(bugs: Iterable[Bug]) -> str:
    """What each saved plan does, and the trial it belongs to."""
    hunts: dict[str, Hunt] = {}
    for bug in bugs:
        if bug.hunt.plan:
            hunts.setdefault(bug.hunt.plan, bug.hunt)
    rows = _head(("plan", "what happens", "nodes", "clients", "rate", "length"))
    rows += [f"| `{name}` | {hunt.scenario} | {_busy(hunt)} |" for name, hunt in hunts.items()]
    return "\n".join(rows) + "\n"


def real_hunts_table(bugs: Iterable[Bug]) -> str:
    """The bugs that are looked for on real processes, each with its plan and its trial."""
    rows = _head(("bug", "plan", "what happens", "options", "nodes", "clients", "rate", "length"))
    for bug in bugs:
        hunt = bug.real_hunt
        if hunt is not None:
            options = ", ".join(f"`{name}={value}`" for name, value in hunt.options.items())
            rows.append(f"| `{bug.name}` | `{hunt.plan}` | {hunt.scenario} | {options} | {_busy(hunt)} |")
    return "\n".join(rows) + "\n"


def _busy(hunt: Hunt) -> str:
    return f"{hunt.nodes} | {hunt.concurrency} | {hunt.rate_hz:g}/s | {hunt.time_limit_s:g} s"


def _head(names: tuple[str, ...]) -> list[str]:
    return [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
