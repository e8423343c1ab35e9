"""A Porcupine-like library: a history in, a verdict out. Imports the standard library and msgspec only.

The public names; each is imported when it is first used, so that `import checker` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checker.certificate import check_certificate
    from checker.errors import CheckerError, IllFormedHistory, MalformedInput, ModelError
    from checker.formats import LoadedHistory, load_history
    from checker.history import History, Operation, Outcome
    from checker.linearizability import check_history
    from checker.linearization import replay
    from checker.model import Footprint, Model, Refused, Traits
    from checker.models import MODELS
    from checker.nondeterministic import NondeterministicModel
    from checker.online import Checker, Progress, Standing
    from checker.partition import Budget, Decision, Result, check_operations
    from checker.records import CheckResult, Evidence, HistoryLine, LineType, Validity
    from checker.tiers import check_in_two_tiers

__all__ = [
    "MODELS",
    "Budget",
    "CheckResult",
    "Checker",
    "CheckerError",
    "Decision",
    "Evidence",
    "Footprint",
    "History",
    "HistoryLine",
    "IllFormedHistory",
    "LineType",
    "LoadedHistory",
    "MalformedInput",
    "Model",
    "ModelError",
    "NondeterministicModel",
    "Operation",
    "Outcome",
    "Progress",
    "Refused",
    "Result",
    "Standing",
    "Traits",
    "Validity",
    "check_certificate",
    "check_history",
    "check_in_two_tiers",
    "check_operations",
    "load_history",
    "replay",
]

_HOMES = {
    "certificate": ("check_certificate",),
    "errors": ("CheckerError", "IllFormedHistory", "MalformedInput", "ModelError"),
    "formats": ("LoadedHistory", "load_history"),
    "history": ("History", "Operation", "Outcome"),
    "linearizability": ("check_history",),
    "linearization": ("replay",),
    "model": ("Footprint", "Model", "Refused", "Traits"),
    "models": ("MODELS",),
    "nondeterministic": ("NondeterministicModel",),
    "online": ("Checker", "Progress", "Standing"),
    "partition": ("Budget", "Decision", "Result", "check_operations"),
    "records": ("CheckResult", "Evidence", "HistoryLine", "LineType", "Validity"),
    "tiers": ("check_in_two_tiers",),
}
_HOME_OF = {name: f"checker.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value
