"""The registry of kinds and the page made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemesis.documentation import events_table, kinds_table, mechanisms_table, targets_table
from nemesis.errors import UnknownNemesis
from nemesis.kinds import MECHANISMS, TARGETS
from nemesis.registry import FAMILIES, KINDS, kind_named

PAGE = Path(__file__).parents[2] / "docs" / "nemesis.md"


def test_names_of_families_and_kinds_are_unique_and_say_where_a_kind_belongs() -> None:
    kinds = [kind for family in FAMILIES.values() for kind in family.kinds]
    assert len({kind.name for kind in kinds} | set(FAMILIES)) == len(kinds) + len(FAMILIES)
    for name, family in FAMILIES.items():
        assert family.name == name
        for kind in family.kinds:
            assert kind.family == name
            assert kind.name.startswith(f"{name}-")
            assert KINDS[kind.name] is kind


def test_every_kind_can_be_carried_out_and_seen() -> None:
    for kind in KINDS.values():
        assert kind.mechanism in MECHANISMS
        assert set(kind.targets) <= set(TARGETS)
        assert kind.evidence
        assert 0 < kind.lasts_ns[0] <= kind.lasts_ns[1]
        assert kind.trap_ns is None or 0 < kind.trap_ns[0] <= kind.trap_ns[1]
        assert kind.targets != ("self",), "a clock must be able to start it"


def test_an_unknown_kind_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNemesis, match="power-loss-one"):
        kind_named("powerloss-one")


@pytest.mark.parametrize("table", [kinds_table(), targets_table(), events_table(), mechanisms_table()])
def test_the_page_shows_the_tables_of_the_registry(table: str) -> None:
    assert table in PAGE.read_text(encoding="utf-8")
