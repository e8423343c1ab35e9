"""What a sequential specification is: a start state and a step. Here belongs its shape; models are in `checker.models`.

A model is data: functions in a record, most of them optional. `docs/checker.md` shows how to write one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Generic, TypeVar

from checker.errors import NoSuchState
from checker.history import Operation, Outcome, freeze

__all__ = [
    "ELSEWHERE",
    "NOTHING",
    "Anomaly",
    "Clock",
    "Contradiction",
    "Footprint",
    "Manual",
    "Model",
    "Nothing",
    "Refused",
    "Traits",
    "Word",
    "describe",
    "describe_value",
]

S = TypeVar("S", bound=Hashable)


class Nothing(Enum):
    """The type of NOTHING, which no state is."""

    NOTHING = "nothing"


NOTHING = Nothing.NOTHING


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What an explanation may speak of: the illegal partition, and the operations that contradict each other."""

    operations: tuple[Operation, ...]
    core: tuple[Operation, ...]
    """In the order of their calls."""
    stuck: Operation
    """The one that cannot be placed by its return, the others being placed."""
    clock: Clock
    initial: Any = None
    """The model's start state."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How to speak of times: in seconds, or in history indexes where the history has no times."""

    timed: bool

    def at(self, time_ns: int | None, order: int | None) -> str:
        """`at 12.413 s`, or `at index 17` (of the history)."""
        if time_ns is None or order is None:
            return "at an unknown time"
        return f"at {time_ns / 1e9:.3f} s" if self.timed else f"at index {order}"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A contradiction in a model's own words."""

    name: str
    """A class such as `stale-read`; stable, because signatures of violations contain it."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The operation is impossible in this state. `reason` is a clause: `the register holds 5, not 3`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Traits:
    """Hints that make the search fast. Each is a promise about *all* states, verified while checking (ModelError).

    The promises may depend on everything that `Model.step` may look at.
    """

    observer: bool = False
    """Where it is legal it changes nothing: a read. NOT merely "changes nothing here"."""
    total: bool = False
    """It is legal in every state."""
    constant: bool = False
    """It is legal in every state and always leads to the same one: a write. Includes `total`."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Which states an operation tells apart, for models whose state is one value that is replaced as a whole.

    `step` must accept the state ELSEWHERE, which equals no value: it stands for all values that nobody asks for.
    Outside `mentions` the operation treats all states alike: it is refused in each, or leaves each as it is, or leads
    from each to the same one. Verified while checking, as `Traits` are.
    """

    mentions: tuple[Hashable, ...] = ()
    makes: Hashable = NOTHING
    """The only state it can lead to, other than the one it found; NOTHING for an observer."""
    demands: bool = False
    """It is refused outside `mentions`."""
    shuns: bool = False
    """It is refused inside `mentions`."""


@dataclass(frozen=True, slots=True)
class Word:
    """One operation of a model's vocabulary, for people."""

    f: str
    argument: str
    result: str
    """What an `ok` completion carries."""
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manual:
    """What a model says about itself: the tables of docs/checker.md and the lists of the command line."""

    about: str
    words: tuple[Word, ...]
    start: str
    """The default start state, and the JSON that `--initial` expects."""
    failures: tuple[tuple[str, str], ...] = ()
    """Errors of failed operations that are judged as observations, and what they tell."""
    anomalies: tuple[tuple[str, str], ...] = ()
    """Every class of violation that the model can name, and its meaning."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The type of ELSEWHERE: some value that no operation asks for any more."""

    def __repr__(self) -> str:
        return "(a value nobody asks for)"


ELSEWHERE = Elsewhere()


def describe_value(value: Any) -> str:
    """A value for people: JSON's words for null and booleans, strings quoted only where they would mislead."""
    match value:
        case None:
            return "nil"
        case Elsewhere():
            return repr(value)
        case str() if value.isidentifier():
            return value
        case list() | tuple():
            return "[" + " ".join(describe_value(item) for item in value) + "]"
        case _:
            return repr(freeze(value))


def describe(operation: Operation) -> str:
    """`write(5)`, `read -> 3`, `cas([1 2])`, with `?` for a result nobody saw."""
    argument = "" if operation.value is None else f"({describe_value(operation.value)})"
    match operation.outcome:
        case Outcome.OK if operation.result != operation.value or not argument:
            return f"{operation.f}{argument} -> {describe_value(operation.result)}"
        case Outcome.INFO:
            return f"{operation.f}{argument} -> ?"
        case Outcome.FAIL:
            return f"{operation.f}{argument} -> failed"
        case _:
            return f"{operation.f}{argument}"


def _by_key(operation: Operation) -> Hashable:
    return freeze(operation.key)


def _everything(operation: Operation) -> Hashable:
    return (
        operation.f,
        freeze(operation.key),
        freeze(operation.value),
        freeze(operation.result),
        operation.outcome,
        operation.error,
    )


def _no_traits(operation: Operation) -> Traits:
    return Traits()


def _no_problem(operation: Operation) -> str | None:
    return None


def _says_nothing(operation: Operation) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Generic[S]):
    """A deterministic sequential specification of one object, such as one key.

    Every function must be pure. They may look at an operation's `f`, `key`, `value`, `result`, `outcome` and `error`
    and at nothing else: operations with equal labels are treated as one.
    """

    name: str
    initial: S
    step: Callable[[S, Operation], S | Refused]
    """The state after the operation, or why it cannot happen. For an operation with outcome `info`, the state after it
    took effect with a result that nobody saw; the search itself also tries that it never takes effect."""
    partition: Callable[[Operation], Hashable] = _by_key
    """Operations on different partitions must not influence each other; each is judged on its own."""
    describe_operation: Callable[[Operation], str] = describe
    describe_state: Callable[[S], str] = describe_value
    label: Callable[[Operation], Hashable] = _everything
    """What `step` and `traits` look at. Give equal labels to operations that do the same, such as a completed and a
    crashed write of one value: the search then never tries both orders of them."""
    traits: Callable[[Operation], Traits] = _no_traits
    problem: Callable[[Operation], str | None] = _no_problem
    """What is wrong with an operation that the model cannot judge (an unknown `f`, a malformed argument)."""
    failure_observes: Callable[[Operation], bool] = _says_nothing
    """Of an operation with outcome `fail`: does its failure tell something about the state? If not, it is left out."""
    footprint: Callable[[Operation], Footprint] | None = None
    anomaly: Callable[[Contradiction], Anomaly] | None = None
    """Names a contradiction; without it, it is called `impossible-` and the operation's `f`."""
    read_initial: Callable[[Any], S] = freeze  # type: ignore[assignment]
    """The start state that a JSON value means. Raises ValueError, with a clause, for one that means none."""
    refine: Callable[[Model[S], Sequence[Operation]], Model[S]] | None = None
    """This model made narrower for one partition: it must accept some order exactly when this model does. It may merge
    states and refuse moves that cannot end well. `step` must accept every state of the refined model. Asked only about
    operations without a `problem`."""
    impossible: Callable[[Model[S], Sequence[Operation]], Operation | None] | None = None
    """A completed operation that no order can place, found without a search; None says nothing. For one partition, and
    asked only about operations without a `problem`. Crashed operations may have taken effect or not."""
    propose: Callable[[Model[S], Sequence[Operation]], Sequence[Operation] | None] | None = None
    """An order of one partition's operations that may be legal, found without a search; it is replayed before it is
    believed. Asked only about operations without a `problem`."""
    unbounded: bool = False
    """Repeating an operation leads to ever new states (a counter, a queue). Letting crashed operations take effect
    repeatedly then proves little and costs much: the search leaves that pass out."""
    manual: Manual | None = None

    def starting_at(self, value: Any) -> Model[S]:
        """This model with another start state, given as a JSON value. Raises NoSuchState if it means none."""
        try:
            return replace(self, initial=self.read_initial(value))
        except ValueError as error:
            raise NoSuchState(f"{describe_value(value)} is no start state of a {self.name}: {error}") from None
