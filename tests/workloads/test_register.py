"""The workload `register`: its mix, its values, its keys and its final reads."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from workloads.errors import InvalidOptions
from workloads.keyed import clients_of
from workloads.register import WEIGHTS
from workloads.registry import WORKLOADS
from workloads.session import Completion, Operation, Outcome
from workloads.testing import Complete, SimulatedCall, register_machine, simulate
from workloads.workload import WorkloadOptions

REGISTER = WORKLOADS["register"]
NODES = ("n1", "n2", "n3", "n4", "n5")


def options(**changed: int) -> WorkloadOptions:
    seconds = changed.get("seconds", 30)
    return WorkloadOptions(
        threads=changed.get("threads", 10),
        nodes=NODES,
        rate_hz=200,
        time_limit_ns=seconds * 10**9,
        seed=changed.get("seed", 1),
    )


def load(chosen: WorkloadOptions, complete: Complete | None = None) -> tuple[SimulatedCall, ...]:
    return simulate(
        REGISTER.generator(chosen),
        threads=chosen.threads,
        nodes=NODES,
        latency=lambda random: random.randrange(2_000_000, 10_000_000),
        seed=chosen.seed,
        complete=complete or register_machine(),
    )


GOLDEN = Path(__file__).parent / "golden" / "register-seed-1.txt"
CALLS = load(options())
KEYS = tuple(dict.fromkeys(call.operation.key for call in CALLS))


def lines(calls: tuple[SimulatedCall, ...]) -> str:
    """Calls as text: when, who, where, what, and how it ended."""
    return "".join(
        f"{call.invoked_ns:>11} p{call.process} {call.node} {call.operation.f} {call.operation.key} "
        f"{call.operation.value} -> {call.completion.outcome} {call.completion.value}\n"
        for call in calls
    )


def test_the_operations_of_a_seed_are_the_same_in_every_process() -> None:
    """Equal seeds, equal operations, whatever the hash seed (issue #2); the golden file makes changes visible."""
    golden = GOLDEN.read_text(encoding="utf-8")
    assert lines(CALLS[:60]) == golden
    root = Path(__file__).parents[2]
    program = (
        "import runpy; m = runpy.run_path('tests/workloads/test_register.py'); print(end=m['lines'](m['CALLS'][:60]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={"PYTHONHASHSEED": "12345", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == golden


def test_the_rate_and_the_time_limit_are_kept() -> None:
    """200 per second for 30 s, gaps uniform in 0 … 10 ms: 6,000 operations, standard deviation 45."""
    assert abs(len(CALLS) - 6000) < 150
    assert max(call.invoked_ns for call in CALLS) < 30 * 10**9


def test_reads_writes_and_cas_are_mixed_5_to_3_to_2() -> None:
    """harness-anchors.md §6; the first operations of a key turn a cas into a write, for lack of a value to expect."""
    counts = Counter(call.operation.f for call in CALLS)
    assert set(counts) == set(REGISTER.functions)
    for f, share in (("read", 0.5), ("write", 0.3), ("cas", 0.2)):
        assert abs(counts[f] / len(CALLS) - share) < 0.02


@pytest.mark.parametrize("threads", [1, 4, 9, 10, 15, 20, 23])
def test_the_mix_holds_for_every_number_of_clients(threads: int) -> None:
    """By arithmetic: readers only read, the others by their weights, all clients equally often."""
    clients = clients_of(threads, len(NODES), WEIGHTS)
    others = threads - len(clients.readers)
    share = [weight * others / sum(clients.weights) for weight in clients.weights]
    share[0] += len(clients.readers)
    assert [round(10 * part / threads, 6) for part in share] == [5, 3, 2]


def test_half_of_the_clients_of_each_node_only_read() -> None:
    """In a cut-off node every write waits for its timeout (Jepsen: reserve n readers).

    A leader that reads locally was not seen in 6 runs of 30 s by clients that do both, and in 4 of 12 by these.
    """
    readers = {call.thread for call in CALLS if call.operation.f == "read"}
    writers = {call.thread for call in CALLS if call.operation.f != "read"}
    assert (readers, writers) == ({0, 1, 2, 3, 4}, {5, 6, 7, 8, 9})
    assert {call.node for call in CALLS if call.thread in readers} == set(NODES)
    assert {call.node for call in CALLS if call.thread in writers} == set(NODES)


def test_no_value_is_written_twice_to_a_key() -> None:
    """So every read names its writer; a value of a failed write that is ever read is a proof (issue #3)."""
    for key in KEYS:
        own = [call.operation for call in CALLS if call.operation.key == key]
        written = [o.value if o.f == "write" else o.value[1] for o in own if o.f != "read"]
        assert len(written) == len(set(written))


def test_most_cas_hit_and_some_miss() -> None:
    outcomes = Counter(call.completion.outcome for call in CALLS if call.operation.f == "cas")
    assert outcomes[Outcome.OK] / outcomes.total() > 0.5
    assert outcomes[Outcome.FAIL] / outcomes.total() > 0.1


def test_keys_have_short_histories_from_clients_on_all_nodes() -> None:
    per_key = Counter(call.operation.key for call in CALLS)
    assert max(per_key.values()) == 150
    assert sum(count == 150 for count in per_key.values()) >= len(per_key) - 3, "all but the last live ones"
    full = next(key for key in KEYS if per_key[key] == 150)
    assert {call.node for call in CALLS if call.operation.key == full} == set(NODES)


def test_a_key_outlives_most_faults() -> None:
    """Median over 2 s: a read after a partition can still meet what was written before it."""
    lives = []
    for key in KEYS:
        times = [call.invoked_ns for call in CALLS if call.operation.key == key]
        lives.append(max(times) - min(times))
    assert sorted(lives)[len(lives) // 2] > 2 * 10**9


def bites(calls: list[SimulatedCall]) -> bool:
    """A much too simple checker: on one key, a read must not return a value that an ok operation replaced before it."""
    for read in calls:
        if read.operation.f != "read" or read.completion.outcome is not Outcome.OK:
            continue
        writer_end = max((c.completed_ns for c in calls if _wrote(c) == read.completion.value), default=0)
        for other in calls:
            value = _wrote(other)
            if value is None or value == read.completion.value or other.completion.outcome is not Outcome.OK:
                continue
            if writer_end < other.invoked_ns and other.completed_ns < read.invoked_ns:
                return True
    return False


def _wrote(call: SimulatedCall) -> int | None:
    value = call.operation.value
    written = value if call.operation.f == "write" else value[1] if call.operation.f == "cas" else None
    assert written is None or isinstance(written, int)
    return written


def stale_reads(percent: int) -> Complete:
    """A store that sometimes answers a read with the value before the last change: the planted bug."""
    machine = register_machine()
    previous: dict[object, object] = {}
    current: dict[object, object] = {}

    def complete(operation: Operation, random: Random) -> Completion:
        completion = machine(operation, random)
        if operation.f == "read" and random.randrange(100) < percent:
            return Completion(outcome=Outcome.OK, value=previous.get(operation.key))
        if operation.f != "read" and completion.outcome is Outcome.OK:
            value = operation.value if operation.f == "write" else operation.value[1]
            previous[operation.key], current[operation.key] = current.get(operation.key), value
        return completion

    return complete


@pytest.mark.parametrize("seed", range(3))
def test_distinct_values_let_even_a_simple_checker_see_one_stale_read_in_a_hundred(seed: int) -> None:
    small = options(seconds=4, seed=seed)
    for percent, found in ((0, False), (1, True)):
        calls = load(small, stale_reads(percent))
        keys = {call.operation.key for call in calls}
        assert any(bites([call for call in calls if call.operation.key == key]) for key in keys) is found


def final_reads(complete: Complete, *, threads: int = 10) -> tuple[SimulatedCall, ...]:
    chosen = options(threads=threads)
    generator = REGISTER.final_generator(chosen, KEYS)
    return simulate(generator, threads=threads, nodes=NODES, complete=complete)


def test_every_node_is_asked_for_every_key_at_the_end() -> None:
    calls = final_reads(register_machine())
    asked = Counter((call.node, call.operation.key) for call in calls)
    assert asked == dict.fromkeys([(node, key) for node in NODES for key in KEYS], 1)
    assert all(call.operation.f == "read" for call in calls)


def test_fewer_clients_than_nodes_still_read_every_key() -> None:
    calls = final_reads(register_machine(), threads=2)
    assert Counter(call.operation.key for call in calls) == dict.fromkeys(KEYS, 2)


def test_a_final_read_that_does_not_succeed_is_tried_again_but_not_for_ever() -> None:
    def complete(operation: Operation, random: Random) -> Completion:
        return Completion(outcome=Outcome.INFO, error="timeout")

    calls = final_reads(complete)
    tries = Counter((call.node, call.operation.key) for call in calls)
    assert all(tries[(node, KEYS[0])] == 10 for node in NODES)
    assert max(tries.values()) == 10
    assert max(call.invoked_ns for call in calls) < 30 * 10**9, "a dead cluster does not keep the run from ending"


def test_a_run_in_which_nothing_succeeds_ends_all_the_same() -> None:
    """Clients that never succeed must give a vacuous run, not a stuck one (issue #2, sabotage tests)."""

    def complete(operation: Operation, random: Random) -> Completion:
        return Completion(outcome=Outcome.FAIL, error="no-leader")

    counts = Counter(call.operation.f for call in load(options(seconds=5), complete))
    assert set(counts) == {"read", "write"}, "nothing was ever seen, so a cas has nothing to expect"


@pytest.mark.parametrize(
    ("field", "value"),
    [("threads", 0), ("nodes", ()), ("rate_hz", -1.0), ("time_limit_ns", 0), ("operations_per_key", 0)],
)
def test_options_that_cannot_be_run_are_refused_by_name(field: str, value: object) -> None:
    fields: dict[str, object] = {
        "threads": 1,
        "nodes": NODES,
        "rate_hz": 1.0,
        "time_limit_ns": 1,
        "seed": 1,
        "operations_per_key": 1,
    }
    with pytest.raises(InvalidOptions, match=field):
        WorkloadOptions(**{**fields, field: value})  # type: ignore[arg-type]
