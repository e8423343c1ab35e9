"""Gibbons and Korach's zones against brute force, and what they are for."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from msgspec import structs

from checker.errors import ModelError
from checker.history import Operation, Outcome
from checker.linearization import replay
from checker.model import Footprint
from checker.models import MODELS
from checker.partition import Decision, check_operations
from checker.preparation import relevant
from checker.zones import judge_by_zones
from tests.checker.generating import Shape, random_history
from tests.checker.oracle import is_linearizable

REGISTER, CAS = MODELS["register"], MODELS["cas-register"]


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


def comparing(rng: Random) -> list[Operation]:
    """Every made value is unique; compare-and-set, failed comparisons and crashes; up to three altered results."""
    shape = Shape(
        rng.randrange(4, 10),
        rng.randrange(2, 6),
        values=0,
        cas=rng.choice([0.3, 0.6]),
        read=rng.choice([0.3, 0.5]),
        crashed=rng.choice([0.0, 0.0, 0.2, 0.5]),
        ties=rng.choice([0.0, 0.0, 0.4]),
        mismatch=rng.choice([0.0, 1.0]),
    )
    drawn = random_history(rng, shape)
    changes = [one for one in drawn if one.f != "read" and one.outcome is not Outcome.FAIL]
    made = [None, *(one.value if one.f == "write" else one.value[1] for one in changes)]
    for _ in range(rng.randrange(4)):
        place = rng.randrange(len(drawn))
        one = drawn[place]
        if one.f == "read" and one.outcome is Outcome.OK:
            drawn[place] = structs.replace(one, result=rng.choice(made))
        elif one.f == "cas":
            drawn[place] = structs.replace(one, value=[rng.choice(made), one.value[1]])
    return drawn


def wrong_zones(seeds: range) -> list[int]:
    """Seeds on which zones contradict brute force, decide nothing about most, or give an order that does not hold."""
    wrong, verdicts = [], {True: 0, False: 0, None: 0}
    for seed in seeds:
        operations = comparing(Random(f"{seed}/zones-cas"))
        zones = judge_by_zones(relevant(CAS, operations), CAS)
        verdict = None if zones is None else zones.order is not None
        verdicts[verdict] += 1
        order = None if zones is None else zones.order
        if verdict not in (None, is_linearizable(operations, CAS)) or (order and replay(operations, order, CAS)):
            wrong.append(seed)
    assert min(verdicts[True], verdicts[False]) > len(seeds) / 10
    assert verdicts[None] < len(seeds) / 4
    return wrong


def test_zones_with_compare_and_set_give_the_verdict_of_brute_force_and_an_order_that_holds() -> None:
    assert wrong_zones(range(2_500)) == []


@pytest.mark.soak
def test_sixty_thousand_histories_with_compare_and_set_get_the_verdict_of_brute_force_from_zones() -> None:
    assert wrong_zones(range(10_000, 70_000)) == []


def test_the_operation_that_zones_blame_ends_a_part_that_is_illegal_by_itself() -> None:
    """Everything that had returned by then, the rest still open: illegal already."""
    blamed = 0
    for seed in range(1_000):
        comparisons = seed % 2 == 1
        rng = Random(f"{seed}/blame")
        operations = comparing(rng) if comparisons else unique_writes(rng, 8, 4, 3)
        zones = judge_by_zones(relevant(CAS, operations), CAS)
        if zones is None or zones.stuck is None:
            continue
        end = zones.stuck.return_order
        assert end is not None
        part = [
            one
            if one.return_order is not None and one.return_order <= end
            else structs.replace(one, outcome=Outcome.INFO, result=None, return_order=None)
            for one in relevant(CAS, operations)
            if one.call_order <= end
        ]
        assert not is_linearizable(part, CAS), seed
        blamed += 1
    assert blamed > 200


def test_zones_do_not_apply_to_repeated_values() -> None:
    for repeated, model in ((0.0, REGISTER), (0.5, CAS)):
        assert judge_by_zones(random_history(Random(1), Shape(30, 4, values=3, cas=repeated)), model) is None


def test_a_hundred_clients_that_write_unique_values_are_decided_by_zones() -> None:
    """checker.md, honest limits: no search of ours decides these."""
    for swaps, decision in ((0, Decision.OK), (40, Decision.ILLEGAL)):
        operations = unique_writes(Random("hundred"), 2_000, 100, swaps)
        result = check_operations(operations, REGISTER)
        assert (result.decision, result.phase) == (decision, "zones")


def test_a_hundred_clients_that_compare_and_set_unique_values_are_decided_by_zones() -> None:
    operations = random_history(Random("hundred"), Shape(2_000, 100, values=0, cas=0.3, mismatch=1.0))
    result = check_operations(operations, CAS)
    assert (result.decision, result.phase) == (Decision.OK, "zones")
    reads = [place for place, one in enumerate(operations) if one.f == "read" and place > 1_000]
    operations[reads[-1]] = structs.replace(operations[reads[-1]], result=operations[reads[0]].result)
    result = check_operations(operations, CAS)
    assert (result.decision, result.phase) == (Decision.ILLEGAL, "zones")


def test_zones_that_rest_on_wrong_footprints_are_an_error_of_the_model_not_a_verdict() -> None:
    """A compare-and-set that is declared to make another value than it does."""

    def lying(one: Operation) -> Footprint:
        told = CAS.footprint
        assert told is not None
        return (
            replace(told(one), makes=("wrong", one.value[1]))
            if one.f == "cas" and one.outcome.value == "ok"
            else told(one)
        )

    model = replace(CAS, footprint=lying)
    for seed in range(20):
        operations = random_history(Random(f"{seed}/lying"), Shape(60, 12, values=0, cas=0.5))
        swaps = [one for one in operations if one.f == "cas" and one.outcome is Outcome.OK]
        if not swaps:
            continue
        with pytest.raises(ModelError):
            check_operations(operations, model, engine="python")
