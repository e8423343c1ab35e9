"""A Jepsen-style verification harness: starts a replicated system, breaks it, and judges what clients saw.

The public names, from whichever package they live in. Each is imported when it is first used: a node of a system under
test, or a script that only checks a history, does not wait for pandas, matplotlib or a command line.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checker.formats import load_history
    from checker.history import History, Operation, Outcome
    from checker.linearizability import check_history
    from checker.model import Footprint, Model, Refused, Traits
    from checker.models import MODELS
    from checker.nondeterministic import NondeterministicModel
    from checker.online import Checker, Progress, Standing
    from checker.partition import Budget, Decision, Result, check_operations
    from checker.records import CheckResult, Evidence, HistoryLine, LineType, Validity, Verdict
    from histrio.judge import judge
    from histrio.planning import plan_trial
    from histrio.replaying import replay
    from histrio.run import execute
    from histrio.store import RunDirectory
    from histrio.trial import Trial, TrialSpec
    from histrio.version import VERSION
    from nemesis.plan import AtEvent, AtTime, Fault, Plan
    from reports import write_report

__all__ = [
    "MODELS",
    "VERSION",
    "AtEvent",
    "AtTime",
    "Budget",
    "CheckResult",
    "Checker",
    "Decision",
    "Evidence",
    "Fault",
    "Footprint",
    "History",
    "HistoryLine",
    "LineType",
    "Model",
    "NondeterministicModel",
    "Operation",
    "Outcome",
    "Plan",
    "Progress",
    "Refused",
    "Result",
    "RunDirectory",
    "Standing",
    "Traits",
    "Trial",
    "TrialSpec",
    "Validity",
    "Verdict",
    "check_history",
    "check_operations",
    "execute",
    "judge",
    "load_history",
    "plan_trial",
    "replay",
    "write_report",
]

_HOMES = {
    "checker.formats": ("load_history",),
    "checker.history": ("History", "Operation", "Outcome"),
    "checker.linearizability": ("check_history",),
    "checker.model": ("Footprint", "Model", "Refused", "Traits"),
    "checker.models": ("MODELS",),
    "checker.nondeterministic": ("NondeterministicModel",),
    "checker.online": ("Checker", "Progress", "Standing"),
    "checker.partition": ("Budget", "Decision", "Result", "check_operations"),
    "checker.records": ("CheckResult", "Evidence", "HistoryLine", "LineType", "Validity", "Verdict"),
    "histrio.judge": ("judge",),
    "histrio.planning": ("plan_trial",),
    "histrio.replaying": ("replay",),
    "histrio.run": ("execute",),
    "histrio.store": ("RunDirectory",),
    "histrio.trial": ("Trial", "TrialSpec"),
    "histrio.version": ("VERSION",),
    "nemesis.plan": ("AtEvent", "AtTime", "Fault", "Plan"),
    "reports": ("write_report",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"histrio has no {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
