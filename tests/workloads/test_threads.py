"""Which threads take part (Jepsen: on-threads, each-thread, each-process, reserve, synchronize, phases, limits)."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.combinators import any_of, repeat, sequence
from workloads.generator import once
from workloads.session import Operation, Outcome
from workloads.stream import named_stream
from workloads.testing import SimulatedCall, always, simulate
from workloads.threads import (
    concurrency_limit,
    each_process,
    each_thread,
    on_nodes,
    on_threads,
    phases,
    process_limit,
    reserve,
    synchronize,
)
from workloads.timing import delay, time_limit

READ, WRITE = Operation("read"), Operation("write")


def latency(random: Random) -> int:
    return random.randrange(100)


def overlap_max(calls: tuple[SimulatedCall, ...]) -> int:
    return max(sum(c.invoked_ns <= call.invoked_ns < c.completed_ns for c in calls) for call in calls)


def test_on_threads_uses_these_threads_only() -> None:
    calls = simulate(on_threads([1, 3], repeat(once(READ), 40)), threads=5)
    assert {call.thread for call in calls} == {1, 3}


def test_on_nodes_uses_the_clients_of_these_nodes_only() -> None:
    """Threads are bound to nodes in turn."""
    nodes = ("n1", "n2", "n3")
    generator = on_nodes(["n3", "n1"], each_thread(sequence(once(WRITE), once(READ))), nodes=nodes)
    calls = simulate(generator, threads=8, nodes=nodes, latency=latency)
    assert Counter(call.thread for call in calls) == dict.fromkeys((0, 2, 3, 5, 6), 2)
    assert {call.node for call in calls} == {"n1", "n3"}


def test_on_nodes_refuses_a_node_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="n9"):
        on_nodes(["n9"], once(READ), nodes=("n1",))


def test_each_thread_runs_a_copy_of_its_own() -> None:
    calls = simulate(each_thread(sequence(once(WRITE), repeat(once(READ), 2))), threads=4, latency=latency)
    for thread in range(4):
        assert [call.operation.f for call in calls if call.thread == thread] == ["write", "read", "read"]


def test_each_thread_goes_on_after_info_and_each_process_starts_again() -> None:
    """Jepsen: each-thread keeps its generator over processes, each-process does not."""
    generator = sequence(once(WRITE), repeat(once(READ), 3))
    kept = simulate(each_thread(generator), threads=2, complete=always(Outcome.INFO))
    assert Counter(call.operation.f for call in kept) == {"write": 2, "read": 6}
    renewed = simulate(each_process(generator), threads=2, complete=always(Outcome.INFO), calls_max=20)
    assert Counter(call.operation.f for call in renewed) == {"write": 20}


def test_reserve_gives_each_part_its_threads() -> None:
    generator = reserve(
        (2, repeat(once(READ), 30)),
        (1, repeat(once(WRITE), 30)),
        otherwise=repeat(once(Operation("cas")), 30),
    )
    calls = simulate(generator, threads=6, latency=latency)
    used = {f: {call.thread for call in calls if call.operation.f == f} for f in ("read", "write", "cas")}
    assert used == {"read": {0, 1}, "write": {2}, "cas": {3, 4, 5}}
    assert len(calls) == 90


@settings(max_examples=30, derandomize=True, deadline=None)
@given(seed=st.integers(0, 1000), threads=st.integers(1, 6), count=st.integers(1, 20))
def test_a_phase_begins_when_all_of_the_one_before_has_ended(seed: int, threads: int, count: int) -> None:
    generator = phases(repeat(once(READ), count), repeat(once(WRITE), count), once(READ))
    calls = simulate(generator, threads=threads, latency=latency, seed=seed)
    reads, writes, last = calls[:count], calls[count : 2 * count], calls[-1]
    assert max(call.completed_ns for call in reads) <= min(call.invoked_ns for call in writes)
    assert max(call.completed_ns for call in writes) <= last.invoked_ns
    assert len(calls) == 2 * count + 1


def test_synchronize_waits_for_operations_of_other_generators() -> None:
    stream = named_stream(1, "test")
    calls = simulate(any_of(stream, once(READ), synchronize(once(WRITE))), threads=3, latency=50)
    assert not any(
        a.invoked_ns < b.invoked_ns < a.completed_ns and b.operation.f == "write" for a in calls for b in calls
    )


@settings(max_examples=20, derandomize=True, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(1, 4))
def test_concurrency_limit_keeps_the_number_of_open_operations(seed: int, count: int) -> None:
    calls = simulate(concurrency_limit(count, repeat(once(READ), 50)), threads=6, latency=latency, seed=seed)
    assert len(calls) == 50
    assert overlap_max(calls) <= count


def test_process_limit_ends_the_generator_before_too_many_processes_have_been_used() -> None:
    """Bounds what stays open for ever: 3 threads and at most 8 processes leave at most 8 open operations."""
    generator = process_limit(8, time_limit(10_000, delay(1, repeat(once(READ)))))
    calls = simulate(generator, threads=3, latency=10, complete=always(Outcome.INFO))
    assert 3 <= len({call.process for call in calls}) <= 8
