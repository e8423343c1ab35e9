"""Gibbons and Korach's zones against brute force, and what they are for."""

from __future__ import annotations

from random import Random

from msgspec import structs

from checker.history import Operation, Outcome
from checker.linearization import replay
from checker.models import MODELS
from checker.partition import Decision, check_operations
from checker.preparation import relevant
from checker.zones import judge_by_zones
from tests.checker.generating import Shape, random_history
from tests.checker.oracle import is_linearizable

REGISTER = MODELS["register"]


def unique_writes(rng: Random, operations: int, clients: int, swaps: int, crashed: float = 0.0) -> list[Operation]:
    """Every write is unique; `swaps` reads say what an earlier one said."""
    shape = Shape(operations, clients, values=0, cas=0.0, read=0.5, crashed=crashed, ties=rng.choice([0.0, 0.3]))
    drawn = random_history(rng, shape)
    reads = [place for place, one in enumerate(drawn) if one.f == "read" and one.outcome is Outcome.OK]
    for _ in range(swaps if reads else 0):
        one, other = sorted((rng.choice(reads), rng.choice(reads)))
        drawn[other] = structs.replace(drawn[other], result=drawn[one].result)
    return drawn


def test_zones_give_the_verdict_of_brute_force_and_an_order_that_holds() -> None:
    verdicts = {True: 0, False: 0}
    for seed in range(3_000):
        rng = Random(f"{seed}/zones")
        crashed = rng.choice([0.0, 0.3])
        operations = unique_writes(rng, rng.randrange(4, 10), rng.randrange(2, 5), rng.randrange(7), crashed)
        zones = judge_by_zones(relevant(REGISTER, operations), REGISTER)
        legal = is_linearizable(operations, REGISTER)
        assert zones is not None, seed
        assert (zones.order is not None) == legal, seed
        assert (zones.stuck is None) == legal, seed
        if zones.order is not None:
            assert replay(operations, zones.order, REGISTER) is None, seed
        verdicts[legal] += 1
    assert min(verdicts.values()) > 400


def test_the_operation_that_zones_blame_ends_a_part_that_is_illegal_by_itself() -> None:
    """Everything that had returned by then, the rest still open: illegal already."""
    for seed in range(300):
        operations = unique_writes(Random(f"{seed}/blame"), 8, 4, 3)
        zones = judge_by_zones(relevant(REGISTER, operations), REGISTER)
        assert zones is not None
        if zones.stuck is None:
            continue
        end = zones.stuck.return_order
        assert end is not None
        part = [
            one
            if one.return_order is not None and one.return_order <= end
            else structs.replace(one, outcome=Outcome.INFO, result=None, return_order=None)
            for one in operations
            if one.call_order <= end
        ]
        assert not is_linearizable(part, REGISTER), seed


def test_zones_do_not_apply_to_repeated_values_or_to_compare_and_set() -> None:
    repeated = random_history(Random(1), Shape(30, 4, values=3, cas=0.0))
    assert judge_by_zones(repeated, REGISTER) is None
    comparing = random_history(Random(1), Shape(30, 4, values=0, cas=0.5))
    assert judge_by_zones(comparing, MODELS["cas-register"]) is None


def test_a_hundred_clients_that_write_unique_values_are_decided_by_zones() -> None:
    """checker.md, honest limits: no search of ours decides these."""
    for swaps, decision in ((0, Decision.OK), (40, Decision.ILLEGAL)):
        operations = unique_writes(Random("hundred"), 2_000, 100, swaps)
        result = check_operations(operations, REGISTER)
        assert (result.decision, result.phase) == (decision, "zones")
