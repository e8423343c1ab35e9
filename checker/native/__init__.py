"""The compiled search, where it could be built. Here belongs finding that out; `checker.engines` uses it.

The C source lies beside this file. `pip install` compiles it if there is a compiler and goes on without it if not.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache

__all__ = ["available", "why_unavailable"]


@cache
def why_unavailable() -> str | None:
    """None if the compiled engine can be used; otherwise a clause that says why not and what would help."""
    if importlib.util.find_spec("checker.native._engine") is None:
        return "it was not built; install a C compiler and install the package again"
    try:
        importlib.import_module("checker.native._engine")
    except ImportError as error:
        return f"it cannot be loaded: {error}"
    return None


def available() -> bool:
    """True where the compiled engine can be used."""
    return why_unavailable() is None
