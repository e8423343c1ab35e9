"""What a run is asked to be, before anything random is decided.

`TrialSpec` is options and configuration, validated; `histrio.planning` turns it and its seed into a `Trial`, in which
every decision has been made. Records only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from nemesis.plan import Plan

__all__ = ["Trial", "TrialSpec", "spec_from_json", "spec_to_json"]


class TrialSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of `histrio run`: defaults, configuration file and command line merged (docs/configuration.md)."""

    environment: str = "sim"
    system: str = "raft_trio"
    system_options: dict[str, str] = {}
    bug: str | None = None
    """A planted bug of the system's catalogue; None: the correct build."""
    nodes: int = 5
    workload: str = "register"
    nemesis: tuple[str, ...] = ("partition", "kill")
    """Families or kinds; `("none",)` for no faults, `("all",)` for all that the environment can inject."""
    time_limit_s: float = 60.0
    """Length of the load phase in seconds of the environment's clock."""
    rate_hz: float = 200.0
    """Operations per second over all clients, as far as the system keeps up; 0: as fast as the clients can."""
    concurrency: int = 10
    """Clients; the command line also takes a multiple of the nodes, such as `2n`."""
    event_budget: int = 20_000_000
    """Simulated events after which a run counts as a livelock."""
    white_box: bool = True
    """Judge by the system's own trace too, not only by what clients saw."""
    seed: int = 1
    plan: Path | None = None
    """A saved plan to carry out in place of a drawn one."""
    name: str | None = None
    """Name of the run's folder in the store; None: system, workload and bug."""
    store: Path = Path("runs")
    keep: bool = False
    """Leave the cluster of a real world as it is at the end, for people to look inside."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """Everything decided before the start: pure data."""

    spec: TrialSpec
    nodes: tuple[str, ...]
    plan: Plan
    nemesis: tuple[str, ...] = ()
    """Families and kinds each of which must take effect, else the run is vacuous."""
    skipped: dict[str, str] = {}
    """Fault kind -> why the environment does not inject it."""


def spec_to_json(spec: TrialSpec) -> dict[str, Any]:
    """The spec as JSON values, for run.json."""
    values: dict[str, Any] = msgspec.to_builtins(spec, enc_hook=str)
    return values


def spec_from_json(values: dict[str, Any]) -> TrialSpec:
    """The inverse of `spec_to_json`. Raises msgspec.ValidationError."""
    return msgspec.convert(values, TrialSpec, dec_hook=lambda kind, value: kind(value))
