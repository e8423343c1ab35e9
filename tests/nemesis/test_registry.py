"""The registry of kinds and the page made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from histrio.environments.mechanisms.registry import OFFERED
from histrio.environments.simulated import SIMULATED
from nemesis.documentation import (
    events_table,
    kinds_table,
    mechanisms_table,
    messages_table,
    parameters_table,
    targets_table,
)
from nemesis.errors import UnknownNemesis
from nemesis.kinds import MECHANISMS, TARGETS
from nemesis.registry import FAMILIES, KINDS, kind_named
from nemesis.settings import ClockStep, Disturbance, Throttle, setting_of

PAGE = Path(__file__).parents[2] / "docs" / "nemesis.md"


def test_names_of_families_and_kinds_are_unique_and_say_where_a_kind_belongs() -> None:
    kinds = [kind for family in FAMILIES.values() for kind in family.kinds]
    assert len({kind.name for kind in kinds} | set(FAMILIES)) == len(kinds) + len(FAMILIES)
    for name, family in FAMILIES.items():
        assert family.name == name
        for kind in family.kinds:
            assert kind.family == name
            assert name == "resources" or kind.name.startswith(f"{name}-")
            assert KINDS[kind.name] is kind


def test_every_kind_can_be_carried_out_and_seen() -> None:
    for kind in KINDS.values():
        assert kind.mechanism in MECHANISMS
        assert set(kind.targets) <= set(TARGETS)
        assert kind.evidence
        assert 0 < kind.lasts_ns[0] <= kind.lasts_ns[1]
        assert kind.trap_ns is None or 0 < kind.trap_ns[0] <= kind.trap_ns[1]
        assert kind.targets != ("self",), "a clock must be able to start it"


def test_every_word_of_every_parameter_can_be_translated_and_means_something_else() -> None:
    """Mechanisms get numbers; two words that mean the same would be one choice that looks like two."""
    for kind in KINDS.values():
        for parameter in kind.parameters:
            assert parameter.surest in (None, *parameter.choices)
            settings = [setting_of(kind, {parameter.name: word}) for word in parameter.choices]
            assert settings[0] == setting_of(kind, {})
            if kind.mechanism in ("network.block", "network.reset") or parameter.name == "links":
                assert len(set(settings)) == 1, "a shape's affair"
            else:
                assert len(set(settings)) == len(settings)


def test_settings_are_the_numbers_that_the_words_say() -> None:
    delayed = setting_of(KINDS["net-delay"], {"delay": "150ms", "jitter": "100ms"})
    assert delayed == Disturbance(delay_min_ns=150_000_000, delay_max_ns=250_000_000)
    assert setting_of(KINDS["net-loss"], {"loss": "60%"}) == Disturbance(loss=0.6)
    assert setting_of(KINDS["net-corrupt"], {"checksums": "silent"}) == Disturbance(corruption=0.2, silent=True)
    assert setting_of(KINDS["net-slow"], {"bandwidth": "4kB/s"}) == Throttle(4000)
    assert setting_of(KINDS["clock-step"], {"offset": "-1s"}) == ClockStep(-1_000_000_000)
    assert setting_of(KINDS["kill-one"], {}) is None


def test_an_unknown_kind_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNemesis, match="power-loss-one"):
        kind_named("powerloss-one")


OFFERS = {"sim": SIMULATED.mechanisms, "local`, `docker": OFFERED}
"""What each world can do on a machine that has all the tools."""

TABLES = {
    "kinds": kinds_table(),
    "parameters": parameters_table(),
    "targets": targets_table(),
    "events": events_table(),
    "messages": messages_table(),
    "mechanisms": mechanisms_table(OFFERS),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_page_shows_the_tables_of_the_registry(table: str) -> None:
    assert table in PAGE.read_text(encoding="utf-8")
