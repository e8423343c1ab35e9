"""Random draws as values."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.stream import Stream, named_stream


def test_the_numbers_are_those_of_splitmix64() -> None:
    """Reference outputs for seed 0 of the public-domain implementation (Vigna, splitmix64.c)."""
    first, stream = Stream(0).bits()
    second, stream = stream.bits()
    third, _ = stream.bits()
    assert (first, second, third) == (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)


def test_drawing_twice_from_the_same_stream_gives_the_same() -> None:
    stream = named_stream(7, "test")
    assert stream.below(1000) == stream.below(1000)


def test_streams_of_different_names_seeds_and_children_differ() -> None:
    streams = [named_stream(1, "a"), named_stream(1, "b"), named_stream(2, "a")]
    streams += [named_stream(1, "a").child(number) for number in range(100)]
    assert len({stream.bits()[0] for stream in streams}) == len(streams)


@settings(max_examples=50, derandomize=True)
@given(state=st.integers(0, 2**64 - 1), bound=st.integers(1, 2**40))
def test_a_draw_is_below_its_bound(state: int, bound: int) -> None:
    drawn, _ = Stream(state).below(bound)
    assert 0 <= drawn < bound


def test_weights_set_the_shares() -> None:
    """50,000 draws; the standard deviation of a share is below 0.23 %, so 1 % is beyond chance."""
    stream = named_stream(3, "shares")
    counts = [0, 0, 0, 0]
    for _ in range(50_000):
        index, stream = stream.weighted((5, 3, 0, 2))
        counts[index] += 1
    assert counts[2] == 0
    for count, share in zip(counts, (0.5, 0.3, 0.0, 0.2), strict=True):
        assert abs(count / 50_000 - share) < 0.01
