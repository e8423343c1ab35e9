"""One way of writing values, durations and shares; nothing that a reader cannot see, and nothing rounded into a lie."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.wording import counted, duration, percent, printable, value_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 µs"), (0.0000123, "12.3 µs"), (0.000999, "999 µs"), (0.00099996, "1 ms"), (0.0309, "30.9 ms"),
     (0.25, "250 ms"), (1, "1 s"), (2.314, "2.31 s"), (60, "60 s"), (99.95, "100 s"), (7200, "7,200 s")],
)  # fmt: skip
def test_durations_have_three_digits_and_a_fitting_unit(seconds: float, text: str) -> None:
    assert duration(seconds).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 10, "0 %"), (1, 1000, "< 1 %"), (999, 1000, "99 %"), (1000, 1000, "100 %"), (1, 3, "33 %"), (0, 0, "n/a")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(part: int, whole: int, text: str) -> None:
    assert percent(part, whole).replace("\u00a0", " ") == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 keys"), (1, "1 key"), (1200, "1,200 keys")])
def test_counts_agree_with_their_noun(count: int, text: str) -> None:
    assert counted(count, "key") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), ("x", "x"), ("k1/a", "k1/a"), ("1", '"1"'), (1, "1"), ("", '""'), ("null ", '"null "'),
     ([1, None], "[1,null]"), ({"a": "b"}, '{"a":"b"}'), ("a\u202eb", '"a\\u202eb"'), ("z" * 99, "z" * 59 + "…")],
)  # fmt: skip
def test_values_are_short_and_a_number_is_told_from_its_text(value: Any, text: str) -> None:
    assert value_text(value) == text


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text())
def test_whatever_is_printed_is_allowed_in_xml_and_visible(text: str) -> None:
    shown = printable(text)
    assert not any(ord(c) < 32 and c not in "\t\n" for c in shown)
    assert not any(0xD800 <= ord(c) <= 0xDFFF or 0x202A <= ord(c) <= 0x202E for c in shown)
    shown.encode("utf-8")


def test_very_long_texts_are_cut_visibly() -> None:
    assert printable("y" * 10, length_max=4) == "yyyy… (10 characters)"
