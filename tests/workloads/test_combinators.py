"""Order, number, choice and renaming of operations (Jepsen, generator.clj)."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.combinators import (
    any_of,
    cycle,
    f_map,
    flip_flop,
    limit,
    map_operations,
    mix,
    repeat,
    sequence,
    until_ok,
)
from workloads.generator import DONE, Context, Emit, Generator, Pending, drawn, nothing, once
from workloads.session import Completion, Operation, Outcome
from workloads.stream import Stream, named_stream
from workloads.testing import always, simulate
from workloads.threads import concurrency_limit, each_process, each_thread, phases, process_limit, synchronize
from workloads.timing import delay, rate, sleep, stagger, time_limit

Term = tuple[object, ...]
"""A description of a generator: a name and its arguments, of which some are terms."""


def terms() -> st.SearchStrategy[Term]:
    """Finite generators of order and number, three levels deep."""
    leaves = st.one_of(
        st.integers(0, 9).map(lambda value: ("once", value)),
        st.just(("nothing",)),
    )
    return st.recursive(leaves, _compound, max_leaves=8)


def _compound(inner: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    several = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        several.map(lambda parts: ("sequence", *parts)),
        several.map(lambda parts: ("flip_flop", *parts)),
        st.tuples(st.just("limit"), st.integers(0, 4), inner),
        st.tuples(st.just("repeat"), st.integers(0, 3), inner),
        st.tuples(st.just("cycle"), st.integers(0, 3), inner),
        st.tuples(st.just("f_map"), inner),
    )


def build(term: Term) -> Generator:
    """The generator that a term describes."""
    match term:
        case ("once", int(value)):
            return once(Operation("read", value=value))
        case ("sequence", *parts):
            return sequence(*[build(part) for part in _terms(parts)])
        case ("flip_flop", *parts):
            return flip_flop(*[build(part) for part in _terms(parts)])
        case ("limit", int(count), tuple(inner)):
            return limit(count, build(inner))
        case ("repeat", int(count), tuple(inner)):
            return repeat(build(inner), count)
        case ("cycle", int(count), tuple(inner)):
            return cycle(build(inner), count)
        case ("f_map", tuple(inner)):
            return f_map({"read": "write", "write": "read"}, build(inner))
        case _:
            return nothing()


def expected(term: Term) -> list[tuple[str, object]]:
    """What a term must emit, by lists alone. A generator that is done is one whose list has ended."""
    match term:
        case ("once", int(value)):
            return [("read", value)]
        case ("sequence", *parts):
            return list(chain.from_iterable(expected(part) for part in _terms(parts)))
        case ("flip_flop", *parts):
            return _alternating([expected(part) for part in _terms(parts)])
        case ("limit", int(count), tuple(inner)):
            return expected(inner)[:count]
        case ("repeat", int(count), tuple(inner)):
            return expected(inner)[:1] * count
        case ("cycle", int(count), tuple(inner)):
            return expected(inner) * count
        case ("f_map", tuple(inner)):
            renamed = {"read": "write", "write": "read"}
            return [(renamed[f], value) for f, value in expected(inner)]
        case _:
            return []


def _terms(parts: list[object]) -> list[Term]:
    return [part for part in parts if isinstance(part, tuple)]


def _alternating(lists: list[list[tuple[str, object]]]) -> list[tuple[str, object]]:
    result: list[tuple[str, object]] = []
    turn = 0
    while lists and len(lists[turn % len(lists)]) > turn // len(lists):
        result.append(lists[turn % len(lists)][turn // len(lists)])
        turn += 1
    return result


def context(free: tuple[int, ...] = (0, 1, 2), *, threads: int = 3, now_ns: int = 0, draw: int = 0) -> Context:
    """A moment with `threads` threads, process i in thread i."""
    return Context(now_ns, tuple(range(threads)), free, tuple(range(threads)), draw)


READ = Operation("read", "x")
WRITE = Operation("write", "x", 1)
STREAM = named_stream(1, "test")


def values(generator: Generator, *, threads: int = 1, latency: int = 10) -> list[tuple[str, object]]:
    calls = simulate(generator, threads=threads, latency=latency)
    return [(call.operation.f, call.operation.value) for call in calls]


@settings(max_examples=300, derandomize=True, deadline=None)
@given(term=terms(), threads=st.integers(1, 4), latency=st.integers(0, 5))
def test_order_and_number_are_those_of_lists(term: Term, threads: int, latency: int) -> None:
    """Differential: sequence, flip_flop, limit, repeat, cycle and f_map, nested at will, against plain lists."""
    assert values(build(term), threads=threads, latency=latency) == expected(term)


def all_combinators(inner: Generator) -> list[Generator]:
    return [
        any_of(STREAM, inner, repeat(once(WRITE), 2)),
        concurrency_limit(2, inner),
        delay(5, inner),
        each_process(inner),
        each_thread(inner),
        flip_flop(inner, repeat(once(WRITE))),
        limit(3, inner),
        mix(STREAM, (1, inner), (2, repeat(once(WRITE), 2))),
        phases(inner, once(WRITE)),
        process_limit(9, inner),
        rate(1e8, inner, burst=2),
        sequence(sleep(3), inner),
        stagger(5, inner, STREAM),
        synchronize(inner),
        time_limit(100, inner),
        until_ok(inner),
    ]


@settings(max_examples=40, derandomize=True, deadline=None)
@given(term=terms(), free=st.sets(st.integers(0, 2)), draw=st.integers(0, 2**32), now_ns=st.integers(0, 1000))
def test_asking_changes_nothing_and_offers_only_free_threads(
    term: Term, free: set[int], draw: int, now_ns: int
) -> None:
    """The contract of Generator.op: pure, and only threads of the context."""
    moment = context(tuple(sorted(free)), now_ns=now_ns, draw=draw)
    for generator in all_combinators(build(term)):
        step = generator.op(moment)
        assert step == generator.op(moment)
        if isinstance(step, Emit):
            assert step.thread in free
        if isinstance(step, Pending) and step.wake_at_ns is not None:
            assert step.wake_at_ns > now_ns


@settings(max_examples=25, derandomize=True, deadline=None)
@given(term=terms())
def test_every_combinator_ends_when_its_parts_do(term: Term) -> None:
    for generator in all_combinators(build(term)):
        calls = simulate(generator, threads=3, latency=7, calls_max=500)
        assert len(calls) < 500


def test_a_drawn_generator_never_ends_and_never_repeats_a_draw() -> None:
    def draw(stream: Stream) -> tuple[Operation, Stream]:
        value, rest = stream.below(1 << 60)
        return Operation("write", "x", value), rest

    written = values(limit(1000, drawn(STREAM, draw)))
    assert len(set(written)) == 1000


def test_mix_draws_by_weight_and_ends_when_all_parts_have() -> None:
    parts = (5, limit(600, repeat(once(READ)))), (3, repeat(once(WRITE), 360))
    calls = values(mix(STREAM, *parts))
    assert len(calls) == 960
    share = Counter(f for f, _ in calls[:400])["read"] / 400
    assert abs(share - 5 / 8) < 0.08  # three standard deviations


def test_a_waiting_part_of_a_mix_does_not_stop_the_others() -> None:
    """Unlike Jepsen's mix, whose docstring names this as its weakness."""
    generator = mix(STREAM, (1000, sequence(sleep(10**9), once(WRITE))), (1, repeat(once(READ), 20)))
    assert values(generator) == [("read", None)] * 20 + [("write", 1)]


def test_an_empty_mix_is_done() -> None:
    assert mix(STREAM).op(context()) == DONE


def test_any_of_takes_from_whoever_can_and_from_both_alike() -> None:
    generator = any_of(STREAM, repeat(once(READ), 500), repeat(once(WRITE), 500))
    first = Counter(f for f, _ in values(generator)[:400])
    assert abs(first["read"] - 200) < 30  # three standard deviations


def test_any_of_ends_with_the_first_part_when_told_so() -> None:
    """Jepsen: shortest-any."""
    generator = any_of(STREAM, repeat(once(READ), 5), repeat(once(WRITE)), shortest=True)
    counts = Counter(f for f, _ in values(generator))
    assert counts["read"] == 5


def test_until_ok_goes_on_until_one_of_its_own_operations_succeeds() -> None:
    endings = iter([Outcome.FAIL, Outcome.INFO, Outcome.FAIL, Outcome.OK, Outcome.OK])

    def complete(operation: Operation, random: Random) -> Completion:
        return Completion(outcome=next(endings), error=None)

    calls = simulate(until_ok(repeat(once(READ))), threads=1, complete=complete)
    assert [call.completion.outcome for call in calls] == ["fail", "info", "fail", "ok"]


def test_until_ok_is_not_ended_by_the_success_of_others() -> None:
    own = until_ok(repeat(once(WRITE), 3))
    endings = {"read": Outcome.OK, "write": Outcome.FAIL}

    def complete(operation: Operation, random: Random) -> Completion:
        return Completion(outcome=endings[operation.f])

    calls = simulate(any_of(STREAM, own, repeat(once(READ), 3)), threads=2, complete=complete)
    assert Counter(call.operation.f for call in calls) == {"write": 3, "read": 3}


def test_map_operations_changes_what_is_invoked() -> None:
    keyed = map_operations(lambda operation: Operation(operation.f, "y", operation.value), once(WRITE))
    assert simulate(keyed, threads=1)[0].operation == Operation("write", "y", 1)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_nothing_emits_nothing_whatever_happens(outcome: Outcome) -> None:
    assert simulate(nothing(), threads=3, complete=always(outcome)) == ()
