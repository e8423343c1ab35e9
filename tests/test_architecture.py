"""The house's own rules, held by a test: sizes, docstrings, links, places (CONTRIBUTING.md).

Who may import whom is import-linter's affair and banned clocks are ruff's; here is what neither can say. There are no
lists of exceptions: a rule that does not fit is changed for all or kept by all. Each rule is a pure function that
names its violations, and is shown one that it must find.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500
PACKAGES = ("checker", "histrio", "nemesis", "raft_trio", "reports", "workloads")
SOURCES = sorted(
    path for folder in (*PACKAGES, "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py") if path.is_file()
)
PACKAGE_SOURCES = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in PACKAGES]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changelog.d/*.md")])


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


# ── the rules ────────────────────────────────────────────────────────────────────────────────────────────────────────


def long_functions(source: str) -> list[str]:
    """Functions longer than FUNCTION_LINES_MAX, from the line of their `def` to their last."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    lengths = {f"{function.name}:{function.lineno}": _length(function) for function in functions}
    return [f"{name} has {length} lines" for name, length in lengths.items() if length > FUNCTION_LINES_MAX]


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def public_names(source: str) -> list[str]:
    """What a module defines at its top level under a name that does not begin with an underscore."""
    names: list[str] = []
    for node in ast.parse(source).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.append(name)
            case ast.Assign(targets=targets):
                names += [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
            case _:
                pass
    return [name for name in names if not name.startswith("_")]


def has_all(source: str) -> bool:
    """Whether the module says what it exports."""
    targets = [target for node in ast.parse(source).body if isinstance(node, ast.Assign) for target in node.targets]
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def dead_links(page: Path) -> list[str]:
    """Relative links of a page that lead to no file."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target for target in LINK.findall(text) if not re.match(r"[a-z]+:|#", target)]
    return [target for target in targets if not (page.parent / target.partition("#")[0]).exists()]


HOMES = ("home", "root", "Users", "work", "tmp/w", "mnt")
MACHINE_PATH = re.compile(r"(?<![\w./}~-])/(?:" + "|".join(HOMES) + r")/[\w.-]+")


def machine_paths(text: str) -> list[str]:
    """Absolute paths that exist on somebody's machine only."""
    return MACHINE_PATH.findall(text)


# ── held by every file ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_and_modules_are_short_enough_to_be_read_at_once(path: Path) -> None:
    """Style rule 11: branches in the parent, pure leaves below."""
    source = path.read_text(encoding="utf-8")
    assert long_functions(source) == []
    assert len(source.splitlines()) <= MODULE_LINES_MAX


@pytest.mark.parametrize("path", PACKAGE_SOURCES, ids=name_of)
def test_every_module_says_what_belongs_in_it_and_what_it_exports(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source))
    assert has_all(source) or not public_names(source), "a module with public names needs __all__"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(path: Path) -> None:
    assert dead_links(path) == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    texts = [*SOURCES, *PAGES, ROOT / "pyproject.toml", *(path for path in (ROOT / ".ci").rglob("*") if path.is_file())]
    found = {name_of(path): machine_paths(path.read_text(encoding="utf-8")) for path in texts}
    assert {name: paths for name, paths in found.items() if paths} == {}


def test_clocks_of_the_machine_are_read_in_two_places_with_a_reason_beside_each() -> None:
    """The wall clock names and dates runs; a monotonic one bounds a search where the caller asks for seconds."""
    mark = "noqa: TID" + "251"
    waivers = [
        (name_of(path), line)
        for path in PACKAGE_SOURCES
        for line in path.read_text(encoding="utf-8").splitlines()
        if mark in line
    ]
    assert [name for name, _ in waivers] == ["checker/partition.py", "histrio/clocks.py"]
    assert all(line.partition(mark)[2].strip(" -") for _, line in waivers), "a waiver says why"


def test_every_package_of_the_tree_is_packed_into_the_wheel() -> None:
    """setuptools packs only what is listed; a missing one shows up after the release."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(_packages())


def _packages() -> Iterator[str]:
    for path in PACKAGE_SOURCES:
        if path.name == "__init__.py":
            yield ".".join(path.parent.relative_to(ROOT).parts)


def test_the_overview_of_the_architecture_stays_an_overview() -> None:
    assert len((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines()) <= 100


# ── every rule finds what it is for ──────────────────────────────────────────────────────────────────────────────────


def test_a_long_function_is_found_also_inside_another() -> None:
    body = "\n".join("        x = 1" for _ in range(FUNCTION_LINES_MAX))
    assert long_functions(f"class C:\n    def short(self): ...\n    def long(self):\n{body}") == ["long:3 has 71 lines"]
    assert long_functions(f"class C:\n    def fits(self):\n{body.removesuffix(chr(10) + '        x = 1')}") == []


def test_public_names_are_found_in_every_form_and_private_ones_are_not() -> None:
    source = "import os\nA = 1\nB: int = 2\n_C = 3\ndef d(): ...\nasync def e(): ...\nclass F: ...\ndef _g(): ...\n"
    assert public_names(source) == ["A", "B", "d", "e", "F"]
    assert not has_all(source)
    assert has_all(source + "__all__ = ['A']\n")


def test_a_dead_link_is_found_and_others_are_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](missing.md) [b](page.md#here) [c](https://x.org/y) [d](#here)\n```\n[e](code.md)\n```\n")
    assert dead_links(page) == ["missing.md"]


@pytest.mark.parametrize("home", HOMES)
def test_a_path_of_a_machine_is_found(home: str) -> None:
    assert machine_paths(f"see /{home}/someone/file.txt") == [f"/{home}/someone"]


@pytest.mark.parametrize(
    "text", ["docs/home/page.md", "https://x.org/home/page", "/dev/null", "{root}/work/x", "a/tmp/w/b"]
)
def test_other_paths_are_left_alone(text: str) -> None:
    assert machine_paths(text) == []
