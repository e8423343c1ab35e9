"""Framing: what goes in comes out, however the network cuts it; what is no frame is a typed error."""

from __future__ import annotations

from random import Random
from struct import pack
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_trio.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    ClientReply,
    ClientRequest,
    Done,
    Forward,
    ForwardReply,
    Message,
    OpenSession,
    OutcomeUnknown,
    PeerFrame,
    Query,
    ReadIndexRequest,
    ReadIndexResponse,
    Refusal,
    Refused,
    RequestVoteRequest,
    RequestVoteResponse,
    SessionOpened,
    Submit,
)
from raft_trio.types import EntryType, LogEntry
from raft_trio.wire import (
    CLIENT_REPLY,
    CLIENT_REQUEST,
    HELLO,
    PEER_FRAME,
    VERSION,
    Decoder,
    FrameCorrupted,
    FrameError,
    FrameMalformed,
    FrameTooLarge,
    Hello,
    encode,
    encode_peer_frame,
)

numbers = st.integers(0, 2**63)
names = st.text(max_size=8)
entries = st.builds(
    LogEntry, numbers, numbers, st.sampled_from(EntryType), names, numbers, numbers, st.binary(max_size=40)
)
requests: st.SearchStrategy[OpenSession | Submit] = st.one_of(
    st.builds(OpenSession, names), st.builds(Submit, names, numbers, numbers, st.binary(max_size=40))
)
answers: st.SearchStrategy[Done | SessionOpened | Refused | OutcomeUnknown] = st.one_of(
    st.builds(Done, names, st.binary(max_size=40), numbers, numbers),
    st.builds(SessionOpened, names, numbers),
    st.builds(Refused, names, st.sampled_from(Refusal), st.none() | names),
    st.builds(OutcomeUnknown, names, names),
)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(RequestVoteRequest, numbers, names, numbers, numbers, st.booleans(), st.booleans()),
    st.builds(RequestVoteResponse, numbers, st.booleans(), st.booleans()),
    st.builds(
        AppendEntriesRequest,
        numbers,
        names,
        numbers,
        numbers,
        st.lists(entries, max_size=2).map(tuple),
        numbers,
        numbers,
    ),
    st.builds(AppendEntriesResponse, numbers, st.booleans(), numbers, numbers, numbers, numbers, numbers),
    st.builds(ReadIndexRequest, numbers, numbers, names),
    st.builds(ReadIndexResponse, numbers, numbers, numbers),
    st.builds(Forward, numbers, numbers, requests),
    st.builds(ForwardReply, numbers, numbers, answers),
)
LIMIT = 4096
frames = st.builds(PeerFrame, names, numbers, numbers, st.lists(messages, max_size=3).map(tuple))


def sealed(payload: bytes) -> bytes:
    """A frame with a right checksum, whatever is in it."""
    return pack(">II", len(payload), crc32(payload, len(payload))) + payload


@settings(max_examples=25, deadline=None)
@given(sent=st.lists(frames, max_size=2), cut=st.integers(1, 50))
def test_peer_frames_arrive_equal_however_the_stream_is_cut(sent: list[PeerFrame], cut: int) -> None:
    data = b"".join(encode(frame) for frame in sent)
    decoder, received = Decoder(), []
    for start in range(0, len(data), cut):
        decoder.feed(data[start : start + cut])
        received += decoder.all(PEER_FRAME)
    assert received == sent


@settings(max_examples=40, deadline=None)
@given(request=requests | st.builds(Query, names, st.binary(max_size=9)), reply=answers)
def test_requests_and_replies_arrive_equal(request: ClientRequest, reply: ClientReply) -> None:
    decoder = Decoder()
    decoder.feed(encode(Hello(VERSION, "c")) + encode(request) + encode(reply))
    assert decoder.next(HELLO) == Hello(VERSION, "c")
    assert decoder.next(CLIENT_REQUEST) == request
    assert decoder.next(CLIENT_REPLY) == reply
    assert decoder.next(CLIENT_REPLY) is None


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=80) | st.binary(max_size=64).map(sealed))
def test_any_bytes_are_values_or_a_frame_error_and_nothing_else(data: bytes) -> None:
    """With a right checksum, too: then it is msgpack that must not be taken in."""
    decoder = Decoder(limit=64)
    decoder.feed(data)
    try:
        frames = decoder.all(PEER_FRAME)
    except FrameError:
        return
    assert all(isinstance(frame, PeerFrame) for frame in frames)


@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"\x90", b"\xa2\xff\xfe", b"\x91" * 5000, b"\x94\xa1n\x01\x00\x91\x91\xa4none"]
)
def test_a_frame_of_something_else_is_malformed(payload: bytes) -> None:
    """No msgpack, wrong types, no UTF-8, too deep nesting, an unknown kind of message."""
    decoder = Decoder()
    decoder.feed(sealed(payload))
    with pytest.raises(FrameMalformed):
        decoder.next(PEER_FRAME)


def test_a_frame_above_the_limit_is_refused_before_it_has_arrived() -> None:
    """Such as HTTP: its first four bytes are a length of more than a gigabyte."""
    decoder = Decoder()
    decoder.feed(b"GET / HTTP/1.1\r\n")
    with pytest.raises(FrameTooLarge) as caught:
        decoder.next(HELLO)
    assert caught.value.length == int.from_bytes(b"GET ", "big")


def test_a_flush_above_the_limit_is_split_and_message_numbers_stay() -> None:
    entry = LogEntry(1, 1, EntryType.COMMAND, data=bytes(100))
    parts: tuple[Message, ...] = tuple(AppendEntriesRequest(k, "n1", 0, 0, (entry,), 0) for k in range(5))
    decoder = Decoder(limit=300)
    decoder.feed(encode_peer_frame(PeerFrame("n1", 1, 40, parts), limit=300))
    received = decoder.all(PEER_FRAME)
    assert len(received) > 1
    assert [m for frame in received for m in frame.messages] == list(parts)
    numbered = [frame.first + k for frame in received for k in range(len(frame.messages))]
    assert numbered == [40, 41, 42, 43, 44]


# ── checksums ────────────────────────────────────────────────────────────────────────────────────────────────────────


def believed(altered: bytes) -> list[PeerFrame]:
    """What a receiver takes for frames before it refuses the connection, or waits for more."""
    decoder, received = Decoder(limit=LIMIT), []
    decoder.feed(altered)
    try:
        while (frame := decoder.next(PEER_FRAME)) is not None:
            received.append(frame)
    except FrameError:
        pass
    return received


@settings(max_examples=60, deadline=None)
@given(frame=frames, following=frames, data=st.data())
def test_no_altered_byte_of_a_frame_ever_makes_another_value(
    frame: PeerFrame, following: PeerFrame, data: st.DataObject
) -> None:
    """CRC-32 finds every burst of up to 32 bits; an altered length is under the checksum as well."""
    whole = encode(frame)
    place = data.draw(st.integers(0, len(whole) - 1))
    altered = bytearray(whole + encode(following))
    altered[place] ^= data.draw(st.integers(1, 255))
    assert believed(bytes(altered)) == []


def test_every_bit_of_every_byte_of_a_frame_counts() -> None:
    """Alone, it is refused or the receiver waits; with what follows, it is refused or the receiver still waits."""
    whole = encode(PeerFrame("n2", 1, 7, (RequestVoteResponse(3, True, False),)))
    follows = whole * 3
    for place in range(len(whole)):
        for bit in range(8):
            altered = bytearray(whole)
            altered[place] ^= 1 << bit
            assert believed(bytes(altered)) == []
            assert believed(bytes(altered) + follows) == []


def test_a_frame_that_does_not_fit_its_checksum_is_refused_as_such_and_those_before_it_are_given_out() -> None:
    good, altered = encode(Hello(VERSION, "c")), bytearray(encode(Hello(VERSION, "c")))
    altered[-1] ^= 1
    decoder = Decoder()
    decoder.feed(good + altered + good)
    assert decoder.next(HELLO) == Hello(VERSION, "c")
    with pytest.raises(FrameCorrupted, match="does not fit its checksum") as caught:
        decoder.next(HELLO)
    assert caught.value.length == len(good) - 8


def test_a_caller_of_the_version_without_checksums_is_refused_when_it_goes_on() -> None:
    """Version 1 sent `length | msgpack`: its first payload bytes stand where the checksum is now."""
    hello, more = (encode(value)[8:] for value in (Hello(1, "raft", "n2", 1), OpenSession("o")))
    decoder = Decoder()
    decoder.feed(len(hello).to_bytes(4, "big") + hello)
    assert decoder.next(HELLO) is None
    decoder.feed(len(more).to_bytes(4, "big") + more)
    with pytest.raises(FrameCorrupted, match="another version"):
        decoder.next(HELLO)


def alter(count: int, seed: str) -> tuple[int, int]:
    """So many streams of three frames with a few altered, lost or repeated bytes: how many were refused, or waited."""
    random = Random(seed)
    sent = [
        PeerFrame("n1", 1, number, (AppendEntriesRequest(number, "n1", 0, 0, (entry,), 0),))
        for number in range(3)
        for entry in [LogEntry(1, 1, EntryType.COMMAND, "o", 1, 1, random.randbytes(90))]
    ]
    refused = waiting = 0
    stream = b"".join(encode(frame) for frame in sent)
    for _ in range(count):
        altered = bytearray(stream)
        place = random.randrange(len(altered))
        match random.randrange(3):
            case 0:
                for _ in range(random.randrange(1, 5)):
                    altered[random.randrange(len(altered))] ^= random.randrange(1, 256)
            case 1:
                del altered[place : place + random.randrange(1, 9)]
            case _:
                altered[place:place] = altered[place : place + random.randrange(1, 9)]
        decoder = Decoder(limit=LIMIT)
        decoder.feed(bytes(altered))
        try:
            received = decoder.all(PEER_FRAME)
        except FrameError:
            refused += 1
            continue
        assert received == sent[: len(received)], "what was altered has been believed"
        waiting += 1
    return refused, waiting


def test_altered_streams_are_refused_or_wait_by_the_thousand() -> None:
    refused, waiting = alter(5_000, "quick")
    assert refused > 2_500
    assert waiting < 2_500


@pytest.mark.soak
def test_altered_streams_are_refused_or_wait_by_the_million() -> None:
    """Chance lets one of 4 * 10^9 pass; in a million tries none is to be expected."""
    refused, _ = alter(1_000_000, "soak")
    assert refused > 500_000
