"""Framing: what goes in comes out, however the network cuts it; what is no frame is a typed error."""

from __future__ import annotations

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
frames = st.builds(PeerFrame, names, numbers, numbers, st.lists(messages, max_size=3).map(tuple))


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


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=80))
def test_any_bytes_are_values_or_a_frame_error_and_nothing_else(data: bytes) -> None:
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
    decoder.feed(len(payload).to_bytes(4, "big") + payload)
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
