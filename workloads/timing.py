"""Generators that decide when: spreading, delaying and ending operations in time.

Here belongs every combinator that looks at `context.now_ns`. Times and lengths are nanoseconds, integers throughout.
"""

from __future__ import annotations

import msgspec

from workloads.generator import DONE, Context, Done, Emit, Event, Generator, Pending, Step, earliest
from workloads.stream import Stream

__all__ = ["CycleTimes", "Delay", "Rate", "Sleep", "Stagger", "TimeLimit", "cycle_times", "delay", "rate", "sleep"]
__all__ += ["at_mean_rate", "stagger", "time_limit"]

_SECOND_NS = 1_000_000_000


class Stagger(msgspec.Struct, frozen=True):
    """See `stagger`."""

    interval_ns: int
    generator: Generator
    stream: Stream
    next_ns: int | None = None

    def op(self, context: Context) -> Step:
        now_ns = context.now_ns
        if self.next_ns is not None and now_ns < self.next_ns:
            return Pending(self, self.next_ns)
        step = self.generator.op(context)
        if isinstance(step, Emit):
            gap_ns, stream = self.stream.below(2 * self.interval_ns + 1)
            return Emit(step.operation, step.thread, Stagger(self.interval_ns, step.rest, stream, now_ns + gap_ns))
        if isinstance(step, Pending):
            return Pending(Stagger(self.interval_ns, step.rest, self.stream, self.next_ns), step.wake_at_ns)
        return step

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.generator.update(context, event)
        if inner is self.generator:
            return self
        return Stagger(self.interval_ns, inner, self.stream, self.next_ns)


def stagger(interval_ns: int, generator: Generator, stream: Stream) -> Generator:
    """Operations at random gaps of 0 … 2 x interval, over all threads together. What was missed is not caught up.

    Jepsen: stagger.
    """
    return Stagger(interval_ns, generator, stream)


def at_mean_rate(hz: float, generator: Generator, stream: Stream) -> Generator:
    """Operations at random gaps, `hz` per second on average; 0: whenever a thread is free."""
    return stagger(max(1, round(_SECOND_NS / hz)), generator, stream) if hz else generator


class Delay(msgspec.Struct, frozen=True):
    """See `delay`."""

    interval_ns: int
    generator: Generator
    next_ns: int | None = None

    def op(self, context: Context) -> Step:
        if self.next_ns is not None and context.now_ns < self.next_ns:
            return Pending(self, self.next_ns)
        step = self.generator.op(context)
        if isinstance(step, Emit):
            rest = Delay(self.interval_ns, step.rest, context.now_ns + self.interval_ns)
            return Emit(step.operation, step.thread, rest)
        if isinstance(step, Pending):
            return Pending(Delay(self.interval_ns, step.rest, self.next_ns), step.wake_at_ns)
        return step

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.generator.update(context, event)
        return self if inner is self.generator else Delay(self.interval_ns, inner, self.next_ns)


def delay(interval_ns: int, generator: Generator) -> Generator:
    """Operations at least `interval_ns` apart, over all threads together. Jepsen: delay."""
    return Delay(interval_ns, generator)


class Rate(msgspec.Struct, frozen=True):
    """See `rate`. `due_ns`: when the next operation is due by the schedule."""

    interval_ns: int
    burst: int
    generator: Generator
    due_ns: int | None = None

    def op(self, context: Context) -> Step:
        now_ns = context.now_ns
        due_ns = now_ns if self.due_ns is None else self.due_ns
        if now_ns < due_ns:
            return Pending(self, due_ns)
        step = self.generator.op(context)
        if isinstance(step, Emit):
            oldest_ns = now_ns - (self.burst - 1) * self.interval_ns
            next_ns = max(due_ns, oldest_ns) + self.interval_ns
            return Emit(step.operation, step.thread, Rate(self.interval_ns, self.burst, step.rest, next_ns))
        if isinstance(step, Pending):
            return Pending(Rate(self.interval_ns, self.burst, step.rest, self.due_ns), step.wake_at_ns)
        return step

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.generator.update(context, event)
        return self if inner is self.generator else Rate(self.interval_ns, self.burst, inner, self.due_ns)


def rate(hz: float, generator: Generator, *, burst: int = 1) -> Generator:
    """Operations on a fixed schedule of `hz` per second; up to `burst` of those that were missed follow at once.

    A token bucket, so that an outage is followed by the load that real clients would have saved up.
    """
    return Rate(max(1, round(_SECOND_NS / hz)), burst, generator)


class Sleep(msgspec.Struct, frozen=True):
    """See `sleep`."""

    length_ns: int
    until_ns: int | None = None

    def op(self, context: Context) -> Step:
        until_ns = context.now_ns + self.length_ns if self.until_ns is None else self.until_ns
        return DONE if context.now_ns >= until_ns else Pending(Sleep(self.length_ns, until_ns), until_ns)

    def update(self, context: Context, event: Event) -> Generator:
        return self


def sleep(length_ns: int) -> Generator:
    """No operation for `length_ns` from the first question, then done. For use within `sequence`."""
    return Sleep(length_ns)


class TimeLimit(msgspec.Struct, frozen=True):
    """See `time_limit`."""

    limit_ns: int
    generator: Generator
    end_ns: int | None = None

    def op(self, context: Context) -> Step:
        end_ns = context.now_ns + self.limit_ns if self.end_ns is None else self.end_ns
        if context.now_ns >= end_ns:
            return DONE
        step = self.generator.op(context)
        if isinstance(step, Emit):
            return Emit(step.operation, step.thread, TimeLimit(self.limit_ns, step.rest, end_ns))
        if isinstance(step, Pending):
            known = step.rest is self.generator and self.end_ns is not None
            rest = self if known else TimeLimit(self.limit_ns, step.rest, end_ns)
            return Pending(rest, earliest(step.wake_at_ns, end_ns))
        return step

    def update(self, context: Context, event: Event) -> Generator:
        inner = self.generator.update(context, event)
        return self if inner is self.generator else TimeLimit(self.limit_ns, inner, self.end_ns)


def time_limit(limit_ns: int, generator: Generator) -> Generator:
    """No operation `limit_ns` after the first question or later. Jepsen: time-limit, which counts from the first
    operation."""
    return TimeLimit(limit_ns, generator)


class CycleTimes(msgspec.Struct, frozen=True):
    """See `cycle_times`."""

    windows: tuple[tuple[int, Generator], ...]
    start_ns: int | None = None

    def op(self, context: Context) -> Step:
        start_ns = context.now_ns if self.start_ns is None else self.start_ns
        index, end_ns = self._window(context.now_ns, start_ns)
        step = self.windows[index][1].op(context)
        if isinstance(step, Done):
            return step
        length_ns = self.windows[index][0]
        windows = (*self.windows[:index], (length_ns, step.rest), *self.windows[index + 1 :])
        rest = CycleTimes(windows, start_ns)
        if isinstance(step, Emit):
            return Emit(step.operation, step.thread, rest)
        return Pending(rest, earliest(step.wake_at_ns, end_ns))

    def _window(self, now_ns: int, start_ns: int) -> tuple[int, int]:
        period_ns = sum(length_ns for length_ns, _ in self.windows)
        end_ns = now_ns - (now_ns - start_ns) % period_ns
        for index, (length_ns, _) in enumerate(self.windows):
            end_ns += length_ns
            if now_ns < end_ns:
                return index, end_ns
        raise AssertionError("a time lies within its period")

    def update(self, context: Context, event: Event) -> Generator:
        windows = tuple([(length_ns, generator.update(context, event)) for length_ns, generator in self.windows])
        return CycleTimes(windows, self.start_ns)


def cycle_times(*windows: tuple[int, Generator]) -> Generator:
    """Each generator in turn for its (length_ns, generator), round and round; done with the first that is done.

    Generators keep their state over rounds. Jepsen: cycle-times.
    """
    return CycleTimes(windows)
