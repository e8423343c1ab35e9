"""Accounts between which money moves: `transfer`, `read`. One bank per key; every account starts with nothing.

An account may be overdrawn by `OVERDRAFT`; a transfer that failed with the error `insufficient-funds` says that it
would have gone further, which is an observation. The total is always 0: transfers only move money.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from checker.history import Operation, Outcome
from checker.model import Anomaly, Contradiction, Manual, Model, Refused, Traits, Word, describe_value
from checker.models.telling import deed, is_whole_number, over_before

__all__ = ["BANK", "INSUFFICIENT", "OVERDRAFT"]

INSUFFICIENT = "insufficient-funds"
"""The error of a transfer that would have overdrawn its account."""

OVERDRAFT = 10
"""By how much an account may be overdrawn."""

State = tuple[tuple[str, int], ...]
"""(account, balance) by account; accounts with nothing are left out."""


def _canonical(balances: dict[str, int]) -> State:
    return tuple(sorted((name, balance) for name, balance in balances.items() if balance != 0))


def _step(state: State, operation: Operation) -> State | Refused:
    if operation.f == "read":
        if operation.outcome is Outcome.INFO or _canonical(operation.result) == state:
            return state
        return Refused(f"the balances are {_describe(state)}")
    giver, taker, amount = operation.value
    balances = dict(state)
    covered = balances.get(giver, 0) - amount >= -OVERDRAFT
    if operation.outcome is Outcome.FAIL:
        return Refused(f"{giver} has {balances.get(giver, 0)}, which is enough") if covered else state
    if not covered:
        refused = Refused(f"{giver} has {balances.get(giver, 0)}, which is not enough")
        return state if operation.outcome is Outcome.INFO else refused
    balances[giver] = balances.get(giver, 0) - amount
    balances[taker] = balances.get(taker, 0) + amount
    return _canonical(balances)


def _describe(state: State) -> str:
    return "{" + ", ".join(f"{name}={balance}" for name, balance in state) + "}"


def _label(operation: Operation) -> Hashable:
    if operation.f == "read":
        return ("unseen",) if operation.outcome is Outcome.INFO else ("read", _canonical(operation.result))
    return ("transfer", operation.outcome, *operation.value)


def _traits(operation: Operation) -> Traits:
    if operation.f == "read":
        return Traits(observer=True, total=operation.outcome is Outcome.INFO)
    return Traits(observer=operation.outcome is Outcome.FAIL, total=operation.outcome is Outcome.INFO)


def _problem(operation: Operation) -> str | None:
    if operation.f not in ("transfer", "read"):
        return f"a bank has no operation {operation.f!r}; it has transfer and read"
    if operation.f == "read" and operation.outcome is Outcome.OK and not _is_balances(operation.result):
        return f"the result of read must be an object of accounts and balances, not {describe_value(operation.result)}"
    if operation.f == "transfer" and not _is_transfer(operation.value):
        return f"the argument of transfer must be [from, to, amount], not {describe_value(operation.value)}"
    return None


def _is_balances(value: object) -> bool:
    return isinstance(value, dict) and all(map(is_whole_number, value.values()))


def _is_transfer(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 3:
        return False
    giver, taker, amount = value
    named = isinstance(giver, str) and isinstance(taker, str) and giver != taker
    return named and is_whole_number(amount) and amount > 0


def _failure_observes(operation: Operation) -> bool:
    return operation.f == "transfer" and operation.error == INSUFFICIENT


def _is_seen(operation: Operation) -> bool:
    return operation.f == "read" and operation.outcome is Outcome.OK


def _impossible(model: Model[State], operations: Sequence[Operation]) -> Operation | None:
    """A read whose total differs from the start's, or in which an account is overdrawn too far."""
    total = sum(balance for _, balance in model.initial)
    least = min((-OVERDRAFT, *(balance for _, balance in model.initial)))
    wrong = [
        one
        for one in operations
        if _is_seen(one) and (sum(one.result.values()) != total or min(one.result.values(), default=0) < least)
    ]
    return min(wrong, key=lambda one: one.return_order or 0, default=None)


def _name_anomaly(found: Contradiction) -> Anomaly:
    stuck, told = found.stuck, deed(found, found.stuck)
    if stuck.f == "transfer":
        return Anomaly("impossible-transfer", f"{told}, which fits into no order of the transfers")
    if _is_seen(stuck):
        total, due = sum(stuck.result.values()), sum(balance for _, balance in found.initial)
        if total != due:
            return Anomaly("wrong-total", f"{told}, {total} in all, but there has never been more or less than {due}")
        if min(stuck.result.values(), default=0) < -OVERDRAFT:
            return Anomaly("overdrawn", f"{told}, where an account is overdrawn by more than {OVERDRAFT}")
        if any(_is_seen(one) for one in over_before(found.core, stuck)):
            return Anomaly("stale-read", f"{told}, which contradicts what had been seen before")
    return Anomaly("inconsistent-reads", f"{told}, which no single order of the transfers explains")


def _read_initial(value: Any) -> State:
    if not _is_balances(value):
        raise ValueError('expected an object such as {"a": 5, "b": -5}')
    return _canonical(value)


BANK: Model[State] = Model(
    name="bank",
    initial=(),
    step=_step,
    describe_state=_describe,
    label=_label,
    traits=_traits,
    problem=_problem,
    failure_observes=_failure_observes,
    anomaly=_name_anomaly,
    read_initial=_read_initial,
    impossible=_impossible,
    unbounded=True,
    manual=Manual(
        about="per key: accounts between which money moves",
        words=(
            Word(
                "transfer",
                "[from, to, amount]",
                "the argument",
                f"moves the amount, unless `from` would be overdrawn by more than {OVERDRAFT}",
            ),
            Word("read", "", "an object of all accounts and their balances", "tells all balances"),
        ),
        start="every account with 0; an object of accounts and balances",
        failures=((f"transfer: {INSUFFICIENT}", "the account would have been overdrawn"),),
        anomalies=(
            ("wrong-total", "a read shows more or less money than there is"),
            ("overdrawn", "a read shows an account overdrawn too far"),
            ("impossible-transfer", "a transfer succeeded, or was refused, against the balances of its time"),
            ("stale-read", "what was read contradicts what had been seen before"),
            ("inconsistent-reads", "none of these: no single order of the transfers explains what was seen"),
        ),
    ),
)
