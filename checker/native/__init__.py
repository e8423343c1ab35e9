"""The compiled search, where it could be built. Here belongs finding that out; `checker.engines` uses it.

The C source lies beside this file. `pip install` compiles it if there is a compiler and goes on without it if not.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from hashlib import blake2b
from pathlib import Path

__all__ = ["available", "why_unavailable"]


@cache
def why_unavailable() -> str | None:
    """None if the compiled engine can be used; otherwise a clause that says why not and what would help."""
    if importlib.util.find_spec("checker.native._engine") is None:
        return "it was not built; install a C compiler and install the package again"
    try:
        engine = importlib.import_module("checker.native._engine")
    except ImportError as error:
        return f"it cannot be loaded: {error}"
    if getattr(engine, "SOURCES", None) != _sources():
        return "it was built from other sources than these; install the package again"
    return None


def _sources() -> str:
    """A digest of the C sources, as setup.py takes it: what an older engine says would be believed otherwise."""
    hashed = blake2b(digest_size=8)
    folder = Path(__file__).parent
    for path in sorted([*folder.glob("*.c"), *folder.glob("*.h")]):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


def available() -> bool:
    """True where the compiled engine can be used."""
    return why_unavailable() is None
