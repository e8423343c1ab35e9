"""A compiled copy of our packages, for campaigns: the same modules, some of them as machine code (mypyc).

The copy lies in a folder of its own, named by a digest of every source file and of the compiler, so that it can never
be out of date and never stands in the way of the sources. What is compiled is chosen in `MODULES`: where a trial spends
its time. Both copies must leave the same rows, trace hashes included; a test and each campaign's rechecks hold them to
it. Needs mypy and a C compiler; without them campaigns run the sources, and say so.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from histrio.errors import HarnessFailure

__all__ = ["MODULES", "compiled_packages", "obstacle"]

PACKAGES = ("checker", "histrio", "nemesis", "raft_trio", "reports", "workloads")

MODULES = (
    "raft_trio/core/election.py",
    "raft_trio/core/log.py",
    "raft_trio/core/progress.py",
    "raft_trio/core/quorum.py",
    "raft_trio/core/raft.py",
    "raft_trio/core/reads.py",
    "raft_trio/core/replication.py",
    "raft_trio/core/roles.py",
    "raft_trio/core/state.py",
    "raft_trio/rules.py",
    "raft_trio/forwarding.py",
    "raft_trio/node.py",
    "raft_trio/service.py",
    "histrio/simulation/agenda.py",
    "histrio/simulation/batches.py",
    "histrio/simulation/clients.py",
    "histrio/simulation/disk.py",
    "histrio/simulation/kernel.py",
    "histrio/simulation/links.py",
    "histrio/simulation/network.py",
    "histrio/simulation/process.py",
    "histrio/environments/simulated_world.py",
    "histrio/engine.py",
    "workloads/interpreter.py",
)
"""None of them may define a `msgspec.Struct`: the compiler would drop what stands in the brackets of its class line."""

_BUILD_LIMIT_S = 600.0


def obstacle() -> str | None:
    """Why no copy can be made here; None: it can."""
    if importlib.util.find_spec("mypyc") is None:
        return "mypy is not installed: pip install mypy"
    if shutil.which(os.environ.get("CC", "cc")) is None and shutil.which("gcc") is None:
        return "there is no C compiler: install gcc"
    return None


def compiled_packages(cache: Path | None = None) -> Path:
    """The folder to import the compiled packages from; made now unless it is there. Takes a minute, once.

    cache: where such folders lie; None: in the user's cache. Raises HarnessFailure with the compiler's last words.
    """
    sources = _sources()
    home = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "histrio"
    target = home / f"compiled-{_digest(sources)}"
    if target.is_dir():
        return target
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix="building-") as folder:
        place = Path(folder) / "packages"
        for package, source in sources.items():
            shutil.copytree(source, place / package, ignore=shutil.ignore_patterns("__pycache__", "*.o"))
        _compile(place)
        try:
            place.rename(target)
        except OSError:  # another process was quicker, with the same content
            if not target.is_dir():
                raise
    return target


def _sources() -> dict[str, Path]:
    """Where each of our packages is imported from."""
    found = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None, f"{package} is one of ours"
        assert spec.origin is not None, f"{package} has an __init__"
        found[package] = Path(spec.origin).parent
    return found


def _digest(sources: dict[str, Path]) -> str:
    digest = hashlib.blake2b(f"{sys.version} {platform.machine()} {_compiler()}".encode(), digest_size=8)
    for package, source in sources.items():
        for path in sorted(source.rglob("*")):
            if path.is_file() and path.suffix in (".py", ".so"):
                digest.update(f"{package}/{path.relative_to(source)}\0".encode())
                digest.update(hashlib.blake2b(path.read_bytes()).digest())
    return digest.hexdigest()


def _compiler() -> str:
    try:
        return version("mypy")
    except PackageNotFoundError:
        return "none"


def _compile(place: Path) -> None:
    """In `place`, beside the sources, which then go: an extension and its source must not be two candidates."""
    config = place / "mypy.ini"
    config.write_text("[mypy]\nignore_missing_imports = true\nexplicit_package_bases = true\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypyc", "--config-file", str(config), *MODULES]
    environ = {**os.environ, "PYTHONPATH": str(place), "MYPYPATH": str(place)}
    try:
        done = subprocess.run(
            command, cwd=place, env=environ, capture_output=True, text=True, timeout=_BUILD_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise HarnessFailure("compiling the packages took too long", why=str(error)) from error
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-5:]
        raise HarnessFailure("the packages cannot be compiled", why=" | ".join(last), fix="use --interpreted")
    for module in MODULES:
        (place / module).unlink()
    shutil.rmtree(place / "build", ignore_errors=True)
    shutil.rmtree(place / ".mypy_cache", ignore_errors=True)
