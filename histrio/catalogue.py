"""What can be named on the command line: environments, systems, workloads, nemeses, bugs, models and formats.

The registries themselves live with what they register; here they are brought into one shape, for `histrio list`, for
validation with a suggestion, and for help. Nothing here starts or judges anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from histrio.config import suggestion
from histrio.errors import EnvironmentUnavailable, UsageProblem
from histrio.trial import TrialSpec

__all__ = ["Catalogue", "Entry", "check_names", "find"]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One name and what it means."""

    name: str
    about: str
    kinds: tuple[Entry, ...] = ()
    """A nemesis family's kinds of faults."""
    system: str = ""
    """A bug's system."""
    unavailable: str = ""
    """Why it cannot be used here; empty: it can."""


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Every registry, in the order in which it is shown."""

    environments: tuple[Entry, ...]
    systems: tuple[Entry, ...]
    workloads: tuple[Entry, ...]
    nemeses: tuple[Entry, ...]
    bugs: tuple[Entry, ...]
    models: tuple[Entry, ...]
    formats: tuple[Entry, ...]
    demo_bug: str
    """The one that `histrio demo` looks for."""


def find(word: str, entries: Iterable[Entry], *, option: str, noun: str) -> Entry:
    """The entry called `word`. Raises UsageProblem with the nearest name."""
    known = {entry.name: entry for entry in entries}
    if word not in known:
        raise UsageProblem(
            f"{option} {word}: there is no {noun} of that name",
            why="names are closed lists, so that a typing error cannot quietly test something else",
            fix=f"{suggestion(word, known)} All of them: histrio list",
        )
    return known[word]


def check_names(spec: TrialSpec, catalogue: Catalogue) -> None:
    """Refuse a trial that names something unknown.

    Raises UsageProblem with a suggestion, EnvironmentUnavailable for an environment that cannot be used.
    """
    environment = find(spec.environment, catalogue.environments, option="--env", noun="environment")
    if environment.unavailable:
        raise EnvironmentUnavailable(
            f"--env {spec.environment} cannot be used: {environment.unavailable}",
            why="a trial that did not run proves nothing, so it is not carried out elsewhere instead",
            fix="use --env sim; `histrio doctor` shows what this machine can do",
        )
    system = find(spec.system, catalogue.systems, option="--system", noun="system")
    find(spec.workload, catalogue.workloads, option="--workload", noun="workload")
    _check_nemesis(spec.nemesis, catalogue.nemeses)
    if spec.bug is not None:
        bugs = [bug for bug in catalogue.bugs if bug.system == system.name]
        find(spec.bug, bugs, option="--bug", noun=f"planted bug of {system.name}")


def _check_nemesis(names: Sequence[str], families: Sequence[Entry]) -> None:
    if tuple(names) in (("none",), ("all",)):
        return
    kinds = [kind for family in families for kind in family.kinds]
    words = [Entry(name=word, about="") for word in ("none", "all")]
    for name in names:
        find(name, [*families, *kinds, *words], option="--nemesis", noun="nemesis")
