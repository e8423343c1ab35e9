"""Random small histories of every model, legal by construction, and ways to spoil them.

A script plays clients against one object: it draws operations and knows what a correct object answers. Effects of
crashed operations may come late or never; ranks may be tied; values are sometimes unique and sometimes not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from msgspec import structs

from checker.history import Frozen, Operation, Outcome
from checker.model import Model, Refused
from checker.models import MODELS
from checker.models.bank import INSUFFICIENT, OVERDRAFT
from checker.models.containers import EMPTY
from checker.models.mutex import HELD
from checker.models.register import MISMATCH

__all__ = ["SCRIPTS", "Script", "model_under_test", "small_history"]

Answer = tuple[Outcome, Any, str | None]
"""(outcome, result, error)."""

Draw = Callable[[Random, Callable[[], int]], tuple[str, Any]]
"""(rng, next value) -> (f, argument)."""

Reply = Callable[[Random, Any, str, Any], Answer]
"""(rng, state, f, argument) -> what a correct object in this state may answer."""


@dataclass(frozen=True, slots=True)
class Script:
    """How to play one model."""

    draw: Draw
    reply: Reply
    guess: Callable[[Random, Operation], Any]
    """Some result that the operation might have had."""
    initial: tuple[Any, ...] = (None,)
    """Start states as JSON, one of which is drawn; None: the model's own."""


def ok(result: Any) -> Answer:
    return Outcome.OK, result, None


def failed(error: str | None) -> Answer:
    return Outcome.FAIL, None, error


def thawed(value: Any) -> Any:
    return None if isinstance(value, Frozen) else value


# ── registers and key-value ──────────────────────────────────────────────────────────────────────────────────────────


def draw_register(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    f = rng.choice(["read", "read", "write", "write", "cas"])
    return f, {"read": None, "write": fresh(), "cas": [rng.choice([None, 0, 1, fresh()]), fresh()]}[f]


def reply_register(rng: Random, state: Any, f: str, value: Any) -> Answer:
    if f == "read":
        return ok(state)
    if f == "cas" and value[0] != state:
        return failed(rng.choice([None, MISMATCH]))
    return ok(value)


def draw_plain_register(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    f = rng.choice(["read", "write"])
    return f, None if f == "read" else fresh()


def guess_value(rng: Random, operation: Operation) -> Any:
    return rng.choice([None, 0, 1, 2, 3])


def draw_versioned(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    f, value = draw_register(rng, fresh)
    return f, None if f == "read" else [None, value]


def reply_versioned(rng: Random, state: Any, f: str, value: Any) -> Answer:
    version, held = state
    if f == "read":
        return ok(rng.choice([[version, held], [version, held], [None, held], [None, None]]))
    if f == "cas" and value[1][0] != held:
        return failed(rng.choice([None, MISMATCH]))
    return ok([rng.choice([version + 1, version + 1, None]), value[1]])


def guess_versioned(rng: Random, operation: Operation) -> Any:
    value = guess_value(rng, operation) if operation.f == "read" else operation.value[1]
    return [rng.choice([None, 0, 1, 2, 3]), value]


def draw_kv(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    f = rng.choice(["get", "get", "put", "append", "cas", "delete"])
    text = "abcdefghijkl"[fresh() % 12]
    return f, {"put": text, "append": text, "cas": [rng.choice([None, "a", text]), "b"]}.get(f)


def draw_append(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    f = rng.choice(["get", "append", "append"])
    return f, None if f == "get" else "abcdefghijkl"[fresh() % 12]


def draw_kv_without_append(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    f, value = draw_kv(rng, fresh)
    return ("put", value) if f == "append" else (f, value)


def reply_kv(rng: Random, state: Any, f: str, value: Any) -> Answer:
    if f == "get":
        return ok(state)
    if f == "cas" and value[0] != state:
        return failed(rng.choice([None, MISMATCH]))
    return ok(value)


def guess_text(rng: Random, operation: Operation) -> Any:
    if operation.f != "get":
        return operation.value
    seen = operation.result or ""
    return rng.choice([None, "", "a", "b", "ab", "ba", seen + "a", seen[:-1], seen[::-1]])


def draw_txn(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    steps = []
    for _ in range(rng.randrange(1, 4)):
        name, register = rng.choice(["read", "write"]), rng.choice("xy")
        steps.append([name, register, fresh() if name == "write" else None])
    return "txn", steps


def reply_txn(rng: Random, state: Any, f: str, value: Any) -> Answer:
    held, filled = dict(state), []
    for name, register, written in value:
        if name == "write":
            held[register] = written
        filled.append([name, register, held.get(register)])
    return ok(filled)


def guess_txn(rng: Random, operation: Operation) -> Any:
    return [
        [name, register, rng.choice([None, 0, 1, 2]) if name == "read" and rng.random() < 0.5 else value]
        for name, register, value in operation.result
    ]


# ── counters and collections ─────────────────────────────────────────────────────────────────────────────────────────


def draw_counter(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    f = rng.choice(["add", "add-and-get", "read"])
    return f, None if f == "read" else rng.choice([-2, -1, 0, 1, 1, 3])


def reply_counter(rng: Random, state: Any, f: str, value: Any) -> Answer:
    return ok({"add": value, "read": state}.get(f, state + (value or 0)))


def guess_number(rng: Random, operation: Operation) -> Any:
    return operation.result + rng.choice([-2, -1, 1, 3]) if operation.f != "add" else operation.value


def draw_set(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    f = rng.choice(["add", "add", "remove", "contains", "read"])
    return f, None if f == "read" else fresh()


def draw_growing_set(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    f, value = draw_set(rng, fresh)
    return ("add", value) if f == "remove" else (f, value)


def reply_set(rng: Random, state: Any, f: str, value: Any) -> Answer:
    return ok({"read": sorted(state), "contains": value in state}.get(f, value))


def guess_set(rng: Random, operation: Operation) -> Any:
    match operation.f:
        case "contains":
            return not operation.result
        case "read":
            return rng.sample(range(4), rng.randrange(4)) if rng.random() < 0.9 else [1, 1]
        case _:
            return operation.value


def draw_list(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    return ("append", fresh()) if rng.random() < 0.5 else ("read", None)


def reply_list(rng: Random, state: Any, f: str, value: Any) -> Answer:
    return ok(list(state) if f == "read" else value)


def guess_list(rng: Random, operation: Operation) -> Any:
    if operation.f == "append":
        return operation.value
    seen = list(operation.result)
    return rng.choice([[], [1], [2, 1], seen[:-1], seen[::-1], [*seen, 1], [*seen, 2]])


def draw_bank(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    if rng.random() < 0.4:
        return "read", None
    giver, taker = rng.sample("abc", 2)
    return "transfer", [giver, taker, rng.choice([1, 4, 8])]


def reply_bank(rng: Random, state: Any, f: str, value: Any) -> Answer:
    held = dict(state)
    if f == "read":
        return ok(held)
    if held.get(value[0], 0) - value[2] < -OVERDRAFT:
        return failed(rng.choice([None, INSUFFICIENT]))
    return ok(value)


def guess_bank(rng: Random, operation: Operation) -> Any:
    if operation.f == "transfer":
        return operation.value
    amount = rng.choice([1, 4, 8])
    return rng.choice([{}, {"a": amount, "b": -amount}, {"a": -amount, "c": amount}, {"a": amount}])


def draw_container(put: str, take: str) -> Draw:
    def draw(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
        return (put, fresh()) if rng.random() < 0.55 else (take, None)

    return draw


def reply_container(take: str, due: int) -> Reply:
    def reply(rng: Random, state: Any, f: str, value: Any) -> Answer:
        if f != take:
            return ok(value)
        if not state:
            return rng.choice([ok(None), failed(EMPTY), failed("timeout")])
        return ok(state[due])

    return reply


def draw_priority(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    if rng.random() < 0.45:
        return "pop", None
    number = fresh()
    return "insert", rng.choice([number % 5, [number % 2, number]])


def reply_priority(rng: Random, state: Any, f: str, value: Any) -> Answer:
    if f == "insert":
        return ok(value)
    content = rng.choice(sorted(state, key=repr))
    if not content:
        return rng.choice([ok(None), failed(EMPTY), failed("timeout")])
    priority, item = rng.choice([one for one in content if one[0] == content[0][0]])
    return ok(priority if item is None else [priority, item])


def guess_priority(rng: Random, operation: Operation) -> Any:
    return operation.value if operation.f == "insert" else rng.choice([None, 0, 1, 2, [0, 2], [1, 1], [1, 3]])


def guess_element(rng: Random, operation: Operation) -> Any:
    return rng.choice([None, 0, 1, 2, 3]) if operation.value is None else operation.value


# ── mutexes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def draw_mutex(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    return rng.choice(["acquire", "release"]), rng.choice([None, 1, 2])


def reply_mutex(rng: Random, state: Any, f: str, value: Any) -> Answer:
    if f == "acquire":
        return failed(rng.choice([None, HELD])) if state is not None else ok(value)
    return ok(value) if state == (value,) else failed(None)


def reply_fenced(rng: Random, state: Any, f: str, value: Any) -> Answer:
    holder, last = state
    answer = reply_mutex(rng, holder, f, value)
    if f == "acquire" and answer[0] is Outcome.OK:
        return ok((last or 0) + rng.choice([1, 1, 2]))
    return answer


def guess_token(rng: Random, operation: Operation) -> Any:
    return rng.randrange(1, 5) if operation.f == "acquire" else operation.value


def draw_leased(rng: Random, fresh: Callable[[], int]) -> tuple[str, Any]:
    f = rng.choice(["acquire", "append", "append", "read", "release"])
    token = rng.randrange(1, 4)
    return f, {"acquire": ["p", 1], "append": [token, fresh()], "release": token}.get(f)


def reply_leased(rng: Random, state: Any, f: str, value: Any) -> Answer:
    token, last, content = state
    match f:
        case "acquire":
            return ok(last + rng.choice([1, 1, 2])) if rng.random() < 0.7 else failed("lock-held")
        case "read":
            return ok([json.loads(one.text) for one in content])
        case _:
            mine = (value[0] if f == "append" else value) == token
            return ok(value) if mine else failed("lock-lost")


def guess_leased(rng: Random, operation: Operation) -> Any:
    match operation.f:
        case "acquire":
            return rng.randrange(1, 5)
        case "read":
            return rng.choice([[], operation.result[:-1], [[1, 1]], operation.result[::-1]])
        case _:
            return operation.value


SCRIPTS: Mapping[str, Script] = {
    "register": Script(draw_plain_register, reply_register, guess_value, (None, 2)),
    "cas-register": Script(draw_register, reply_register, guess_value, (None, 1)),
    "versioned-register": Script(draw_versioned, reply_versioned, guess_versioned, (None, [2, 1])),
    "multi-register": Script(draw_txn, reply_txn, guess_txn, (None, {"x": 0, "y": 0})),
    "key-value": Script(draw_kv, reply_kv, guess_text, (None, "")),
    "key-value, append only": Script(draw_append, reply_kv, guess_text, (None, "", "a")),
    "key-value, no append": Script(draw_kv_without_append, reply_kv, guess_text),
    "list-append": Script(draw_list, reply_list, guess_list, (None, None, [8, 9])),
    "set": Script(draw_set, reply_set, guess_set, (None, [1])),
    "set, growing": Script(draw_growing_set, reply_set, guess_set, (None, [1])),
    "counter": Script(draw_counter, reply_counter, guess_number, (None, 4)),
    "fifo-queue": Script(
        draw_container("enqueue", "dequeue"), reply_container("dequeue", 0), guess_element, (None, None, [8, 9])
    ),
    "stack": Script(draw_container("push", "pop"), reply_container("pop", -1), guess_element, (None, None, [8, 9])),
    "priority-queue": Script(draw_priority, reply_priority, guess_priority, (None, None, [1, [1, 2]])),
    "mutex": Script(draw_mutex, reply_mutex, guess_value, (None, {"owner": 1})),
    "fenced-mutex": Script(draw_mutex, reply_fenced, guess_token, (None, 1, {"owner": 2, "token": 1})),
    "leased-lock": Script(draw_leased, reply_leased, guess_leased, (None,)),
    "bank": Script(draw_bank, reply_bank, guess_bank, (None, {"a": 5, "b": -5})),
}
"""Script -> how to play it; its model is what comes before the comma."""


def model_under_test(script: str, rng: Random) -> Model[Any]:
    """The script's model, with a start state of the script's choice."""
    model = MODELS[script.partition(",")[0]]
    initial = rng.choice(SCRIPTS[script].initial)
    return model if initial is None else model.starting_at(initial)


@dataclass(slots=True)
class _Play:
    rng: Random
    model: Model[Any]
    script: Script
    unique: bool
    crashed: float
    ties: float
    state: Any
    rank: int = 0
    count: int = 0
    index: int = 0
    """The last index of the object's log."""
    late: list[Operation] = field(default_factory=list)

    def fresh(self) -> int:
        self.count += 1
        return self.count if self.unique else self.rng.randrange(3)

    def tick(self) -> int:
        if self.rng.random() >= self.ties:
            self.rank += 1
        return self.rank

    def invoke(self, index: int) -> Operation:
        f, value = self.script.draw(self.rng, self.fresh)
        call = self.tick()
        return Operation(
            index=index, process=index, f=f, value=value, outcome=Outcome.INFO, call_order=call, return_order=None
        )

    def apply(self, operation: Operation) -> Operation:
        outcome, result, error = self.script.reply(self.rng, self.state, operation.f, operation.value)
        answered = structs.replace(operation, outcome=outcome, result=result, error=error)
        if outcome is Outcome.OK:
            self.take_effect(answered)
        elif self.rng.random() < 0.5:  # a failure may have an entry of its own
            self.index += 1
        return structs.replace(answered, position=(1 + self.index // 5, self.index))

    def take_effect(self, operation: Operation) -> None:
        after = self.model.step(self.state, operation)
        assert not isinstance(after, Refused), (operation, self.state)
        if after != self.state or not self.model.traits(operation).observer:
            self.index += self.rng.randrange(1, 3)
        self.state = after


def small_history(script: str, rng: Random, *, spoil: bool = True) -> tuple[Model[Any], list[Operation]]:
    """3 to 7 operations by 2 to 4 clients, often with crashes and tied ranks, most of them spoiled."""
    model = model_under_test(script, rng)
    play = _Play(
        rng,
        model,
        SCRIPTS[script],
        unique=rng.random() < 0.6,
        crashed=rng.choice([0.0, 0.15, 0.4]),
        ties=rng.choice([0.0, 0.0, 0.4]),
        state=model.initial,
    )
    operations = _played(play, rng.randrange(3, 8), rng.randrange(2, 5))
    for _ in range(rng.choice([0, 1, 2, 3]) if spoil else 0):
        operations = _spoiled(play, operations)
    return model, operations


def _played(play: _Play, total: int, clients: int) -> list[Operation]:
    rng, done, called = play.rng, [], 0
    waiting: list[Operation | None] = [None] * clients
    applied = [False] * clients
    while called < total or any(waiting):
        client = rng.randrange(clients)
        operation = waiting[client]
        if play.late and rng.random() < 0.1:
            play.take_effect(play.late.pop(rng.randrange(len(play.late))))
        if operation is None:
            if called < total:
                waiting[client], applied[client] = play.invoke(called), False
                called += 1
        elif not applied[client] and rng.random() < play.crashed:
            done.append(operation)
            play.late.append(operation)
            waiting[client] = None
        elif not applied[client]:
            waiting[client], applied[client] = play.apply(operation), True
        else:
            done.append(structs.replace(operation, return_order=play.tick()))
            waiting[client] = None
    return sorted(done, key=lambda one: one.index)


def _spoiled(play: _Play, operations: list[Operation]) -> list[Operation]:
    """Change one result or argument: the history may or may not still have a legal order."""
    spoiled = list(operations)
    place = play.rng.randrange(len(spoiled))
    operation = spoiled[place]
    if operation.outcome is not Outcome.INFO and play.rng.random() < 0.3:
        spoiled[place] = _asked_otherwise(play, operation)
    elif operation.outcome is Outcome.OK:
        spoiled[place] = structs.replace(operation, result=play.script.guess(play.rng, operation))
    elif operation.outcome is Outcome.FAIL:
        for error in (MISMATCH, HELD, EMPTY):
            observed = structs.replace(operation, error=error)
            if play.model.failure_observes(observed):
                spoiled[place] = observed
    return spoiled


def _asked_otherwise(play: _Play, operation: Operation) -> Operation:
    """Another argument, and success: what failed may now have happened."""
    for _ in range(20):
        f, value = play.script.draw(play.rng, play.fresh)
        if f == operation.f:
            outcome, result, error = play.script.reply(play.rng, play.state, f, value)
            if outcome is Outcome.OK:
                return structs.replace(operation, value=value, outcome=outcome, result=result, error=error)
    if operation.outcome is Outcome.FAIL and operation.f in ("acquire", "release"):
        result = play.script.guess(play.rng, operation)
        return structs.replace(operation, outcome=Outcome.OK, result=result, error=None)
    return operation
