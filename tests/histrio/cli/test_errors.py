"""Errors: three lines for people, and an exit code that is never a verdict's (architecture.md §4, style rule 14)."""

from __future__ import annotations

import pytest

from checker.errors import IllFormedHistory, MalformedInput, ModelError
from histrio.errors import EnvironmentUnavailable, HarnessFailure, HistrioError, UsageProblem, error_exit_code, render


def test_an_error_says_what_why_and_how_to_mend_it_on_a_line_each() -> None:
    error = UsageProblem("no such thing", why="things are known", fix="name another")
    assert render(error) == "no such thing\n  why: things are known\n  fix: name another"


def test_a_line_that_was_left_empty_is_left_out() -> None:
    assert render(HarnessFailure("it broke")) == "it broke"


def test_a_broken_history_is_named_by_file_and_line() -> None:
    """Issue 2, bad input: file and line."""
    rendered = render(MalformedInput("h.jsonl", 17, "not a line", fix="record it again"))
    assert rendered.splitlines()[0] == "h.jsonl:17: not a line"
    assert rendered.splitlines()[-1] == "  fix: record it again"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageProblem("x"), 64),
        (MalformedInput("x", 1, "y"), 64),
        (IllFormedHistory(3, "y"), 64),
        (EnvironmentUnavailable("x"), 69),
        (HarnessFailure("x"), 70),
        (ModelError("x"), 70),
        (KeyError("x"), 70),
        (RecursionError(), 70),
    ],
)
def test_an_error_has_the_code_of_whose_fault_it_is(error: Exception, code: int) -> None:
    assert error_exit_code(error) == code


def test_no_error_of_the_tree_can_be_mistaken_for_a_verdict() -> None:
    """Architecture §4: 0, 1, 2 and 3 belong to verdicts."""
    tree: list[type[HistrioError]] = [HistrioError, *HistrioError.__subclasses__()]
    assert len(tree) == 4
    assert {kind.exit_code for kind in tree} == {64, 69, 70}
