"""Judges a history while it is recorded: `Checker(model).feed(line)` reports the first return that is impossible.

A configuration is a state, the open operations that MUST and that MAY still take effect, and what is needed to judge
results that are not known yet. The result of an open operation is unknown: a read may have seen any state since its
call, so all of those are remembered (`seen`); another one is applied as if its result had been lost, and where it took
effect is remembered (`facts`) until the result says whether it could; where even the effect depends on the result,
what followed is repeated with the true one (`since`). docs/checker.md argues all three.

What belongs here is the search without a future; the one that knows the whole history is faster.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import itemgetter
from typing import Any, TypeAlias

from msgspec import structs

from checker.errors import IllFormedHistory
from checker.history import Operation, Outcome, Pairing
from checker.model import Model, Refused
from checker.records import HistoryLine, LineType

__all__ = ["Checker", "Progress", "Standing"]

DEFAULT_BUDGET = 20_000
"""Configurations expanded per return: a fraction of a second."""


class Standing(StrEnum):
    """What is known so far."""

    POSSIBLE = "possible"
    IMPOSSIBLE = "impossible"
    UNDECIDED = "undecided"
    """On some partition the budget was used up; no impossible return was found on the others."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known after a line."""

    standing: Standing
    lines: int
    """Fed so far."""
    configurations: int
    """Expanded for this line."""
    frontier: int
    """Configurations that are possible now on the line's partition."""
    impossible: Operation | None = None
    """The first operation, by return, that fits into no legal order of what had happened by then."""
    key: Any = None
    """The key of the impossible operation, or of the first undecided partition."""


class Checker:
    """Judges lines as they come. budget: configurations expanded per return; beyond, a partition is given up."""

    def __init__(self, model: Model[Any], *, budget: int = DEFAULT_BUDGET) -> None:
        self._model = model
        self._budget = budget
        self._pairing = Pairing()
        self._partitions: dict[Hashable, _Partition] = {}
        self._lines = 0
        self._impossible: Operation | None = None
        self._undecided: list[Any] = []

    def feed(self, line: HistoryLine) -> Progress:
        """Take the next line. Raises IllFormedHistory for one that is no continuation of a history, or that the model
        does not know."""
        completed = self._pairing.add(self._lines, line)
        self._lines += 1
        operation = self._called(line) if completed is None else completed
        self._require_known(operation)
        name = self._model.partition(operation)
        partition = self._partitions.get(name)
        if partition is None:
            partition = self._partitions[name] = _Partition(self._model, self._budget)
        spent = 0
        if partition.standing is Standing.POSSIBLE:
            spent = partition.take(_Event(line.type, operation))
            self._note(partition, operation)
        return self._progress(spent, len(partition.frontier))

    def _called(self, line: HistoryLine) -> Operation:
        return Operation(
            index=self._lines - 1,
            process=line.process,
            f=line.f,
            outcome=Outcome.INFO,
            key=line.key,
            value=line.value,
            call_ns=line.time_ns,
            call_order=self._lines - 1,
            return_order=None,
            node=line.node,
        )

    def _require_known(self, operation: Operation) -> None:
        if operation.outcome is Outcome.FAIL and not self._model.failure_observes(operation):
            return
        problem = self._model.problem(operation)
        if problem is not None:
            raise IllFormedHistory(operation.index, f"{problem} (model {self._model.name})")

    def _note(self, partition: _Partition, operation: Operation) -> None:
        if partition.standing is Standing.IMPOSSIBLE and self._impossible is None:
            self._impossible = operation
        if partition.standing is Standing.UNDECIDED:
            self._undecided.append(operation.key)

    def _progress(self, spent: int, frontier: int) -> Progress:
        if self._impossible is not None:
            standing, key = Standing.IMPOSSIBLE, self._impossible.key
        elif self._undecided:
            standing, key = Standing.UNDECIDED, self._undecided[0]
        else:
            standing, key = Standing.POSSIBLE, None
        return Progress(standing, self._lines, spent, frontier, self._impossible, key)


@dataclass(frozen=True, slots=True)
class _Event:
    kind: LineType
    operation: Operation
    """At a call: as it looks while its result is unknown."""


@dataclass(frozen=True, slots=True)
class _Since:
    """What happened in a configuration since an operation took effect whose effect is still unknown."""

    state: Hashable
    seen: tuple[tuple[int, frozenset[Hashable]], ...]
    steps: tuple[tuple[str, int], ...]
    """(`call`, `apply` or `saw`, operation), in order."""

    def then(self, what: str, number: int) -> _Since:
        return replace(self, steps=(*self.steps, (what, number)))


Seen: TypeAlias = "tuple[tuple[int, frozenset[Hashable]], ...]"
"""Open operation whose result is unknown -> the states that were there since its call."""


Fact: TypeAlias = "tuple[int, Hashable, Hashable]"
"""(operation whose result is unknown, the state in which it took effect, the state after it)."""


@dataclass(frozen=True, slots=True)
class _Configuration:
    state: Hashable
    must: int
    may: int
    seen: Seen
    facts: tuple[Fact, ...]
    since: _Since | None

    def at_least_as_good_as(self, other: _Configuration) -> bool:
        """Of the same state, `facts` and `since`: owing no more, offering no less, having seen no less."""
        return (
            not self.must & ~other.must
            and not other.may & ~self.may
            and all(mine[1] >= theirs[1] for mine, theirs in zip(self.seen, other.seen, strict=True))
        )


class _Antichain:
    """Configurations none of which is at least as good as another."""

    def __init__(self) -> None:
        self._chains: dict[Hashable, list[_Configuration]] = {}

    def add(self, new: _Configuration) -> bool:
        chain = self._chains.setdefault((new.state, new.facts, new.since), [])
        if any(old.at_least_as_good_as(new) for old in chain):
            return False
        chain[:] = [old for old in chain if not new.at_least_as_good_as(old)]
        chain.append(new)
        return True

    def all(self) -> list[_Configuration]:
        return [one for chain in self._chains.values() for one in chain]


class _OutOfBudget(Exception):
    pass


class _WrongGuess(Exception):
    """An operation depends on its result more than it had looked."""

    def __init__(self, wiser: set[str]) -> None:
        super().__init__()
        self.wiser = wiser
        """The set of names of operations that it belongs to."""


@dataclass(slots=True)
class _Open:
    bit: int
    unseen: Operation
    blind: bool
    """Its result cannot matter: it has the same label whatever comes back."""
    label: Hashable
    absorbable: bool
    observes: bool
    """Whatever the result: it changes nothing."""
    crashed: bool = False


@dataclass(slots=True)
class _Partition:
    """One partition's configurations, and the events they come from."""

    model: Model[Any]
    budget: int
    standing: Standing = Standing.POSSIBLE
    frontier: list[_Configuration] = field(default_factory=list)
    _events: list[_Event] = field(default_factory=list)
    _open: dict[int, _Open] = field(default_factory=dict)
    _known: dict[int, Operation] = field(default_factory=dict)
    """Operations that returned while a `since` may still speak of them."""
    _not_blind: set[str] = field(default_factory=set)
    """Their labels depend on their results, although it had not looked so."""
    _unfaithful: set[str] = field(default_factory=set)
    """Even their effects depend on their results."""
    _spent: int = 0

    def __post_init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.frontier = [_Configuration(self.model.initial, 0, 0, (), (), None)]
        self._open.clear()
        self._known.clear()

    def take(self, event: _Event) -> int:
        """Advance by one event; the configurations it cost."""
        self._events.append(event)
        self._advance_by([event])
        if self.standing is Standing.UNDECIDED:
            self.frontier = []
        elif not self.frontier:
            self.standing = Standing.IMPOSSIBLE
        return self._spent

    def _advance_by(self, events: list[_Event]) -> None:
        """Or by all from the start, wiser; every restart knows one more name."""
        try:
            for event in events:
                self._spent = 0
                self._advance(event)
        except _WrongGuess as wrong:
            wrong.wiser.add(event.operation.f)
            self._start()
            self._advance_by(self._events)
        except _OutOfBudget:
            self.standing = Standing.UNDECIDED

    def _advance(self, event: _Event) -> None:
        operation = event.operation
        match event.kind:
            case LineType.INVOKE:
                self._call(operation)
            case LineType.INFO:
                self._crash(operation.index)
            case LineType.FAIL if not self.model.failure_observes(operation):
                self._undo(operation.index)
            case _:
                self._return(operation)
        self._forget()

    # ── calls, crashes, failures ─────────────────────────────────────────────────────────────────────────────────────

    def _call(self, operation: Operation) -> None:
        number = operation.index
        used = 0
        for one in self._open.values():
            used |= one.bit
        bit = ~used & (used + 1)
        opened = self._open[number] = self._opened(bit, operation)
        changes = 0 if opened.observes else bit
        self.frontier = [
            _Configuration(
                one.state,
                one.must | changes,
                one.may | changes,
                one.seen if opened.blind else (*one.seen, (number, frozenset((one.state,)))),
                one.facts,
                one.since if opened.blind or one.since is None else one.since.then("call", number),
            )
            for one in self.frontier
        ]

    def _opened(self, bit: int, unseen: Operation) -> _Open:
        model = self.model
        answered = structs.replace(unseen, outcome=Outcome.OK, result=unseen.value)
        label = model.label(unseen)
        blind = unseen.f not in self._not_blind and model.problem(answered) is None and model.label(answered) == label
        traits = model.traits(unseen)
        total = blind and (traits.total or traits.constant) and not traits.observer
        return _Open(bit, unseen, blind=blind, label=label, absorbable=total, observes=traits.observer)

    def _crash(self, number: int) -> None:
        """It need not take effect any more. Nothing frees its bit: it may do so for ever."""
        opened = self._open[number]
        self.frontier = [
            replace(
                one,
                must=one.must & ~opened.bit,
                seen=_without(one.seen, number),
                facts=tuple(fact for fact in one.facts if fact[0] != number),
            )
            for one in self.frontier
        ]
        if opened.observes:
            del self._open[number]
        else:
            opened.crashed, opened.blind, opened.absorbable = True, True, False

    def _undo(self, number: int) -> None:
        """It did not happen: what relied on it is impossible."""
        opened = self._open.pop(number)
        self.frontier = [
            replace(one, must=one.must & ~opened.bit, may=one.may & ~opened.bit, seen=_without(one.seen, number))
            for one in self.frontier
            if opened.observes or one.may & opened.bit
        ]

    def _forget(self) -> None:
        """Drop what no unknown result needs any more."""
        pending = {number for number, one in self._open.items() if not one.blind}
        antichain = _Antichain()
        for one in self.frontier:
            needed = one.since is not None and any(what == "apply" and n in pending for what, n in one.since.steps)
            antichain.add(one if needed or one.since is None else replace(one, since=None))
        self.frontier = antichain.all()
        if all(one.since is None for one in self.frontier):
            self._known.clear()

    # ── returns ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _return(self, operation: Operation) -> None:
        number = operation.index
        opened = self._open[number]
        if opened.blind and self.model.label(operation) != opened.label:
            raise _WrongGuess(self._not_blind)
        if not opened.blind and operation.f not in self._unfaithful:
            self._compare_effects(opened.unseen, operation)
        self._known[number] = operation
        sees = self.model.traits(operation).observer
        onward, explored = _Antichain(), _Antichain()
        queue: list[_Configuration] = []
        for one in self.frontier:
            if not opened.observes and not one.must & opened.bit:
                self._keep_done(one, number, onward)
                unsettled = bool(one.may & opened.bit)
            else:
                settled = self._has_seen_it(one, operation)
                if settled:
                    self._keep(one, number, onward, saw=True)
                unsettled = not (settled and sees)
            if unsettled and explored.add(one):
                queue.append(one)
        while queue:
            for after in self._next(queue.pop(), operation):
                settled = after.settled or self._has_seen_it(after.configuration, operation)
                if settled:
                    self._keep(after.configuration, number, onward, saw=not after.settled)
                if not (after.settled or (settled and sees)) and explored.add(after.configuration):
                    queue.append(after.configuration)
        self.frontier = onward.all()
        del self._open[number]

    def _compare_effects(self, unseen: Operation, operation: Operation) -> None:
        """While its result was unknown it was not applied where it seemed to change nothing. Does it, now?"""
        for state in {state for one in self.frontier for state in _since_call(one, operation.index)}:
            after = self.model.step(state, operation)
            if not isinstance(after, Refused) and after != state == self.model.step(state, unseen):
                raise _WrongGuess(self._unfaithful)

    def _has_seen_it(self, one: _Configuration, operation: Operation) -> bool:
        """It can have taken effect, changing nothing, in a state that was there since its call."""
        return self._fits(operation, _since_call(one, operation.index))

    def _keep_done(self, one: _Configuration, number: int, onward: _Antichain) -> None:
        """It took effect before, or was absorbed: is its result the one that it had there?"""
        for fact in one.facts:
            if fact[0] == number:
                after = self.model.step(fact[1], self._known[number])
                if isinstance(after, Refused):
                    return
                if after != fact[2]:
                    raise _WrongGuess(self._unfaithful)
        if one.since is not None and ("apply", number) in one.since.steps:
            repeated = self._repeat(one)
            if repeated is None:
                return
            one = repeated
        self._keep(one, number, onward, saw=False)

    def _keep(self, one: _Configuration, number: int, onward: _Antichain, *, saw: bool) -> None:
        """Go on without the operation. saw: it took effect in passing, in a state that was there since its call."""
        opened = self._open[number]
        since = one.since
        if since is not None and saw:
            since = since.then("saw", number)
        mask = ~opened.bit if not opened.observes else -1
        facts = tuple(fact for fact in one.facts if fact[0] != number)
        onward.add(_Configuration(one.state, one.must & mask, one.may & mask, _without(one.seen, number), facts, since))

    def _next(self, one: _Configuration, operation: Operation) -> Iterator[_Next]:
        """What one more operation that changes the state can lead to."""
        self._spent += 1
        if self._spent > self.budget:
            raise _OutOfBudget
        crashed: set[Hashable] = set()
        for number, opened in self._open.items():
            if opened.observes and number != operation.index:
                continue
            if opened.crashed and opened.label in crashed:
                continue
            if one.may & opened.bit or (opened.observes and number == operation.index):
                if opened.crashed:
                    crashed.add(opened.label)
                after = self._apply(one, number, opened, operation)
                if after is not None:
                    yield _Next(after, settled=number == operation.index)

    def _apply(self, one: _Configuration, number: int, opened: _Open, operation: Operation) -> _Configuration | None:
        form = operation if number == operation.index else opened.unseen
        state = self.model.step(one.state, form)
        if isinstance(state, Refused):
            return None
        foreign = number != operation.index
        idle = state == one.state and foreign and opened.unseen.f not in self._unfaithful
        if idle and not (opened.blind and one.must & opened.bit):
            return None  # nothing is gained; what is not blind has seen the state
        must = one.must & ~opened.bit
        if self.model.traits(form).constant:
            for other in self._open.values():
                if other.absorbable:
                    must &= ~other.bit
        since, facts = one.since, one.facts
        if foreign and not opened.blind and opened.unseen.f not in self._unfaithful and since is None:
            facts = tuple(sorted((*facts, (number, one.state, state)), key=itemgetter(0)))
        elif foreign and not opened.blind and since is None:
            since = _Since(one.state, one.seen, ())
        return _Configuration(
            state,
            must,
            one.may & ~opened.bit,
            tuple((reader, states | {state}) for reader, states in one.seen),
            facts,
            None if since is None else since.then("apply", number),
        )

    def _repeat(self, one: _Configuration) -> _Configuration | None:
        """The configuration with what is known now; None if that is impossible."""
        assert one.since is not None
        state, seen = one.since.state, dict(one.since.seen)
        for what, number in one.since.steps:
            known = self._known.get(number)
            if what == "call":
                seen[number] = frozenset((state,))
            elif what == "apply":
                after = self.model.step(state, self._open[number].unseen if known is None else known)
                if isinstance(after, Refused):
                    return None
                state = after
                seen = {reader: states | {state} for reader, states in seen.items()}
            elif known is not None and not self._fits(known, seen[number]):
                return None
        return replace(one, state=state, seen=tuple((reader, seen[reader]) for reader, _ in one.seen))

    def _fits(self, operation: Operation, states: Collection[Hashable]) -> bool:
        return any(self.model.step(state, operation) == state for state in states)


def _since_call(one: _Configuration, number: int) -> frozenset[Hashable]:
    return next((states for reader, states in one.seen if reader == number), frozenset())


@dataclass(frozen=True, slots=True)
class _Next:
    configuration: _Configuration
    settled: bool
    """The returning operation is what took effect."""


def _without(seen: Seen, number: int) -> Seen:
    return tuple(entry for entry in seen if entry[0] != number)
