"""The tables of docs/raft.md that come from registries of these tests, and that whatever the registries name exists."""

from __future__ import annotations

import ast
import importlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from checker.trace_rules import TRACE_RULES
from tests.raft_trio.conformance import CONFORMANCE
from tests.raft_trio.seed_faults import SEED_FAULTS
from tests.raft_trio.surface import SURFACE

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent.parent / "docs" / "raft.md"


def surface_table() -> str:
    """Row of the seed's surface -> symbols -> tests."""
    lines = ["| the seed crate has | here | held by |", "|---|---|---|"]
    for row in SURFACE:
        lines.append(f"| {row.seed} | {listed(row.symbols)} | {listed(row.tests)} |")
    return "\n".join(lines) + "\n"


def faults_table() -> str:
    """Number of a fault -> what it was -> tests."""
    lines = ["| number | what it was | the opposite is held by |", "|---|---|---|"]
    for number, (what, tests) in SEED_FAULTS.items():
        lines.append(f"| {number} | {what} | {listed(tests)} |")
    return "\n".join(lines) + "\n"


def conformance_table() -> str:
    """Action or invariant of the specification -> rules of traces."""
    lines = ["| raft.tla | rules over traces | what they hold |", "|---|---|---|"]
    for what in CONFORMANCE:
        lines.append(f"| {what.name} | {listed(what.rules)} | {what.held} |")
    return "\n".join(lines) + "\n"


def listed(names: tuple[str, ...]) -> str:
    """As cells of a table are written."""
    return ", ".join(f"`{name}`" for name in names)


TABLES: dict[str, Callable[[], str]] = {
    "surface": surface_table,
    "seed faults": faults_table,
    "conformance": conformance_table,
}


@pytest.mark.parametrize("name", TABLES)
def test_a_generated_table_is_that_of_its_registry(name: str) -> None:
    """`HISTRIO_REWRITE=1` writes it anew."""
    before, after = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    text = PAGE.read_text(encoding="utf-8")
    begin, end = text.index(before) + len(before), text.index(after)
    table = TABLES[name]()
    if os.environ.get("HISTRIO_REWRITE"):
        text = text[:begin] + table + text[end:]
        PAGE.write_text(text, encoding="utf-8")
    assert text[begin : begin + len(table)] + after == table + text[text.index(after) :][: len(after)]
    assert text.index(after) == begin + len(table)


@pytest.mark.parametrize("row", SURFACE, ids=lambda row: row.seed)
def test_every_symbol_that_stands_for_the_seeds_surface_exists(row: tuple[str, tuple[str, ...], object]) -> None:
    """Issue #5, 7."""
    assert row[1]
    for symbol in row[1]:
        module, _, path = symbol.partition(":")
        found: object = importlib.import_module(f"raft_trio.{module}")
        for name in path.split("."):
            found = getattr(found, name)


def test_the_registries_are_complete() -> None:
    """Issue #5, 6 and 7: 24 faults by number; no row twice."""
    assert list(SEED_FAULTS) == list(range(1, 25))
    assert len({row.seed for row in SURFACE}) == len(SURFACE) == 25


def test_every_rule_over_traces_stands_for_something_in_the_specification() -> None:
    """And no other rules are named; `trace-form` is about the recorder."""
    assert {rule for what in CONFORMANCE for rule in what.rules} == set(TRACE_RULES) - {"trace-form"}


def named_tests() -> list[str]:
    """Of all registries."""
    faults = [test for _, tests in SEED_FAULTS.values() for test in tests]
    return sorted({*faults, *(test for row in SURFACE for test in row.tests)})


@pytest.mark.parametrize("test", named_tests())
def test_every_test_that_a_registry_names_exists(test: str) -> None:
    """Renaming a test must not leave a promise without proof."""
    file, _, function = test.partition("::")
    assert function in functions_of(file)


@cache
def functions_of(file: str) -> frozenset[str]:
    """Names of the functions at the top of a module below tests/raft_trio."""
    tree = ast.parse((FOLDER / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
