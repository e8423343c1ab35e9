"""Sequential specifications: what a register, a queue, a lock allows one operation after the other.

The registry names them; each is imported when it is first asked for, because a history is judged by one of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from checker.model import Model

__all__ = ["ALIASES", "MODELS"]

_HOMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "register": ("register", "REGISTER"),
        "cas-register": ("register", "CAS_REGISTER"),
        "versioned-register": ("versioned_register", "VERSIONED_REGISTER"),
        "multi-register": ("multi_register", "MULTI_REGISTER"),
        "key-value": ("key_value", "KEY_VALUE"),
        "list-append": ("lists", "LIST_APPEND"),
        "set": ("sets", "SET"),
        "counter": ("counter", "COUNTER"),
        "fifo-queue": ("containers", "FIFO_QUEUE"),
        "stack": ("containers", "STACK"),
        "priority-queue": ("priority_queue", "PRIORITY_QUEUE"),
        "mutex": ("mutex", "MUTEX"),
        "fenced-mutex": ("mutex", "FENCED_MUTEX"),
        "leased-lock": ("leased_lock", "LEASED_LOCK"),
        "bank": ("bank", "BANK"),
    }
)


class _Registry(Mapping[str, Model[Any]]):
    def __getitem__(self, name: str) -> Model[Any]:
        module, attribute = _HOMES[name]
        model: Model[Any] = getattr(importlib.import_module(f"checker.models.{module}"), attribute)
        return model

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


MODELS: Mapping[str, Model[Any]] = _Registry()
"""Every model by its name on the command line."""

ALIASES: Mapping[str, str] = MappingProxyType({"kv": "key-value", "queue": "fifo-queue"})
"""Short names that the command line understands too."""
