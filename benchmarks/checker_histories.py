"""Histories for `benchmarks.checker`: legal by construction, spoiled on request, and written in the two texts that
Porcupine's own test driver reads (Jepsen's log for registers, Clojure-like maps for key-value stores and queues).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

from msgspec import structs

from checker.history import Operation, Outcome
from checker.models.register import MISMATCH

__all__ = ["Family", "Kind", "generate", "spoil", "write_text"]

Kind: TypeAlias = Literal["register", "cas-register", "kv", "kv-append", "fifo-queue"]


@dataclass(frozen=True, slots=True)
class Family:
    """What kind of history. values 0: every written value is unique."""

    kind: Kind
    operations: int
    clients: int
    values: int = 5
    crashed: float = 0.0
    keys: int = 1

    @property
    def name(self) -> str:
        """A name that tells everything: `cas-register v5 n2000 c20 k1%`."""
        keys = f" keys{self.keys}" if self.keys > 1 else ""
        values = f"v{self.values}" if self.values else "unique"
        return f"{self.kind} {values}{keys} n{self.operations} c{self.clients} k{self.crashed:.0%}"


@dataclass(slots=True)
class _Store:
    """The object itself: what operations do when they take effect."""

    rng: Random
    family: Family
    cells: dict[Any, Any] = field(default_factory=dict)
    queue: deque[int] = field(default_factory=deque)
    written: int = 0

    def value(self) -> int:
        self.written += 1
        return self.rng.randrange(self.family.values) if self.family.values else self.written

    def draw(self) -> tuple[str, Any, Any]:
        """(f, key, argument) of the next call."""
        chance, kind = self.rng.random(), self.family.kind
        if kind == "fifo-queue":
            self.written += 1
            return ("enqueue", None, self.written) if chance < 0.5 else ("dequeue", None, None)
        if kind in ("kv", "kv-append"):
            key = f"{self.rng.randrange(self.family.keys)}"
            if chance < 0.4:
                return "get", key, None
            self.written += 1
            return "append" if kind == "kv-append" and chance < 0.9 else "put", key, f"x{self.written}y"
        if chance < 0.4:
            return "read", None, None
        if kind == "register" or chance < 0.7:
            return "write", None, self.value()
        current = self.cells.get(None)
        guessed = current if current is not None and self.rng.random() < 0.7 else self.value()
        return "cas", None, [guessed, self.value()]

    def apply(self, f: str, key: Any, argument: Any) -> tuple[Outcome, Any]:
        """The operation takes effect: its outcome and result."""
        match f:
            case "read":
                return Outcome.OK, self.cells.get(key)
            case "get":
                return Outcome.OK, self.cells.get(key, "")
            case "write" | "put":
                self.cells[key] = argument
            case "append":
                self.cells[key] = self.cells.get(key, "") + argument
            case "cas" if self.cells.get(key) != argument[0]:
                return Outcome.FAIL, None
            case "cas":
                self.cells[key] = argument[1]
            case "enqueue":
                self.queue.append(argument)
            case _:
                return Outcome.OK, self.queue.popleft() if self.queue else None
        return Outcome.OK, argument


@dataclass(slots=True)
class _Call:
    index: int
    process: int
    f: str
    key: Any
    argument: Any
    rank: int
    answer: tuple[Outcome, Any] | None = None

    def ended(self, rank: int | None) -> Operation:
        outcome, result = (Outcome.INFO, None) if rank is None or self.answer is None else self.answer
        return Operation(
            index=self.index,
            process=self.process,
            f=self.f,
            key=self.key,
            value=self.argument,
            outcome=outcome,
            result=result,
            call_order=self.rank,
            return_order=rank,
            error=MISMATCH if outcome is Outcome.FAIL else None,
        )


def generate(rng: Random, family: Family) -> list[Operation]:
    """A linearizable history: at every tick a random client calls, takes effect, crashes or returns."""
    store = _Store(rng, family)
    open_calls: list[_Call | None] = [None] * family.clients
    done: list[Operation] = []
    late: list[_Call] = []
    called = rank = 0
    process = family.clients
    names = list(range(family.clients))
    while called < family.operations or any(open_calls):
        client = rng.randrange(family.clients)
        call = open_calls[client]
        if late and rng.random() < 0.01:
            one = late.pop(rng.randrange(len(late)))
            store.apply(one.f, one.key, one.argument)
        if call is None:
            if called < family.operations:
                open_calls[client] = _Call(called, names[client], *store.draw(), rank)
                called, rank = called + 1, rank + 1
        elif call.answer is None and call.f != "dequeue" and rng.random() < family.crashed:
            done.append(call.ended(None))
            late.append(call)
            open_calls[client] = None
            names[client], process = process, process + 1
        elif call.answer is None:
            call.answer = store.apply(call.f, call.key, call.argument)
        else:
            done.append(call.ended(rank))
            open_calls[client], rank = None, rank + 1
    return sorted(done, key=lambda operation: operation.index)


def spoil(rng: Random, operations: Sequence[Operation], times: int, begin: int) -> list[Operation]:
    """Give `times` reads the result of another, from operation `begin` on: probably, but not certainly, illegal."""
    spoiled = list(operations)
    reads = [
        place
        for place, one in enumerate(operations)
        if one.f in ("read", "get", "dequeue") and one.outcome is Outcome.OK and place >= begin
    ]
    for _ in range(times if len(reads) > 1 else 0):
        place, other = rng.choice(reads), operations[rng.choice(reads)]
        spoiled[place] = structs.replace(spoiled[place], result=other.result)
    return spoiled


def write_text(path: Path, kind: Kind, operations: Sequence[Operation]) -> None:
    """Write calls and returns, in order, as Porcupine's test driver reads them."""
    line = _log_line if kind in ("register", "cas-register") else _map_line
    events = [(one.call_order, 0, one.index, line(one, "invoke")) for one in operations]
    events += [
        (one.return_order, 1, one.index, line(one, one.outcome.value))
        for one in operations
        if one.return_order is not None
    ]
    path.write_text("".join(text for *_, text in sorted(events)))


def _log_line(one: Operation, what: str) -> str:
    shown = one.result if one.f == "read" else one.value
    text = "nil" if shown is None or (what == "invoke" and one.f == "read") else str(shown).replace(",", "")
    return f"INFO  jepsen.util - {one.process}\t:{what}\t:{one.f}\t{text}\n"


def _map_line(one: Operation, what: str) -> str:
    f = {"enqueue": "append", "dequeue": "get"}.get(one.f, one.f)
    key = "0" if one.key is None else one.key
    shown = one.value if f != "get" else None if what == "invoke" else "nil" if one.result is None else one.result
    text = "nil" if shown is None else f'"{shown}"'
    return f'{{:process {one.process}, :type :{what}, :f :{f}, :key "{key}", :value {text}}}\n'
