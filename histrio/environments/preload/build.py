"""Compiling the shim: once for each version of its sources and each machine, kept in the user's cache.

Where no C compiler is, what needs the shim is not available and says so; nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from histrio.errors import HarnessFailure

__all__ = ["built", "obstacle"]

_SOURCES = Path(__file__).parent
_COMPILERS = ("cc", "gcc", "clang")
_FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra")
_LIBRARIES = ("-ldl", "-lpthread")  # their own libraries before glibc 2.34
_COMPILE_S = 60.0


@cache
def obstacle() -> str | None:
    """Why there is no shim here; None: it can be had. Compiles nothing."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return "needs Linux with glibc: the shim stands before its functions"
    if _compiler() is None and not os.access(_place(), os.R_OK):
        return "no C compiler for what is preloaded into nodes: install gcc and libc6-dev"
    return None


def built() -> Path:
    """The shared object, compiled if need be. Raises HarnessFailure when the compiler refuses."""
    place = _place()
    if place.exists() and place.stat().st_uid == os.geteuid():
        return place
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if place.parent.stat().st_uid != os.geteuid():
        raise HarnessFailure(f"{place.parent} is somebody else's", why="nodes would load what another user put there")
    compiler = _compiler()
    assert compiler is not None, "obstacle() said that there is one"
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        fresh = Path(folder) / place.name
        command = [compiler, *_FLAGS, "-o", str(fresh), *map(str, _sources()), *_LIBRARIES]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_S, check=False)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise HarnessFailure("the shim for nodes does not compile", why=last, fix="install gcc and libc6-dev")
        fresh.replace(place)  # at once, whoever else compiles it too
    return place


def _compiler() -> str | None:
    return next((path for name in _COMPILERS if (path := shutil.which(name)) is not None), None)


def _sources() -> list[Path]:
    return sorted(_SOURCES.glob("*.c"))


def _place() -> Path:
    digest = hashlib.sha256(" ".join((*_FLAGS, *platform.libc_ver(), platform.machine())).encode())
    for source in [*_sources(), _SOURCES / "shim.h"]:
        digest.update(source.read_bytes())
    return _cache(os.environ) / f"shim-{digest.hexdigest()[:16]}.so"


def _cache(environ: Mapping[str, str]) -> Path:
    """$XDG_CACHE_HOME/histrio, or ~/.cache/histrio; a folder of the user's own for users that have no home."""
    base = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or "/nonexistent") / ".cache")
    nearest = next(folder for folder in (Path(base), *Path(base).parents) if os.access(folder, os.F_OK))
    if os.access(nearest, os.W_OK | os.X_OK) and nearest != Path("/"):
        return Path(base) / "histrio"
    return Path(tempfile.gettempdir()) / f"histrio-cache-{os.geteuid()}"
