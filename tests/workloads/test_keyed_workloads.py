"""What the workloads beside `register` have clients do: values, tokens, pages, and how they end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from workloads.queue import Drain
from workloads.registry import WORKLOADS
from workloads.session import Completion, Operation, Outcome
from workloads.testing import Complete, SimulatedCall, simulate
from workloads.threads import on_threads
from workloads.workload import WorkloadOptions

GOLDEN = Path(__file__).parent / "golden" / "workloads-seed-3.txt"
NODES = ("n1", "n2", "n3")
OPTIONS = WorkloadOptions(threads=6, nodes=NODES, rate_hz=300, time_limit_ns=4 * 10**9, seed=3)
KEYED = [name for name in WORKLOADS if name != "unique-ids"]
READING = [name for name in WORKLOADS if WORKLOADS[name].reads]


def load(name: str, complete: Complete | None = None, options: WorkloadOptions = OPTIONS) -> tuple[SimulatedCall, ...]:
    return simulate(
        WORKLOADS[name].generator(options),
        threads=options.threads,
        nodes=options.nodes,
        latency=lambda random: random.randrange(1_000_000, 9_000_000),
        complete=complete or answer_with_tokens(),
    )


def answer_with_tokens() -> Complete:
    """Everything succeeds; an `acquire` with the next token, a `watch` with the next revision."""
    count = 0

    def complete(operation: Operation, random: Random) -> Completion:
        nonlocal count
        count += 1
        value: Any = operation.value
        if operation.f == "acquire":
            value = count
        elif operation.f == "watch":
            value = {"revision": count, "events": []}
        return Completion(outcome=Outcome.OK, value=value)

    return complete


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_uses_exactly_its_functions_on_all_nodes_until_its_time_is_up(name: str) -> None:
    calls = load(name)
    assert {call.operation.f for call in calls} == set(WORKLOADS[name].functions)
    assert {call.node for call in calls} == set(NODES)
    assert 3 * 10**9 < max(call.invoked_ns for call in calls) < 4 * 10**9
    assert load(name) == calls, "equal seeds, equal operations"


@pytest.mark.parametrize("name", ["append", "set", "counter", "bank", "watch"])
def test_reads_and_changes_are_mixed_one_to_one_and_half_of_the_clients_only_read(name: str) -> None:
    calls = load(name)
    reads = [call for call in calls if call.operation.f in WORKLOADS[name].reads]
    assert abs(len(reads) / len(calls) - 0.5) < 0.06
    writers = {call.thread for call in calls} - {0, 1, 2}
    assert {call.thread for call in calls if call.operation.f in WORKLOADS[name].writes} == writers


def lines() -> str:
    """The first operations of every workload as text."""
    calls = [(name, call, call.operation) for name in WORKLOADS for call in load(name)[:15]]
    return "".join(
        f"{name:<10} {call.invoked_ns:>9} p{call.process} {asked.f} {asked.key} {asked.value}\n"
        for name, call, asked in calls
    )


def test_the_operations_of_a_seed_are_those_of_the_golden_file() -> None:
    """A change of what clients do is seen in a diff; every saved plan depends on it."""
    assert lines() == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "f"), [("append", "append"), ("set", "add"), ("queue", "enqueue"), ("watch", "write")]
)
def test_no_value_is_given_twice_to_a_key(name: str, f: str) -> None:
    """So everything that is seen names the operation it comes from."""
    given: list[tuple[Any, Any]] = []
    for call in load(name):
        if call.operation.f == f:
            value = call.operation.value
            given += [(call.operation.key, one) for one in (value if isinstance(value, tuple) else (value,))]
    assert len(given) > 100
    assert len(set(given)) == len(given)


@pytest.mark.parametrize("name", KEYED)
def test_a_key_is_left_after_some_operations(name: str) -> None:
    most = max(Counter(call.operation.key for call in load(name)).values())
    assert most == OPTIONS.operations_per_key * (2 if name == "lock" else 1)


def test_ids_come_from_one_counter_for_the_whole_run() -> None:
    assert {call.operation.key for call in load("unique-ids")} == {"rids"}


def test_a_transfer_goes_from_one_account_to_another() -> None:
    transfers = [call.operation.value for call in load("bank") if call.operation.f == "transfer"]
    assert all(giver != taker and amount > 0 for giver, taker, amount in transfers)
    assert {giver for giver, _, _ in transfers} == {taker for _, taker, _ in transfers} == {"a", "b", "c", "d"}


def test_only_holders_append_and_give_back_and_under_their_token() -> None:
    held: dict[tuple[int, Any], int | None] = {}
    for call in load("lock"):
        at = (call.thread, call.operation.key)
        match call.operation.f:
            case "acquire":
                assert held.get(at) is None
                held[at] = call.completion.value
            case "append":
                assert call.operation.value[0] == held[at]
            case "release":
                assert call.operation.value == held[at]
                held[at] = None
            case _:
                pass


def test_who_does_not_know_whether_it_holds_a_lock_takes_it_anew() -> None:
    """After `info` the thread is another process, with another name for itself."""

    def complete(operation: Operation, random: Random) -> Completion:
        return Completion(outcome=Outcome.INFO, error="timeout")

    owners = [call.operation.value[0] for call in load("lock", complete) if call.operation.f == "acquire"]
    assert len(set(owners)) == len(owners) > 20


def test_a_follower_goes_on_where_its_last_answer_ended() -> None:
    reached: dict[tuple[int, Any], int] = {}
    for call in load("watch"):
        if call.operation.f == "watch":
            at = (call.thread, call.operation.key)
            assert call.operation.value == (reached.get(at, 0), 5)
            reached[at] = call.completion.value["revision"]


@pytest.mark.parametrize("name", READING)
def test_every_node_is_asked_for_every_key_at_the_end(name: str) -> None:
    keys = ("r1", "r2")
    calls = simulate(
        WORKLOADS[name].final_generator(OPTIONS, keys), threads=6, nodes=NODES, complete=answer_with_tokens()
    )
    asked = Counter((call.node, call.operation.key) for call in calls)
    assert asked == dict.fromkeys([(node, key) for node in NODES for key in keys], 1)
    assert {call.operation.f for call in calls} == set(WORKLOADS[name].reads)


def queues(content: dict[Any, list[int]], *, failing: int = 0) -> Complete:
    """Queues that can be taken from; `failing` in a hundred are not answered."""

    def complete(operation: Operation, random: Random) -> Completion:
        if random.randrange(100) < failing:
            return Completion(outcome=Outcome.INFO, error="timeout")
        left = content[operation.key]
        if not left:
            return Completion(outcome=Outcome.FAIL, error="empty")
        return Completion(outcome=Outcome.OK, value=left.pop(0))

    return complete


def test_every_queue_is_emptied_at_the_end_also_when_some_takings_are_not_answered() -> None:
    for failing in (0, 20):
        content = {f"r{number}": list(range(number + 3)) for number in range(8)}
        final = WORKLOADS["queue"].final_generator(OPTIONS, tuple(content))
        calls = simulate(final, threads=6, nodes=NODES, complete=queues(content, failing=failing))
        assert not any(content.values())
        last = {call.operation.key: call for call in calls}
        assert all(call.completion.error == "empty" for call in last.values())
        assert {call.node for call in calls} == set(NODES)


def test_a_queue_that_cannot_be_reached_is_given_up() -> None:
    calls = simulate(on_threads([0], Drain("q")), threads=1, complete=queues({}, failing=100))
    assert len(calls) == 20
