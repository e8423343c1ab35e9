"""The base image made of this machine's Python: what is in it, without an engine (faults.md, section 1)."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from histrio.environments import container_base


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    archive = tmp_path_factory.mktemp("base") / "base.tar"
    container_base.write_base(archive)
    with tarfile.open(archive) as opened:
        return {member.name for member in opened.getmembers()}


def test_it_has_the_interpreter_under_its_own_path_and_a_shell(names: set[str]) -> None:
    """Extension modules look for the standard library where the interpreter was built to lie."""
    assert {str(container_base.interpreter()).lstrip("/"), "usr/bin/python3", "bin/sh"} <= names


def test_it_has_every_library_that_the_interpreter_is_linked_with(names: set[str]) -> None:
    """An image without the loader starts nothing."""
    linked = subprocess.run(
        ["ldd", str(container_base.interpreter())], capture_output=True, text=True, check=True
    ).stdout.split()
    libraries = [word.lstrip("/") for word in linked if word.startswith("/")]
    assert libraries
    assert set(libraries) <= names


@pytest.mark.parametrize("module", ["ssl", "asyncio/__init__", "ctypes/__init__", "json/__init__"])
def test_it_has_the_standard_library(names: set[str], module: str) -> None:
    """As source, so that tracebacks can be read."""
    assert any(name.endswith(f"/{module}.py") for name in names)


def test_it_has_none_of_what_no_node_needs(names: set[str]) -> None:
    """The tests of the standard library alone are larger than the rest."""
    assert not [name for name in names if "/test/" in name or "/site-packages/" in name]


def test_the_recipe_names_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version must not reuse the image of this one."""
    before = container_base.recipe()
    monkeypatch.setattr(sys, "version", "another")
    assert container_base.recipe() != before


def test_an_archive_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    """Bad input gets a clear error."""
    with pytest.raises(OSError, match="nowhere"):
        container_base.write_base(tmp_path / "nowhere" / "base.tar")
