"""Compiles the C source of the engine, as it is or with a planted fault, and loads it under a name of its own."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from checker import native

__all__ = ["COMPILER", "SOURCE", "compiled", "load"]

SOURCE = Path(native.__file__).parent
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
_STRICT = ("-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")


def compiled(folder: Path, changes: Mapping[str, tuple[str, str]], *options: str) -> Path:
    """Compile with all warnings as errors. changes: file -> (text found once, what it becomes)."""
    assert COMPILER is not None, "the caller skips without a compiler"
    for file in [*SOURCE.glob("*.c"), *SOURCE.glob("*.h")]:
        text = file.read_text()
        if file.name in changes:
            original, broken = changes[file.name]
            assert text.count(original) == 1, f"{file.name} has {text.count(original)} of {original!r}"
            text = text.replace(original, broken)
        (folder / file.name).write_text(text)
    target = folder / "_engine.abi3.so"
    sources = sorted(str(file) for file in folder.glob("*.c"))
    include = sysconfig.get_paths()["include"]
    subprocess.run([COMPILER, *_STRICT, *options, f"-I{include}", *sources, "-o", str(target)], check=True)
    return target


def load(name: str, library: Path) -> ModuleType:
    """The module in `library`, as `name`._engine."""
    spec = importlib.util.spec_from_file_location(f"{name}._engine", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
