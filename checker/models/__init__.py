"""Sequential specifications: what a register, a queue, a lock allows one operation after the other."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from checker.model import Model
from checker.models.register import CAS_REGISTER, REGISTER

__all__ = ["MODELS"]

MODELS: Mapping[str, Model[Any]] = MappingProxyType(
    {
        "register": REGISTER,
        "cas-register": CAS_REGISTER,
    }
)
"""Every model by its name on the command line."""
