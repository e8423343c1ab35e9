"""The antichain search over one compiled partition: is there a linearization? docs/checker.md argues every rule.

A *configuration* is a state and two sets of open operations: those that MUST still take effect before they return, and
those that MAY still take effect (crashed ones, absorbed ones, and all state-changing ones that must). Here belongs one
pass of the search, breadth-first or in chunks depth-first; which passes are run in which order is
`checker.linearizability`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from checker.lookahead import ValueFacts
from checker.problem import NEVER, Problem
from checker.transitions import Transitions

__all__ = ["Configuration", "Ending", "Meter", "OpenOperations", "Pass", "Search", "SearchEnd", "Trail", "arrive"]

Trail: TypeAlias = "tuple[Trail, int, int] | None"
"""How a configuration came about, newest first: (before, operation, step during which it was applied)."""

Configuration: TypeAlias = tuple[int, int, int, Trail]
"""(state, must, may, trail)."""

Chain: TypeAlias = list[tuple[int, int, Trail]]
"""Configurations of one state, none of which dominates another."""

Antichain: TypeAlias = dict[int, Chain]

CLOCK_EVERY = 512
"""Configurations between two looks at the clock: about a millisecond."""

COMPARISONS_PER_CONFIGURATION = 256
"""Comparing configurations is charged to the budget too: so many cost as much time as expanding one."""


CLASSES_PER_CONFIGURATION = 32
"""So are the classes of open operations that an expansion looks at, beyond so many."""


class Ending(Enum):
    """How one pass ended."""

    LINEARIZED = "linearized"
    STUCK = "stuck"
    TOO_WIDE = "too wide"
    """More configurations at once than the pass may hold."""
    SPENT = "spent"
    """The budget of the pass, or the whole one, is used up."""


@dataclass(frozen=True, slots=True)
class Pass:
    """How to search once."""

    name: str
    width: int | None = None
    """Depth-first in chunks of so many configurations; None: breadth-first."""
    burst: int = 8
    """Depth-first: expansions per configuration of a chunk, after which it goes on with what it has found."""
    frontier_max: int | None = None
    configurations_max: int | None = None
    relaxed: bool = False
    """Crashed operations may take effect any number of times. STUCK is then still right, LINEARIZED says nothing."""
    horizon: int | None = None
    """Crashed operations are given up so many steps after their call. LINEARIZED is then still right, STUCK says
    nothing; but it is probably where an exact pass would be stuck."""
    late: int | None = None
    """Begin so many steps before the furthest one that was reached, as if anything had happened until then. STUCK is
    still right, LINEARIZED says nothing."""


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """What one pass found. `step`: the furthest one reached; `survivors`: the configurations that arrived there."""

    ending: Ending
    step: int
    survivors: tuple[Configuration, ...] = ()
    trail: Trail = None


class Meter:
    """Counts configurations against a limit, and seconds on a clock where there is one."""

    __slots__ = ("_clock", "_deadline", "_next_look", "configurations", "configurations_max", "frontier_max")

    def __init__(
        self, configurations_max: int, *, clock: Callable[[], float] | None = None, deadline: float | None = None
    ) -> None:
        self.configurations_max = configurations_max
        self.configurations = 0
        self.frontier_max = 0
        """The widest frontier seen."""
        self._clock, self._deadline = clock, deadline
        self._next_look = 0

    def share(self, configurations_max: int) -> Meter:
        """A fresh meter with a limit of its own and the same clock and deadline."""
        return Meter(configurations_max, clock=self._clock, deadline=self._deadline)

    def seconds_left(self) -> float | None:
        """Until the deadline; None: there is none."""
        return None if self._clock is None or self._deadline is None else self._deadline - self._clock()

    def spent(self) -> bool:
        """True when nothing is left."""
        if self.configurations >= self.configurations_max:
            return True
        if self._clock is None or self._deadline is None or self.configurations < self._next_look:
            return False
        self._next_look = self.configurations + CLOCK_EVERY
        return self._clock() >= self._deadline


class OpenClass:
    """The open state-changing operations of one class: interchangeable but for their deadlines."""

    __slots__ = ("constant", "kind", "mask", "queue")

    def __init__(self, kind: int, *, constant: bool) -> None:
        self.kind = kind
        self.constant = constant
        self.mask = 0
        self.queue: list[tuple[int, int, int]] = []
        """(until when it is open, operation, bit), earliest first; of those that stay open, the one called first."""

    def choices(self, live: int, must: int) -> tuple[int, ...]:
        """Which of the operations in `live` are worth using: the one that must return first, and one that need not if
        it would be lost earlier. For a constant class the earliest alone. (Exchange argument: docs/checker.md.)"""
        spare = 0
        for _, _, bit in self.queue:
            if live & bit:
                if self.constant:
                    return (bit,)
                if must & bit:
                    return (bit, spare) if spare else (bit,)
                spare = spare or bit
        return (spare,)


class OpenOperations:
    """Which operations are open during a step: after its calls, before its return."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._place = -1
        self.changing: dict[int, OpenClass] = {}
        self.observers: dict[int, int] = {}
        """Class -> bits of the open observers."""
        self.absorbable = 0
        """Bits of open operations that are legal in every state and will return."""
        self.reusable = 0
        """Bits of open crashed operations that a relaxed pass may use any number of times."""
        self.holder: dict[int, int] = {}
        """Bit -> operation."""

    def seek(self, place: int) -> None:
        """Go to a step, forwards or backwards."""
        steps = self._problem.steps
        while self._place < place:
            if self._place >= 0:
                self._leave(steps[self._place].returning)
            self._place += 1
            for number in steps[self._place].lapsing:
                self._leave(number)
            for number in steps[self._place].calls:
                self._enter(number)
        while self._place > place:
            for number in steps[self._place].calls:
                self._leave(number)
            for number in steps[self._place].lapsing:
                self._enter(number)
            self._place -= 1
            self._enter(steps[self._place].returning)

    def _enter(self, number: int) -> None:
        problem = self._problem
        kind, bit, deadline = problem.class_of[number], problem.bits[number], problem.deadlines[number]
        traits = problem.traits[kind]
        self.holder[bit] = number
        if traits.observer:
            self.observers[kind] = self.observers.get(kind, 0) | bit
            return
        opened = self.changing.get(kind)
        if opened is None:
            opened = self.changing[kind] = OpenClass(kind, constant=traits.constant)
        opened.mask |= bit
        opened.queue.append((min(deadline, problem.lapses[number]), number, bit))
        opened.queue.sort()
        if deadline == NEVER:
            if kind not in problem.exact:
                self.reusable |= bit
        elif traits.total or traits.constant:
            self.absorbable |= bit

    def _leave(self, number: int) -> None:
        problem = self._problem
        kind, bit = problem.class_of[number], problem.bits[number]
        del self.holder[bit]
        if problem.traits[kind].observer:
            self.observers[kind] &= ~bit
            if not self.observers[kind]:
                del self.observers[kind]
            return
        opened = self.changing[kind]
        opened.mask &= ~bit
        opened.queue.remove((min(problem.deadlines[number], problem.lapses[number]), number, bit))
        if not opened.mask:
            del self.changing[kind]
        self.absorbable &= ~bit
        self.reusable &= ~bit


@dataclass(slots=True)
class _Frame:
    """A step of the depth-first search with what is still to be done in it."""

    step: int
    waiting: list[Configuration]
    """Not yet arrived at the step; the most promising last."""
    queue: list[Configuration] = field(default_factory=list)
    """Arrived; those from `head` on are unexplored."""
    head: int = 0
    beaten: set[tuple[int, int, int]] = field(default_factory=set)
    """(state, must, may) of those in the queue that something better has replaced since: not worth exploring."""

    def finished(self) -> bool:
        return not self.waiting and self.head == len(self.queue)


class _GiveUp(Exception):
    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.value)
        self.ending = ending


def _insert(
    antichain: Antichain,
    state: int,
    must: int,
    may: int,
    trail: Trail,
    beaten: set[tuple[int, int, int]] | None = None,
) -> bool:
    """Add a configuration unless one that is at least as good is there; remove those that it is better than.

    At least as good: the same state, owing no more and offering no less. beaten: takes those removed.
    """
    chain = antichain.get(state)
    if chain is None:
        antichain[state] = [(must, may, trail)]
        return True
    worse = False
    for other_must, other_may, _ in chain:
        if not other_must & ~must and not may & ~other_may:
            return False
        if not must & ~other_must and not other_may & ~may:
            worse = True
    if worse:
        if beaten is not None:
            beaten.update((state, *other[:2]) for other in chain if not (must & ~other[0] or other[1] & ~may))
        chain[:] = [other for other in chain if must & ~other[0] or other[1] & ~may]
    chain.append((must, may, trail))
    return True


def arrive(
    problem: Problem, transitions: Transitions, step: int, configurations: Sequence[Configuration]
) -> list[Configuration]:
    """Configurations after the calls of `step`: an observer that is legal at once is done at once, the rest is open."""
    called_must = called_may = lapsed = 0
    observers: list[tuple[int, int]] = []
    for number in problem.steps[step].calls:
        kind, bit = problem.class_of[number], problem.bits[number]
        if problem.traits[kind].observer:
            observers.append((kind, bit))
            continue
        called_may |= bit
        if problem.deadlines[number] != NEVER:
            called_must |= bit
    for number in problem.steps[step].lapsing:
        lapsed |= problem.bits[number]
    arrived: list[Configuration] = []
    facts, elsewhere = transitions.facts, transitions.elsewhere
    for found, must, may, trail in configurations:
        state = elsewhere if facts and facts[found].mentioned_until < step else found
        owed = must | called_must
        for kind, bit in observers:
            if transitions.step(state, kind) < 0:
                owed |= bit
        arrived.append((state, owed, may & ~lapsed | called_may, trail))
    return arrived


def _burden(configuration: Configuration) -> int:
    """The more is owed and the less is on offer, the less promising."""
    return configuration[1].bit_count() - configuration[2].bit_count()


class Search:
    """One pass over one problem. begin: the step that a late pass begins at; 0: it begins at the start."""

    def __init__(self, problem: Problem, transitions: Transitions, how: Pass, meter: Meter, begin: int = 0) -> None:
        self._problem = problem
        self._transitions = transitions
        self._pass = how
        self._meter = meter
        self._stop_at = meter.configurations_max
        if how.configurations_max is not None:
            self._stop_at = min(self._stop_at, meter.configurations + how.configurations_max)
        self._open = OpenOperations(problem)
        self._visited: dict[int, Antichain] = {}
        self._passed: dict[int, Antichain] = {}
        """Per step, what was explored there and what arrived there: kept only while the search may come back."""
        self._begin = begin

    def run(self) -> SearchEnd:
        """Search until there is an answer or the pass must stop. Raises ModelError for a wrong hint."""
        last, reached = len(self._problem.steps), self._begin
        frames = [_Frame(reached, self._starts())] if last else []
        survivors = list(frames[0].waiting) if last else []
        while frames:
            frame = frames[-1]
            try:
                onward = self._advance(frame)
            except _GiveUp as reason:
                return SearchEnd(reason.ending, reached, tuple(survivors))
            if frame.finished():
                frames.pop()
            if not frames:
                self._visited.clear()
                self._passed.clear()
            elif onward:
                onward = self._unseen(frame.step + 1, onward)
            if not onward:
                continue
            if frame.step + 1 == last:
                return SearchEnd(Ending.LINEARIZED, last, trail=onward[-1][3])
            if frame.step + 1 > reached:
                reached, survivors = frame.step + 1, onward
            frames.append(_Frame(frame.step + 1, onward))
        return SearchEnd(Ending.STUCK if last else Ending.LINEARIZED, reached, tuple(survivors))

    def _starts(self) -> list[Configuration]:
        """What to begin with. Late: every state that may be, all open operations on offer, and nothing owed."""
        if not self._begin:
            return [(0, 0, 0, None)]
        self._open.seek(self._begin - 1)
        returned = self._problem.bits[self._problem.steps[self._begin - 1].returning]
        may = 0
        for group in self._open.changing.values():
            may |= group.mask
        return [(state, 0, may & ~returned, None) for state in self._transitions.states_before(self._begin)]

    def _advance(self, frame: _Frame) -> list[Configuration]:
        """Work on a step: breadth-first all of it, depth-first a chunk. What can go on to the next step, best last."""
        self._open.seek(frame.step)
        width = self._pass.width
        visited = self._visited.setdefault(frame.step, {})
        onward: Antichain = {}
        taken = frame.waiting if width is None else frame.waiting[-width:]
        frame.waiting = frame.waiting[: len(frame.waiting) - len(taken)]
        bit = self._problem.bits[self._problem.steps[frame.step].returning]
        for state, must, may, trail in arrive(self._problem, self._transitions, frame.step, taken):
            if (must | may) & bit and _insert(visited, state, must, may, trail, frame.beaten):
                frame.queue.append((state, must, may, trail))
            if not must & bit:
                _insert(onward, state, must, may & ~bit, trail)
        self._explore(frame, visited, onward)
        survivors = [(state, *configuration) for state, chain in onward.items() for configuration in chain]
        self._meter.frontier_max = max(self._meter.frontier_max, len(survivors))
        if self._pass.frontier_max is not None and len(survivors) > self._pass.frontier_max:
            raise _GiveUp(Ending.TOO_WIDE)
        if width is not None:
            survivors.sort(key=_burden, reverse=True)
        return survivors

    def _unseen(self, step: int, arriving: list[Configuration]) -> list[Configuration]:
        passed = self._passed.setdefault(step, {})
        return [configuration for configuration in arriving if _insert(passed, *configuration)]

    def _explore(self, frame: _Frame, visited: Antichain, onward: Antichain) -> None:
        """Apply open operations, in every order that matters, until the returning one has taken effect."""
        queue, width = frame.queue, self._pass.width
        returning = self._problem.bits[self._problem.steps[frame.step].returning]
        pause = None if width is None else frame.head + self._pass.burst * width
        while frame.head < len(queue):
            if pause is not None and frame.head >= pause and onward:
                return
            configuration = queue[frame.head]
            frame.head += 1
            if configuration[:3] in frame.beaten:
                continue
            successors = self._successors(configuration, frame.step)
            self._charge(len(queue), len(successors) * len(visited[configuration[0]]))
            for after, owed, left, came in successors:
                if (owed | left) & returning and _insert(visited, after, owed, left, came, frame.beaten):
                    queue.append((after, owed, left, came))
                if not owed & returning:
                    _insert(onward, after, owed, left & ~returning, came)

    def _successors(self, configuration: Configuration, step: int) -> list[Configuration]:
        """What one more state-changing operation, and all that takes effect in passing, can lead to."""
        state, must, may, trail = configuration
        opened, facts = self._open, self._transitions.facts
        holder, absorbable = opened.holder, opened.absorbable
        reusable = opened.reusable if self._pass.relaxed else 0
        found: list[Configuration] = []
        for after, used, constant in self._moves(configuration, step):
            owed = must & ~used
            if constant:
                owed &= ~absorbable
            left = may & ~(used & ~reusable)
            if owed and after != state:
                owed = self._observe(after, owed)
                if facts and self._stranded(facts[state], step, owed, left):
                    continue
            found.append((after, owed, left, (trail, holder[used], step)))
        return found

    def _moves(self, configuration: Configuration, step: int) -> list[tuple[int, int, bool]]:
        """Which open operations are worth applying next: (state after, bit, whether the operation is constant)."""
        state, must, may, _ = configuration
        transitions, problem, holder = self._transitions, self._problem, self._open.holder
        row, facts, elsewhere = transitions.rows[state], transitions.facts, transitions.elsewhere
        moves: list[tuple[int, int, bool]] = []
        unasked: list[tuple[int, int, int]] = []
        for group in self._open.changing.values():
            live = may & group.mask
            if not live:
                continue
            after = row.get(group.kind)
            if after is None:
                after = transitions.step(state, group.kind)
            if after < 0:
                continue
            choices = group.choices(live, must) if live & (live - 1) else (live,)
            if facts and facts[after].mentioned_until < step:
                after = elsewhere
                if group.constant:  # all such writes are one class: the earliest deadline will do
                    number = holder[choices[0]]
                    unasked.append((min(problem.deadlines[number], problem.lapses[number]), number, choices[0]))
                    continue
            for used in choices:
                if after != state or must & used or group.constant:
                    moves.append((after, used, group.constant))
        if unasked:
            moves.append((elsewhere, min(unasked)[2], True))
        return moves

    def _stranded(self, about: ValueFacts, step: int, owed: int, left: int) -> bool:
        """True if something that must find the value just left can never find it again."""
        if about.made_until > step:
            return False
        opened = self._open
        if about.demanded_until <= step:
            for kind in about.demanders:
                group = opened.changing.get(kind)
                if owed & (opened.observers.get(kind, 0) if group is None else group.mask):
                    break
            else:
                return False
        for kind in about.makers:
            group = opened.changing.get(kind)
            if group is not None and left & group.mask:
                return False
        return True

    def _observe(self, state: int, owed: int) -> int:
        """Let all open observers that are legal here take effect."""
        row = self._transitions.rows[state]
        for kind, mask in self._open.observers.items():
            if owed & mask:
                after = row.get(kind)
                if after is None:
                    after = self._transitions.step(state, kind)
                if after >= 0:
                    owed &= ~mask
        return owed

    def _charge(self, queued: int, compared: int) -> None:
        meter = self._meter
        meter.configurations += 1 + len(self._open.changing) // CLASSES_PER_CONFIGURATION
        meter.configurations += compared // COMPARISONS_PER_CONFIGURATION
        widest = self._pass.frontier_max
        if widest is not None and queued > 8 * widest:
            raise _GiveUp(Ending.TOO_WIDE)
        if meter.configurations >= self._stop_at or meter.spent():
            raise _GiveUp(Ending.SPENT)
