"""What can be wrong with the faults that were asked for. Each error says what, why and how to mend it.

NemesisError
├── UnknownNemesis   no family and no kind of that name
├── Unavailable      a kind that was asked for by name, and that the environment cannot inject
└── MalformedPlan    a plan file that cannot be read as one; names file and key
"""

from __future__ import annotations

from difflib import get_close_matches

__all__ = ["MalformedPlan", "NemesisError", "Unavailable", "UnknownNemesis"]


class NemesisError(Exception):
    """Base of all errors of this package."""


class UnknownNemesis(NemesisError):
    """`name` is neither a family nor a kind; `suggestion` is the nearest one, if any is near."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        near = get_close_matches(name, known, n=1)
        self.suggestion = near[0] if near else None
        hint = f"did you mean {self.suggestion}?" if self.suggestion else f"known are {', '.join(known)}, all, none"
        super().__init__(f"there is no nemesis {name!r}; {hint}")


class Unavailable(NemesisError):
    """A fault was asked for by name, and cannot be injected here. It is refused rather than passed over."""

    def __init__(self, kind: str, reason: str, fix: str) -> None:
        self.kind, self.reason, self.fix = kind, reason, fix
        super().__init__(f"{kind} cannot be injected: {reason} ({fix})")


class MalformedPlan(NemesisError):
    """`path` is no plan. `key` is the place in it, such as `faults[2].kind`; empty for the whole file."""

    def __init__(self, path: str, key: str, problem: str, *, fix: str = "") -> None:
        self.path, self.key, self.problem, self.fix = path, key, problem, fix
        where = f"{path}: {key}" if key else path
        super().__init__(f"{where}: {problem}" + (f" ({fix})" if fix else ""))
