"""Independent keys (Jepsen: jepsen.independent)."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.combinators import limit, repeat
from workloads.generator import Generator, once
from workloads.keys import live_keys, per_key
from workloads.session import Operation
from workloads.stream import named_stream
from workloads.testing import simulate
from workloads.threads import phases

NODES = ("n1", "n2", "n3")


def reads(count: int, key: int) -> Generator:
    return repeat(once(Operation("read", key)), count)


def latency(random: Random) -> int:
    return random.randrange(1, 100)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(threads=st.integers(1, 13), group_size=st.integers(1, 6), keys=st.integers(1, 8), seed=st.integers(0, 99))
def test_every_key_gets_all_of_its_operations_from_one_group(
    threads: int, group_size: int, keys: int, seed: int
) -> None:
    generator = per_key(group_size, lambda key: reads(5, key), count=keys)
    calls = simulate(generator, threads=threads, latency=latency, seed=seed)
    assert Counter(call.operation.key for call in calls) == dict.fromkeys(range(keys), 5)
    groups = max(1, threads // group_size)
    for key in range(keys):
        used = {call.thread for call in calls if call.operation.key == key}
        assert max(used) - min(used) < -(-threads // groups)


def test_a_group_of_as_many_threads_as_nodes_reaches_every_node() -> None:
    calls = simulate(per_key(3, lambda key: reads(60, key), count=2), threads=6, nodes=NODES, latency=latency)
    for key in (0, 1):
        assert {call.node for call in calls if call.operation.key == key} == set(NODES)


def test_a_group_takes_the_next_key_while_others_are_still_busy() -> None:
    generator = per_key(1, lambda key: reads(100 if key == 0 else 1, key), count=10)
    calls = simulate(generator, threads=2, latency=10)
    first = next(call for call in calls if call.operation.key == 0).thread
    assert {call.thread for call in calls if call.operation.key != 0} == {1 - first}


def test_a_barrier_inside_a_key_waits_for_its_group_only() -> None:
    """Jepsen: barriers work independently for each key."""

    def make(key: int) -> Generator:
        return phases(reads(3, key), once(Operation("write", key)))

    calls = simulate(per_key(2, make, count=6), threads=6, latency=latency)
    for key in range(6):
        own = [call for call in calls if call.operation.key == key]
        assert own[-1].operation.f == "write"
        assert max(call.completed_ns for call in own[:-1]) <= own[-1].invoked_ns


def test_live_keys_are_worked_on_together_and_make_way_when_done() -> None:
    generator = live_keys(3, lambda key: reads(10, key), named_stream(1, "keys"), count=9)
    calls = simulate(generator, threads=2, latency=latency)
    assert Counter(call.operation.key for call in calls) == dict.fromkeys(range(9), 10)
    left = Counter[int]()
    for call in calls:
        left[call.operation.key] += 1
        started = [key for key in left if left[key] < 10]
        assert len(started) <= 3
    assert len({call.operation.key for call in calls[:10]}) >= 2


def test_live_keys_without_end_go_on() -> None:
    generator = limit(500, live_keys(2, lambda key: reads(7, key), named_stream(1, "keys")))
    calls = simulate(generator, threads=4)
    assert len({call.operation.key for call in calls}) >= 500 // 7


@pytest.mark.parametrize("make", [per_key, lambda size, make: live_keys(size, make, named_stream(1, "keys"))])
def test_a_key_that_never_has_an_operation_is_a_mistake_and_not_an_endless_loop(make: object) -> None:
    assert callable(make)
    generator = make(2, lambda key: limit(0, reads(1, key)))
    with pytest.raises(AssertionError, match="at least one operation"):
        simulate(generator, threads=2)


def test_skewed_keys_are_used_by_zipfs_law() -> None:
    """The n-th live key gets operations in proportion to n^-skew; without skew all get the same."""
    for skew, shares in ((0.0, (0.25, 0.25, 0.25, 0.25)), (1.0, (0.48, 0.24, 0.16, 0.12))):
        stream = named_stream(1, f"zipf/{skew}")
        generator = live_keys(4, lambda key: reads(100_000, key), stream, skew=skew)
        calls = simulate(generator, threads=3, calls_max=4000)
        counts = Counter(call.operation.key for call in calls)
        for key, share in enumerate(shares):
            assert abs(counts[key] / len(calls) - share) < 0.03, (skew, key)
