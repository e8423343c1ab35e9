"""Threads, processes and nodes (Jepsen, interpreter.clj; architecture.md §4: three outcomes, never two)."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.combinators import limit, repeat, sequence
from workloads.errors import GeneratorStuck, InvalidOptions
from workloads.generator import Context, Event, Generator, Pending, Step, once
from workloads.interpreter import Completed, Exhausted, GeneratorDriver, Invoke, Started, WakeAt, Woken
from workloads.session import Completion, Operation, Outcome
from workloads.testing import simulate
from workloads.timing import delay, sleep

READ = Operation("read", "x")
OK, FAIL, INFO = (Completion(outcome=outcome) for outcome in (Outcome.OK, Outcome.FAIL, Outcome.INFO))


def driver(generator: Generator, *, threads: int = 3, seed: int = 1) -> GeneratorDriver:
    return GeneratorDriver(generator, threads=threads, nodes=("n1", "n2"), seed=seed)


def test_threads_are_bound_to_nodes_round_robin() -> None:
    actions = driver(repeat(once(READ), 5), threads=5).step(0, Started())
    bound = {action.thread: action.node for action in actions if isinstance(action, Invoke)}
    assert bound == {0: "n1", 1: "n2", 2: "n1", 3: "n2", 4: "n1"}


def test_after_info_the_thread_goes_on_as_another_process() -> None:
    """Jepsen, context/with-next-process: process + concurrency; ok and fail leave the process alone."""
    seen = []
    one = driver(repeat(once(READ)), threads=3)
    actions = one.step(0, Started())
    for completion in (OK, INFO, FAIL, INFO, OK):
        invoke = next(action for action in actions if isinstance(action, Invoke) and action.thread == 1)
        seen.append(invoke.process)
        actions = one.step(1, Completed(1, completion))
    assert seen == [1, 1, 4, 4, 7]


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10_000), threads=st.integers(1, 6))
def test_a_process_has_one_open_operation_and_none_after_info(seed: int, threads: int) -> None:
    """The rule of a history (checker.records.HistoryLine.process), under outcomes and latencies drawn by chance."""
    outcomes = (OK, FAIL, INFO)

    def complete(operation: Operation, random: Random) -> Completion:
        return outcomes[random.randrange(3)]

    def latency(random: Random) -> int:
        return random.randrange(50)

    calls = simulate(limit(60, repeat(once(READ))), threads=threads, latency=latency, seed=seed, complete=complete)
    assert len(calls) == 60
    for process in {call.process for call in calls}:
        own = [call for call in calls if call.process == process]
        assert len({(call.thread, call.node) for call in own}) == 1
        for before, after in pairwise(own):
            assert before.completed_ns <= after.invoked_ns
            assert before.completion.outcome is not Outcome.INFO


def test_the_end_is_told_once_and_only_when_nothing_is_open() -> None:
    one = driver(repeat(once(READ), 2), threads=2)
    assert len(one.step(0, Started())) == 2
    assert one.step(1, Completed(0, OK)) == ()
    assert one.outstanding == 1
    assert one.step(2, Completed(1, INFO)) == (Exhausted(),)
    assert one.step(3, Woken()) == ()
    assert one.exhausted


def test_a_second_phase_keeps_the_processes_of_the_first() -> None:
    """Final reads after healing: a process that ended in info does not come back."""
    one = driver(once(READ), threads=1)
    one.step(0, Started())
    one.step(1, Completed(0, INFO))
    one.continue_with(once(READ))
    (invoke,) = one.step(2, Started())
    assert isinstance(invoke, Invoke)
    assert invoke.process == 1
    assert one.step(3, Completed(0, OK)) == (Exhausted(),)


def test_stop_lets_open_operations_end() -> None:
    one = driver(repeat(once(READ)), threads=2)
    one.step(0, Started())
    one.stop()
    assert one.step(1, Completed(0, OK)) == ()
    assert one.step(1, Completed(1, OK)) == (Exhausted(),)


def test_a_generator_that_waits_is_woken_when_it_asked_to_be() -> None:
    one = driver(sequence(sleep(100), delay(10, repeat(once(READ), 2))), threads=2)
    assert one.step(5, Started()) == (WakeAt(105),)
    assert one.step(50, Woken()) == (WakeAt(105),), "waking early does no harm"
    invoke, wake = one.step(105, Woken())
    assert isinstance(invoke, Invoke)
    assert wake == WakeAt(115)


class Waiting:
    """Waits for an event that cannot come."""

    def op(self, context: Context) -> Step:
        return Pending(self)

    def update(self, context: Context, event: Event) -> Generator:
        return self


def test_a_generator_that_can_never_go_on_is_an_error_and_not_a_hang() -> None:
    with pytest.raises(GeneratorStuck, match="Waiting"):
        driver(Waiting()).step(7, Started())


def test_equal_seeds_give_equal_runs_and_other_seeds_other_ones() -> None:
    def run(seed: int) -> list[int]:
        calls = simulate(repeat(once(READ), 100), threads=5, latency=lambda r: r.randrange(9), seed=seed)
        return [call.thread for call in calls]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_free_threads_have_equal_chances() -> None:
    """1,000 operations of 5 threads, never two at once: 200 each, standard deviation 13."""
    calls = simulate(delay(10, repeat(once(READ), 1000)), threads=5, latency=1)
    for thread in range(5):
        assert abs(sum(call.thread == thread for call in calls) - 200) < 50


@pytest.mark.parametrize(("threads", "nodes"), [(0, ("n1",)), (1, ())])
def test_a_driver_without_threads_or_nodes_is_refused(threads: int, nodes: tuple[str, ...]) -> None:
    with pytest.raises(InvalidOptions):
        GeneratorDriver(once(READ), threads=threads, nodes=nodes, seed=1)
