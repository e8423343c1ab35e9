"""A node's clock against a naive one that counts every nanosecond, and what timers make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from histrio.simulation.agenda import Agenda
from histrio.simulation.node_clock import NodeClock

if TYPE_CHECKING:
    from tests.histrio.simulation.conftest import World

MS = 1_000_000


class NaiveClock:
    """Ticks once per nanosecond of true time; rates are whole multiples, so that ticks are whole."""

    def __init__(self) -> None:
        self.shows = 0
        self.owed = 0
        self.rates: dict[str, int] = {}

    def tick(self) -> None:
        if self.owed:
            self.owed -= 1
            return
        step = 1
        for rate in self.rates.values():
            step *= rate
        self.shows += step


CHANGES = st.one_of(
    st.tuples(st.just("jump"), st.integers(-20, 20)),
    st.tuples(st.just("rate"), st.tuples(st.sampled_from("ab"), st.sampled_from([1, 2, 5]))),
    st.tuples(st.just("lift"), st.sampled_from("ab")),
    st.tuples(st.just("run on"), st.none()),
)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), CHANGES), max_size=8), st.integers(0, 60))
def test_a_clock_shows_what_one_shows_that_counts_every_tick(changes: list[tuple[int, Any]], last: int) -> None:
    agenda, naive = Agenda(10**6), NaiveClock()
    clock = NodeClock("n1", agenda, lambda: None)
    shown = [0]

    def advance(length: int) -> None:
        for _ in range(length):
            naive.tick()
            agenda.run_until(agenda.now_ns + 1)
            assert clock.now_ns() == naive.shows
            shown.append(clock.now_ns())

    for length, (what, value) in changes:
        advance(length)
        match what:
            case "jump":
                clock.jump(value)
                naive.shows += max(0, value)
                naive.owed += max(0, -value)
            case "rate":
                clock.set_rate(value[0], 100 * value[1])
                naive.rates[value[0]] = value[1]
            case "lift" if value in naive.rates:
                clock.lift_rate(value)
                del naive.rates[value]
            case "run on":
                clock.run_on()
                naive.owed = 0
            case _:
                pass  # lifting a rule that is not in force
    goal = clock.now_ns() + last
    due = clock.due_ns(goal)
    while agenda.now_ns < due:
        assert naive.shows < goal
        advance(1)
    assert naive.shows >= goal
    assert shown == sorted(shown), "a monotonic clock never goes back"


def wish(time_ns: int) -> Any:
    return lambda node: setattr(node, "wake_at_ns", time_ns)


def wakes(world: World, name: str) -> list[int]:
    return [time for time, what, _ in world.actor(name).inputs if what == "wake"]


def test_a_jump_ahead_brings_timers_at_once_and_counts_them(world: World) -> None:
    now = world.simulation.now_ns
    world.do("n1", wish(now + 500 * MS))
    world.simulation.clock("n1").jump(1_000 * MS)
    assert world.simulation.timers_shifted("n1") == 1
    world.run_ms(1)
    assert len(wakes(world, "n1")) == 1
    assert wakes(world, "n1")[0] >= now + 1_000 * MS, "the node's own time"


def test_a_clock_that_stands_makes_timers_late_and_they_come_once(world: World) -> None:
    now = world.simulation.now_ns
    for name in ("n1", "n2"):
        world.do(name, wish(now + 20 * MS))
    world.simulation.clock("n1").jump(-100 * MS)
    world.run_ms(60)
    assert (len(wakes(world, "n1")), len(wakes(world, "n2"))) == (0, 1)
    world.run_ms(100)
    assert len(wakes(world, "n1")) == 1
    assert world.simulation.timers_shifted("n2") == 0


def test_a_fast_clock_halves_the_wait_and_outlives_the_process(world: World) -> None:
    world.simulation.clock("n1").set_rate("f1", 200)
    local = world.simulation.now_ns
    world.do("n1", wish(local + 40 * MS))
    world.run_ms(21)
    assert len(wakes(world, "n1")) == 1
    world.kill("n1")
    actor = world.restart("n1")
    first = actor.inputs[0][0]
    world.simulation.clock("n1").lift_rate("f1")
    world.run_ms(50)
    world.do("n1", lambda node: None)
    assert actor.inputs[-1][0] - first < 500 * MS
    assert actor.inputs[-1][0] > world.simulation.now_ns, "what it gained it keeps"
