"""What can go wrong with a simulation itself, as opposed to what goes wrong inside it.

SimulationError
├── EventBudgetSpent    the run executed as many events as it was allowed: a livelock, or too small a budget
├── UnknownAddress      a node, client or rule that does not exist
├── AlreadyExists       a node, client or rule of that name exists
└── BadProfile          a profile that contradicts itself
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["AlreadyExists", "BadProfile", "EventBudgetSpent", "SimulationError", "UnknownAddress"]


class SimulationError(Exception):
    """Base of all errors of this package."""


class EventBudgetSpent(SimulationError):
    """`events` were executed by `time_ns`; `recent` counts the last of them by label, the most frequent first."""

    def __init__(self, events: int, time_ns: int, recent: Mapping[str, int]) -> None:
        self.events, self.time_ns, self.recent = events, time_ns, dict(recent)
        busiest = ", ".join(f"{count}x {label}" for label, count in list(self.recent.items())[:3])
        super().__init__(
            f"all {events} events of the budget were spent by {time_ns} ns of simulated time; most frequent of late: "
            f"{busiest} (a livelock of the system, or raise the event budget)"
        )

    def __reduce__(self) -> tuple[type[EventBudgetSpent], tuple[int, int, dict[str, int]]]:
        return (EventBudgetSpent, (self.events, self.time_ns, self.recent))


class UnknownAddress(SimulationError):
    """Nothing goes by that name."""


class AlreadyExists(SimulationError):
    """Something goes by that name already."""


class BadProfile(SimulationError):
    """A profile no world can have."""
