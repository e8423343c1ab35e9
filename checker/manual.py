"""The models' own words as the tables of docs/checker.md: `python -m checker.manual` prints them.

Nothing is said here; every sentence is in a model's `Manual`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from checker.model import Manual, Model
from checker.models import ALIASES, MODELS

__all__ = ["render"]


def render(models: Mapping[str, Model[Any]]) -> str:
    """One section a model, in Markdown."""
    return "\n".join(line for name, model in models.items() if model.manual for line in _section(name, model.manual))


def _section(name: str, manual: Manual) -> Iterator[str]:
    aliases = [alias for alias, meant in ALIASES.items() if meant == name]
    also = f" (also `{aliases[0]}`)" if aliases else ""
    yield f"**`{name}`**{also}: {manual.about}. Start state; what `--initial` takes: {manual.start}."
    yield ""
    yield from _table(
        ("`f`", "argument", "result", "meaning"),
        [(f"`{word.f}`", word.argument or "—", word.result, word.meaning) for word in manual.words],
    )
    if manual.failures:
        told = "; ".join(f"`{error}`: {meaning}" for error, meaning in manual.failures)
        yield f"Failures that are judged as observations: {told}."
        yield ""
    yield from _table(("class of violation", "meaning"), [(f"`{kind}`", meaning) for kind, meaning in manual.anomalies])


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield "| " + " | ".join(row) + " |"
    yield ""


if __name__ == "__main__":
    print(render(MODELS))
