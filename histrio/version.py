"""The version of this installation; `pyproject.toml` has the same, which a test holds them to."""

from __future__ import annotations

__all__ = ["VERSION"]

VERSION = "0.1.0"
