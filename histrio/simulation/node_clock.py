"""A node's monotonic clock: how it runs against true time, and when it will show a given time.

Rates come and go by rule and multiply. A clock that is to go back stands still instead, for as long as it takes true
time to catch up, because a monotonic clock never goes back. It belongs to the machine and outlives the process.
"""

from __future__ import annotations

from collections.abc import Callable

from histrio.simulation.agenda import Agenda

__all__ = ["NodeClock"]

_FULL = 100


class NodeClock:
    """One node's clock. `on_change` is called after each change, so that timers can be set anew."""

    __slots__ = ("_agenda", "_label", "_local", "_on_change", "_owed", "_rates", "_standing", "_true")

    def __init__(self, name: str, agenda: Agenda, on_change: Callable[[], None]) -> None:
        self._agenda, self._on_change = agenda, on_change
        self._label = f"clock {name}"
        self._true = self._local = agenda.now_ns
        self._rates: dict[str, int] = {}
        self._owed = 0
        """How long it still has to stand, in true time, from `_true` on."""
        self._standing = 0
        """Number of the present stand, so that the end of an earlier one is not taken for its own."""

    @property
    def is_true(self) -> bool:
        """Runs at the rate of true time, though perhaps ahead of it."""
        return not self._rates and self._owed == 0

    def now_ns(self) -> int:
        """What it shows."""
        ran = self._agenda.now_ns - self._true - self._owed
        return self._local + (self._scaled(ran) if ran > 0 else 0)

    def due_ns(self, local_ns: int) -> int:
        """The true time at which it will show `local_ns`, if nothing more happens to it."""
        ahead = local_ns - self._local
        if ahead <= 0:
            return self._agenda.now_ns
        numerator, denominator = self._rate()
        return self._true + self._owed + -(-ahead * denominator // numerator)

    def jump(self, offset_ns: int) -> None:
        """Go ahead at once; with a negative offset stand still for so long."""
        self._rebase()
        if offset_ns >= 0:
            self._local += offset_ns
        else:
            self._owed -= offset_ns
        self._changed()

    def run_on(self) -> None:
        """Stand no longer, whatever is still owed."""
        self._rebase()
        self._owed = 0
        self._changed()

    def set_rate(self, rule: str, percent: int) -> None:
        """Run at so much of true time, on top of other rules."""
        self._rebase()
        self._rates[rule] = percent
        self._changed()

    def lift_rate(self, rule: str) -> None:
        """Forget the rule."""
        self._rebase()
        del self._rates[rule]
        self._changed()

    def _rebase(self) -> None:
        now = self._agenda.now_ns
        local = self.now_ns()
        self._owed = max(0, self._owed - (now - self._true))
        self._true, self._local = now, local

    def _changed(self) -> None:
        self._agenda.note(self._label)
        if self._owed:
            self._standing += 1
            self._agenda.push(self._agenda.now_ns + self._owed, self._label, self._stood, self._standing, None)
        self._on_change()

    def _stood(self, standing: int, _: None) -> None:
        if standing == self._standing:
            self._rebase()

    def _scaled(self, true_ns: int) -> int:
        numerator, denominator = self._rate()
        return true_ns * numerator // denominator

    def _rate(self) -> tuple[int, int]:
        numerator = denominator = 1
        for percent in self._rates.values():
            numerator, denominator = numerator * percent, denominator * _FULL
        return numerator, denominator
