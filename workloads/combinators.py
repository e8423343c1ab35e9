"""Generators made of generators: order, number, choice and renaming of operations.

Here belong combinators that look neither at the clock (`workloads.timing`) nor at which thread is which
(`workloads.threads`). Names are Jepsen's where Python allows them; `any` is `any_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from workloads.generator import DONE, Context, Done, Emit, Event, Finished, Generator, Pending, Step, earliest
from workloads.session import Operation, Outcome
from workloads.stream import Stream

__all__ = [
    "AnyOf",
    "Cycle",
    "FlipFlop",
    "Limit",
    "MapOperations",
    "Mix",
    "Repeat",
    "Sequence",
    "UntilOk",
    "any_of",
    "cycle",
    "f_map",
    "flip_flop",
    "limit",
    "map_operations",
    "mix",
    "repeat",
    "sequence",
    "until_ok",
]

Generators = tuple[Generator, ...]


def _replaced(generators: Generators, index: int, by: Generator) -> Generators:
    return (*generators[:index], by, *generators[index + 1 :])


def _updated(generators: Generators, context: Context, event: Event) -> Generators:
    """All generators after `event`; the same tuple when none changed, so that callers can keep themselves."""
    updated = tuple([generator.update(context, event) for generator in generators])
    unchanged = all(new is old for new, old in zip(updated, generators, strict=True))
    return generators if unchanged else updated


class Limit(msgspec.Struct, frozen=True):
    """See `limit`."""

    remaining: int
    generator: Generator

    def op(self, context: Context) -> Step:
        if self.remaining <= 0:
            return DONE
        step = self.generator.op(context)
        if isinstance(step, Emit):
            return Emit(step.operation, step.thread, Limit(self.remaining - 1, step.rest))
        if isinstance(step, Pending):
            return Pending(Limit(self.remaining, step.rest), step.wake_at_ns)
        return step

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.generator.update(context, event)
        return self if inner is self.generator else Limit(self.remaining, inner)


def limit(count: int, generator: Generator) -> Generator:
    """At most `count` operations. Jepsen: limit."""
    return Limit(count, generator)


class Repeat(msgspec.Struct, frozen=True):
    """See `repeat`. `remaining` None: for ever."""

    generator: Generator
    remaining: int | None

    def op(self, context: Context) -> Step:
        if self.remaining is not None and self.remaining <= 0:
            return DONE
        step = self.generator.op(context)
        if isinstance(step, Emit):
            remaining = None if self.remaining is None else self.remaining - 1
            return Emit(step.operation, step.thread, Repeat(self.generator, remaining))
        if isinstance(step, Pending):
            return Pending(Repeat(step.rest, self.remaining), step.wake_at_ns)
        return step

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.generator.update(context, event)
        return self if inner is self.generator else Repeat(inner, self.remaining)


def repeat(generator: Generator, times: int | None = None) -> Generator:
    """The generator's next operation again and again: emitting does not change its state. Jepsen: repeat."""
    return Repeat(generator, times)


class Cycle(msgspec.Struct, frozen=True):
    """See `cycle`. `remaining` counts the rounds still to do, the current one included."""

    original: Generator
    current: Generator
    remaining: int | None

    def op(self, context: Context) -> Step:
        if self.remaining is not None and self.remaining <= 0:
            return DONE
        step = self.current.op(context)
        if not isinstance(step, Done):
            return self._followed(step, self.remaining)
        remaining = None if self.remaining is None else self.remaining - 1
        if remaining == 0:
            return DONE
        again = self.original.op(context)
        return DONE if isinstance(again, Done) else self._followed(again, remaining)

    def _followed(self, step: Emit | Pending, remaining: int | None) -> Step:
        rest = Cycle(self.original, step.rest, remaining)
        if isinstance(step, Emit):
            return Emit(step.operation, step.thread, rest)
        return Pending(rest, step.wake_at_ns)

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.current.update(context, event)
        return self if inner is self.current else Cycle(self.original, inner, self.remaining)


def cycle(generator: Generator, times: int | None = None) -> Generator:
    """The whole generator from its start again whenever it is done, `times` times or for ever. Jepsen: cycle."""
    return Cycle(generator, generator, times)


class Sequence(msgspec.Struct, frozen=True):
    """See `sequence`."""

    generators: Generators

    def op(self, context: Context) -> Step:
        for index, generator in enumerate(self.generators):
            step = generator.op(context)
            if isinstance(step, Done):
                continue
            rest = Sequence((step.rest, *self.generators[index + 1 :]))
            if isinstance(step, Emit):
                return Emit(step.operation, step.thread, rest)
            return Pending(rest, step.wake_at_ns)
        return DONE

    def update(self, context: Context, event: Event) -> Generator:
        if not self.generators:
            return self
        inner = self.generators[0].update(context, event)
        return self if inner is self.generators[0] else Sequence((inner, *self.generators[1:]))


def sequence(*generators: Generator) -> Generator:
    """One after the other; the next may begin while operations of the one before are open. Jepsen: a vector."""
    return Sequence(generators)


class Mix(msgspec.Struct, frozen=True):
    """See `mix`. `chosen` is the generator whose turn it is."""

    weights: tuple[int, ...]
    generators: Generators
    stream: Stream
    chosen: int

    def op(self, context: Context) -> Step:
        wake_at_ns: int | None = None
        mix: Mix = self
        waiting = 0
        while mix.generators and waiting < len(mix.generators):
            index = (mix.chosen + waiting) % len(mix.generators)
            step = mix.generators[index].op(context)
            if isinstance(step, Emit):
                return Emit(step.operation, step.thread, mix._after(index, step.rest))
            if isinstance(step, Done):
                mix, waiting = mix._without(index), 0
            else:
                mix = Mix(mix.weights, _replaced(mix.generators, index, step.rest), mix.stream, mix.chosen)
                wake_at_ns, waiting = earliest(wake_at_ns, step.wake_at_ns), waiting + 1
        return Pending(mix, wake_at_ns) if mix.generators else DONE

    def _after(self, index: int, rest: Generator) -> Mix:
        chosen, stream = self.stream.weighted(self.weights)
        return Mix(self.weights, _replaced(self.generators, index, rest), stream, chosen)

    def _without(self, index: int) -> Mix:
        weights = self.weights[:index] + self.weights[index + 1 :]
        generators = self.generators[:index] + self.generators[index + 1 :]
        if not generators:
            return Mix((), (), self.stream, 0)
        chosen, stream = self.stream.weighted(weights)
        return Mix(weights, generators, stream, chosen)

    def update(self, context: Context, event: Event) -> Generator:
        inner = _updated(self.generators, context, event)
        return self if inner is self.generators else Mix(self.weights, inner, self.stream, self.chosen)


def mix(stream: Stream, *weighted: tuple[int, Generator]) -> Generator:
    """Each operation from a (weight, generator) drawn by weight; done when all are done.

    A generator that is waiting gives its turn to the next in line, so that it cannot stop the others; with Jepsen's mix
    it can. Unlike there, updates reach all parts.
    """
    if not weighted:
        return Sequence(())
    weights = tuple(weight for weight, _ in weighted)
    chosen, rest = stream.weighted(weights)
    return Mix(weights, tuple(generator for _, generator in weighted), rest, chosen)


class AnyOf(msgspec.Struct, frozen=True):
    """See `any_of`. `shortest`: done with the first that is done."""

    generators: Generators
    stream: Stream
    shortest: bool = False

    def op(self, context: Context) -> Step:
        steps = [generator.op(context) for generator in self.generators]
        done = sum(isinstance(step, Done) for step in steps)
        if done == len(steps) or (self.shortest and done):
            return DONE
        ready = [(index, step) for index, step in enumerate(steps) if isinstance(step, Emit)]
        if not ready:
            return self._pending(steps)
        chosen, stream = self.stream.below(len(ready))
        index, step = ready[chosen]
        rest = AnyOf(_replaced(self.generators, index, step.rest), stream, self.shortest)
        return Emit(step.operation, step.thread, rest)

    def _pending(self, steps: list[Step]) -> Pending:
        wake_at_ns: int | None = None
        generators = list(self.generators)
        for index, step in enumerate(steps):
            if isinstance(step, Pending):
                generators[index] = step.rest
                wake_at_ns = earliest(wake_at_ns, step.wake_at_ns)
        return Pending(AnyOf(tuple(generators), self.stream, self.shortest), wake_at_ns)

    def update(self, context: Context, event: Event) -> Generator:
        inner = _updated(self.generators, context, event)
        return self if inner is self.generators else AnyOf(inner, self.stream, self.shortest)


def any_of(stream: Stream, *generators: Generator, shortest: bool = False) -> Generator:
    """Whichever has an operation now, drawn among those that do; done when all are, or with `shortest` when one is.

    Jepsen: any, shortest-any.
    """
    return AnyOf(generators, stream, shortest)


class FlipFlop(msgspec.Struct, frozen=True):
    """See `flip_flop`."""

    generators: Generators
    turn: int = 0

    def op(self, context: Context) -> Step:
        step = self.generators[self.turn].op(context)
        if isinstance(step, Done):
            return step
        inner = _replaced(self.generators, self.turn, step.rest)
        if isinstance(step, Emit):
            return Emit(step.operation, step.thread, FlipFlop(inner, (self.turn + 1) % len(inner)))
        return Pending(FlipFlop(inner, self.turn), step.wake_at_ns)

    def update(self, context: Context, event: Event) -> Generator:
        inner = _updated(self.generators, context, event)
        return self if inner is self.generators else FlipFlop(inner, self.turn)


def flip_flop(*generators: Generator) -> Generator:
    """One operation of each in turn; done when the one whose turn it is is done. Jepsen: flip-flop."""
    return FlipFlop(generators) if generators else Sequence(())


class UntilOk(msgspec.Struct, frozen=True):
    """See `until_ok`. `own`: processes with an open operation of ours."""

    generator: Generator
    own: tuple[int, ...] = ()
    succeeded: bool = False

    def op(self, context: Context) -> Step:
        if self.succeeded:
            return DONE
        step = self.generator.op(context)
        if isinstance(step, Emit):
            own = (*self.own, context.processes[step.thread])
            return Emit(step.operation, step.thread, UntilOk(step.rest, own))
        if isinstance(step, Pending):
            return Pending(UntilOk(step.rest, self.own), step.wake_at_ns)
        return step

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.generator.update(context, event)
        if not isinstance(event, Finished) or event.process not in self.own:
            return self if inner is self.generator else UntilOk(inner, self.own, self.succeeded)
        own = tuple([process for process in self.own if process != event.process])
        return UntilOk(inner, own, self.succeeded or event.completion.outcome is Outcome.OK)


def until_ok(generator: Generator) -> Generator:
    """Operations until one of them ends with `ok`. Jepsen: until-ok."""
    return UntilOk(generator)


class MapOperations(msgspec.Struct, frozen=True):
    """See `map_operations`."""

    function: Callable[[Operation], Operation]
    generator: Generator

    def op(self, context: Context) -> Step:
        step = self.generator.op(context)
        if isinstance(step, Emit):
            rest = MapOperations(self.function, step.rest)
            return Emit(self.function(step.operation), step.thread, rest)
        if isinstance(step, Pending):
            return Pending(MapOperations(self.function, step.rest), step.wake_at_ns)
        return step

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.generator.update(context, event)
        return self if inner is self.generator else MapOperations(self.function, inner)


def map_operations(function: Callable[[Operation], Operation], generator: Generator) -> Generator:
    """Every operation changed by a pure function. Updates show the changed operations. Jepsen: map."""
    return MapOperations(function, generator)


def f_map(names: Mapping[str, str], generator: Generator) -> Generator:
    """Operations renamed: `f` by `names`, others left alone. Jepsen: f-map."""
    return MapOperations(
        lambda operation: msgspec.structs.replace(operation, f=names.get(operation.f, operation.f)), generator
    )
