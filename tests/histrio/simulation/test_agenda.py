"""The one heap: order, budget, stopping, and a hash that proves two runs equal (design: simulation, 1.4)."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from histrio.simulation.agenda import Agenda
from histrio.simulation.errors import EventBudgetSpent


class Chain:
    """An event that puts down the next one, `step_ns` later."""

    def __init__(self, agenda: Agenda, step_ns: int) -> None:
        self.agenda, self.step_ns, self.times = agenda, step_ns, [0]
        agenda.push(0, "chain", self.next, None, None)

    def next(self, _first: Any, _second: Any) -> None:
        self.times.append(self.agenda.now_ns)
        self.agenda.push(self.agenda.now_ns + self.step_ns, "chain", self.next, None, None)


def test_events_of_one_time_happen_in_the_order_they_were_put_down() -> None:
    agenda, seen = Agenda(100), list[tuple[int, str]]()

    def record(first: Any, second: Any) -> None:
        seen.append((first, second))

    for number in range(5):
        agenda.push(7, "tie", record, number, "later")
    agenda.push(3, "early", record, 9, "earlier")
    agenda.run_until(7)
    assert seen == [(9, "earlier"), *((number, "later") for number in range(5))]


def test_the_clock_stands_at_the_time_run_to_and_no_event_after_it_has_happened() -> None:
    agenda = Agenda(1_000)
    chain = Chain(agenda, 10)
    agenda.run_until(35)
    assert (agenda.now_ns, chain.times[-1], agenda.events) == (35, 30, 4)


@pytest.mark.parametrize("cuts", [1, 7, 1_000])
def test_the_hash_does_not_depend_on_how_the_run_was_cut_into_calls(cuts: int) -> None:
    """More events than one chunk of the rolling hash holds, cut where chunks do not end."""
    whole, cut = Agenda(20_000), Agenda(20_000)
    Chain(whole, 10)
    Chain(cut, 10)
    whole.run_until(100_000)
    for number in range(1, cuts + 1):
        cut.run_until(100_000 * number // cuts)
        cut.digest()
    assert cut.digest() == whole.digest()


def test_the_hash_tells_runs_apart_by_time_by_label_and_by_note() -> None:
    digests = set()
    for time_ns, label, note in [(5, "a", ""), (6, "a", ""), (5, "b", ""), (5, "a", "drop")]:
        agenda = Agenda(1_000)
        agenda.push(time_ns, label, lambda _first, _second: None, None, None)
        if note:
            agenda.note(note)
        agenda.run_until(10)
        digests.add(agenda.digest())
    assert len(digests) == 4


@pytest.mark.parametrize("budget", [1, 100, 4096, 5000])
def test_a_spent_budget_raises_with_counts_of_what_kept_the_run_busy(budget: int) -> None:
    """Design: simulation, 7: a buggy core can livelock, at one instant even; that is a failure class of its own."""
    agenda = Agenda(budget)
    Chain(agenda, 0)
    with pytest.raises(EventBudgetSpent) as raised:
        agenda.run_until(10**9)
    error = pickle.loads(pickle.dumps(raised.value))
    assert (error.events, error.time_ns) == (budget, 0)
    assert error.recent["chain"] > 0
    assert "chain" in str(error)


def test_stop_returns_after_the_current_event_and_the_run_can_go_on() -> None:
    agenda = Agenda(100_000)
    chain = Chain(agenda, 10)
    agenda.push(25, "stop", lambda _first, _second: agenda.stop(), None, None)
    agenda.run_until(1_000)
    assert (agenda.now_ns, chain.times[-1]) == (25, 20)
    agenda.run_until(50_000)
    other = Agenda(100_000)
    Chain(other, 10)
    other.push(25, "stop", lambda _first, _second: None, None, None)
    other.run_until(50_000)
    assert agenda.digest() == other.digest()
