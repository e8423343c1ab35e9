"""What this machine can do: one row for each capability, found out by looking, or by trying where nothing stays behind.

A row that says no is no error: it tells what will be refused, and how to mend it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from checker.native import why_unavailable
from histrio.catalogue import Entry

__all__ = ["Capability", "capabilities_text", "probe"]

PACKAGES = ("checker", "histrio", "nemesis", "raft_trio", "reports", "workloads")
"""Ours. Their names are common words, so another distribution or a folder may stand in their place."""
LIBRARIES = ("click", "httpx", "jinja2", "matplotlib", "msgspec", "pandas", "trio")
PYTHON_MIN = (3, 11)


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """One row."""

    name: str
    available: bool
    detail: str


def probe(environments: Sequence[Entry], *, store: Path) -> tuple[Capability, ...]:
    """Look at everything. environments: those of the catalogue. store: where runs would go."""
    return (
        _python(),
        _own_packages(),
        *(_library(name) for name in LIBRARIES),
        _engine(),
        _store(store),
        *(_environment(entry) for entry in environments),
        *_systems(),
        *_faults(),
    )


def _systems() -> Iterator[Capability]:
    """Those that bring a program of their own are only as good as the machine they run on."""
    from histrio.registries import SYSTEMS

    for name, system in SYSTEMS.items():
        lack = system.obstacle
        places = ", ".join(f"--env {place}" for place in system.environments)
        detail = f"in {places}" if lack is None else f"{lack.what}: {lack.fix}"
        yield Capability(name=f"--system {name}", available=lack is None, detail=detail)


def _faults() -> Iterator[Capability]:
    """What faults on real nodes need, tried where nobody is hurt; how many kinds are lost without it."""
    from histrio.environments.mechanisms.needs import NEEDS
    from histrio.environments.mechanisms.registry import dependants

    for name, need in NEEDS.items():
        lack = need()
        mechanisms = ", ".join(dependants(need))
        yield Capability(name=name, available=lack is None, detail=f"for {mechanisms}" if lack is None else lack)


def capabilities_text(capabilities: Sequence[Capability]) -> str:
    """The rows as a table."""
    width = max(len(capability.name) for capability in capabilities)
    rows = [(c.name, "yes" if c.available else "no", c.detail) for c in capabilities]
    return "\n".join(f"{name:<{width}}  {answer:<3}  {detail}" for name, answer, detail in rows)


def _python() -> Capability:
    version = platform.python_version()
    wanted = ".".join(map(str, PYTHON_MIN))
    return Capability(
        name="python", available=sys.version_info >= PYTHON_MIN, detail=f"{version}, {wanted} or newer is needed"
    )


def _own_packages() -> Capability:
    """All six come from one place. If not, some other `checker` or `reports` was found first."""
    places = {name: _folder(name) for name in PACKAGES}
    home = places["histrio"]
    strays = [f"{name} from {place or 'nowhere'}" for name, place in places.items() if place != home]
    detail = f"not beside histrio in {home}: {'; '.join(strays)}" if strays else f"all six from {home}"
    return Capability(name="packages", available=not strays, detail=detail)


def _folder(package: str) -> Path | None:
    """Where a package would be imported from, without importing it."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent.parent if spec is not None and spec.origin is not None else None


def _library(name: str) -> Capability:
    try:
        return Capability(name=name, available=True, detail=importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Capability(name=name, available=False, detail="not installed: install histrio again with pip")


def _engine() -> Capability:
    """Both engines give the same answers; without the compiled one, long histories take 10 to 50 times as long."""
    missing = why_unavailable()
    detail = "compiled, for `histrio check` and every verdict" if missing is None else f"pure Python only: {missing}"
    return Capability(name="checker engine", available=missing is None, detail=detail)


def _store(store: Path) -> Capability:
    place = next(folder for folder in (store, *store.absolute().parents) if folder.is_dir())
    writable = os.access(place, os.W_OK | os.X_OK)
    detail = f"{store} can be written" if writable else f"{place} cannot be written: use --store"
    return Capability(name="run store", available=writable, detail=detail)


def _environment(entry: Entry) -> Capability:
    """Not only whether this version has it, but whether it can run here."""
    from histrio.registries import ENVIRONMENTS

    lack = entry.unavailable
    if not lack and entry.name in ENVIRONMENTS and (obstacle := ENVIRONMENTS[entry.name].obstacle) is not None:
        lack = f"{obstacle.what}: {obstacle.fix}" if obstacle.fix else obstacle.what
    return Capability(name=f"--env {entry.name}", available=not lack, detail=lack or entry.about)
