"""Sequential specifications: what a register, a queue, a lock allows one operation after the other."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from checker.model import Model
from checker.models.containers import FIFO_QUEUE, STACK
from checker.models.counter import COUNTER
from checker.models.key_value import KEY_VALUE
from checker.models.multi_register import MULTI_REGISTER
from checker.models.mutex import FENCED_MUTEX, MUTEX
from checker.models.priority_queue import PRIORITY_QUEUE
from checker.models.register import CAS_REGISTER, REGISTER
from checker.models.sets import SET
from checker.models.versioned_register import VERSIONED_REGISTER

__all__ = ["ALIASES", "MODELS"]

MODELS: Mapping[str, Model[Any]] = MappingProxyType(
    {
        "register": REGISTER,
        "cas-register": CAS_REGISTER,
        "versioned-register": VERSIONED_REGISTER,
        "multi-register": MULTI_REGISTER,
        "key-value": KEY_VALUE,
        "set": SET,
        "counter": COUNTER,
        "fifo-queue": FIFO_QUEUE,
        "stack": STACK,
        "priority-queue": PRIORITY_QUEUE,
        "mutex": MUTEX,
        "fenced-mutex": FENCED_MUTEX,
    }
)
"""Every model by its name on the command line."""

ALIASES: Mapping[str, str] = MappingProxyType({"kv": "key-value", "queue": "fifo-queue"})
"""Short names that the command line understands too."""
