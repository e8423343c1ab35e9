"""Queues of a thousand operations are decided without a search, either way (issue 4: at most 0.5 s)."""

from __future__ import annotations

from random import Random

import pytest
from msgspec import structs

from checker.history import Operation, Outcome
from checker.linearization import replay
from checker.models import MODELS
from checker.partition import Budget, Decision, check_operations

QUEUE = MODELS["fifo-queue"]


def queue_history(rng: Random, *, total: int, clients: int) -> list[Operation]:
    """Legal: every operation takes effect at some moment between its call and its return."""
    content: list[int] = []
    waiting: list[Operation | None] = [None] * clients
    done: list[Operation] = []
    rank = called = 0
    while len(done) < total:
        client = rng.randrange(clients)
        operation = waiting[client]
        rank += 1
        if operation is not None:
            done.append(structs.replace(operation, return_order=rank))
            waiting[client] = None
        elif called < total:
            put = rng.random() < 0.52
            blank = Operation(
                index=called, process=called, f="enqueue", outcome=Outcome.OK, call_order=rank, return_order=None
            )
            if put:
                content.append(called)
                waiting[client] = structs.replace(blank, value=called, result=called)
            else:
                waiting[client] = structs.replace(blank, f="dequeue", result=content.pop(0) if content else None)
            called += 1
    return sorted(done, key=lambda one: one.index)


@pytest.mark.parametrize("clients", [5, 40])
def test_a_legal_queue_gets_an_order_that_holds_without_a_search(clients: int) -> None:
    operations = queue_history(Random(f"{clients}/queue"), total=1_000, clients=clients)
    result = check_operations(operations, QUEUE, budget=Budget(1))
    assert (result.decision, result.phase) == (Decision.OK, "proposed")
    assert result.linearization is not None
    assert replay(operations, result.linearization, QUEUE) is None


@pytest.mark.parametrize("clients", [5, 40])
def test_two_elements_in_the_wrong_order_are_found_without_a_search(clients: int) -> None:
    operations = queue_history(Random(f"{clients}/queue"), total=1_000, clients=clients)
    takes = [place for place, one in enumerate(operations) if one.f == "dequeue" and one.result is not None]
    one, other = takes[10], takes[300]
    first, second = operations[one], operations[other]
    operations[one] = structs.replace(first, result=second.result)
    operations[other] = structs.replace(second, result=first.result)
    result = check_operations(operations, QUEUE, budget=Budget(1))
    assert (result.decision, result.phase) == (Decision.ILLEGAL, "necessary-condition")
