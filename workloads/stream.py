"""Random draws as values: a stream is a number, and drawing returns the number drawn and the stream that follows.

Generators are pure: asked twice in the same state, they must answer the same, so they cannot hold a `random.Random`,
which changes when asked. Here belong the stream and its draws, nothing that knows operations. The numbers are
splitmix64's (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

from random import Random

import msgspec

__all__ = ["Stream", "named_stream"]

_MASK = (1 << 64) - 1
_MILLION = 1_000_000
_GAMMA = 0x9E3779B97F4A7C15


class Stream(msgspec.Struct, frozen=True, gc=False):
    """An immutable stream of random numbers."""

    state: int

    def bits(self) -> tuple[int, Stream]:
        """64 random bits."""
        state = (self.state + _GAMMA) & _MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31), Stream(state)

    def below(self, bound: int) -> tuple[int, Stream]:
        """An integer of 0 … bound - 1; `bound` of 1 or more. The bias is below bound / 2^64."""
        assert bound > 0, bound
        drawn, rest = self.bits()
        return (drawn * bound) >> 64, rest

    def weighted(self, weights: tuple[int, ...]) -> tuple[int, Stream]:
        """An index, drawn in proportion to its weight; the weights' sum is 1 or more."""
        drawn, rest = self.below(sum(weights))
        for index, weight in enumerate(weights):
            if drawn < weight:
                return index, rest
            drawn -= weight
        raise AssertionError("a draw below the sum of the weights falls into one of them")

    def zipf(self, bound: int, skew: float) -> tuple[int, Stream]:
        """An integer of 0 … bound - 1, n in proportion to (n + 1)^-skew, to a millionth; a skew of 0 is `below`."""
        if skew == 0:
            return self.below(bound)
        return self.weighted(tuple([max(1, round(_MILLION * (n + 1) ** -skew)) for n in range(bound)]))

    def child(self, number: int) -> Stream:
        """An unrelated stream, the same for the same number: one per key, thread or position."""
        drawn, _ = Stream((self.state ^ (number * 0xD1342543DE82EF95)) & _MASK).bits()
        return Stream(drawn)


def named_stream(seed: int | str, name: str) -> Stream:
    """The stream called `name` of a run: equal for equal arguments, unrelated to every other name's."""
    return Stream(Random(f"{seed}/{name}").getrandbits(64))
