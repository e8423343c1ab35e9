"""What strangers, clients and peers may do to a node's sockets, on virtual time and without a running loop."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from socket import AF_UNIX, SO_RCVBUF, SO_SNDBUF, SOCK_STREAM, SOL_SOCKET, socket, socketpair

import msgspec
import pytest
from trio.testing import MockClock

from raft_trio.messages import ClientRequest, Done, OpenSession, PeerFrame, Query
from raft_trio.shell.callers import CLIENT_OUT_BYTES_MAX, REQUESTS_UNDER_WAY_MAX, Callers
from raft_trio.shell.settings import Settings
from raft_trio.shell.sockets import Poller
from raft_trio.wire import (
    CLIENT_FRAME_BYTES_MAX,
    CLIENT_REPLY,
    FRAME_BYTES_MAX,
    HELLO_BYTES_MAX,
    VERSION,
    Decoder,
    Hello,
    encode,
)

HELLO = encode(Hello(VERSION, "raft"))
PEER = encode(Hello(VERSION, "raft", "n2"))


class Seen:
    """What reached the node."""

    def __init__(self) -> None:
        self.frames: list[PeerFrame] = []
        self.requests: list[tuple[str, ClientRequest]] = []
        self.gone: list[str] = []

    def frame(self, now_ns: int, frame: PeerFrame) -> None:
        self.frames.append(frame)

    def request(self, now_ns: int, connection: str, request: ClientRequest) -> None:
        self.requests.append((connection, request))

    def disconnected(self, now_ns: int, connection: str) -> None:
        self.gone.append(connection)


class Bench:
    """Callers around a recorder, and the other ends of their sockets."""

    def __init__(self, **limits: int) -> None:
        members = {"n1": "h:1", "n2": "h:2", "n3": "h:3"}
        settings = msgspec.structs.replace(Settings(node_id="n1", data_dir=Path("d"), members=members), **limits)
        self.seen = Seen()
        self.poller = Poller(lambda: None)
        self.introduced: list[tuple[str, str]] = []
        self.callers = Callers(settings, self.introduce, self.seen)
        self._ends: list[socket] = []

    def introduce(self, node: str, address: str) -> str:
        self.introduced.append((node, address))
        return "" if node in ("n2", "n3") else "a stranger"

    def call(self, said: bytes = b"") -> socket:
        ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
        for end in (ours, theirs):
            end.setsockopt(SOL_SOCKET, SO_SNDBUF, 1 << 16)
            end.setsockopt(SOL_SOCKET, SO_RCVBUF, 1 << 16)
        theirs.setblocking(False)
        self._ends.append(theirs)
        self.callers.take(self.poller, ours)
        self.say(theirs, said)
        return theirs

    def say(self, end: socket, said: bytes) -> None:
        """All of it, the node reading meanwhile; until it hangs up or reads no more."""
        idle = 0
        while said and idle < 3:
            try:
                said = said[end.send(said) :]
                idle = 0
            except BlockingIOError:
                idle += 1
            except OSError:
                return
            self.poller.serve()
        while self.poller.serve():
            pass

    def is_open(self, end: socket) -> bool:
        try:
            return end.recv(1 << 20) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        self.poller.close()
        for end in self._ends:
            end.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


async def test_requests_and_frames_reach_the_node_however_they_are_cut(bench: Bench, mock_clock: MockClock) -> None:
    client, peer = bench.call(), bench.call()
    asked = HELLO + b"".join(encode(OpenSession(f"o{k}")) for k in range(3))
    for k in range(len(asked)):
        bench.say(client, asked[k : k + 1])
    frames = [PeerFrame("n2", 1, 1, ()), PeerFrame("n3", 1, 1, ()), PeerFrame("n2", 1, 2, ())]
    bench.say(peer, PEER + b"".join(encode(frame) for frame in frames))
    assert [request.operation for _, request in bench.seen.requests] == ["o0", "o1", "o2"]
    assert bench.seen.frames == [frames[0], frames[2]], "a node speaks for itself only"


async def test_replies_of_a_turn_leave_together_and_to_the_right_client(bench: Bench, mock_clock: MockClock) -> None:
    first, second = bench.call(HELLO + encode(OpenSession("a"))), bench.call(HELLO + encode(OpenSession("b")))
    names = [name for name, _ in bench.seen.requests]
    bench.callers.reply(
        ((names[0], Done("a", b"1", 1, 1)), (names[1], Done("b", b"", 1, 1)), ("gone", Done("c", b"", 1, 1)))
    )
    bench.callers.reply(((names[0], Done("a2", b"", 1, 2)),))
    for end, operations in ((first, ["a", "a2"]), (second, ["b"])):
        decoder = Decoder()
        decoder.feed(end.recv(1000))
        assert [reply.operation for reply in decoder.all(CLIENT_REPLY)] == operations


async def test_a_caller_that_does_not_introduce_itself_is_hung_up_on(
    bench: Bench, mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Slow loris: silence, or a byte now and then."""
    silent, dripping, polite = bench.call(), bench.call(HELLO[:1]), bench.call(HELLO)
    for k in range(1, 6):
        mock_clock.jump(1.01)
        bench.say(dripping, HELLO[k : k + 1])
        bench.callers.check()
    assert [bench.is_open(end) for end in (silent, dripping, polite)] == [False, False, True]
    assert caplog.text.count("did not introduce itself") == 2


async def test_a_node_is_introduced_with_its_address_and_may_be_refused(
    bench: Bench, mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    peer, stranger = (bench.call(encode(Hello(VERSION, "raft", node, 1, "h:9"))) for node in ("n2", "n9"))
    assert bench.introduced == [("n2", "h:9"), ("n9", "h:9")]
    assert [bench.is_open(end) for end in (peer, stranger)] == [True, False]
    assert "a stranger" in caplog.text


async def test_a_frame_that_is_not_finished_in_time_ends_the_connection(bench: Bench, mock_clock: MockClock) -> None:
    """It may grow as slowly as it likes: what counts is when it began. A connection in use has always one begun."""
    request = encode(Query("q", b"x" * 100))
    dripping, busy = bench.call(HELLO + request[:1]), bench.call(HELLO + request[:1])
    for k in range(1, 13):
        mock_clock.jump(1.0)
        bench.say(dripping, request[k : k + 1])
        bench.say(busy, request[1:] + request[:1])
        bench.callers.check()
    assert not bench.is_open(dripping)
    assert bench.is_open(busy)
    assert bench.seen.gone == [bench.seen.requests[0][0].replace("c2", "c1")]


@pytest.mark.parametrize(
    ("said", "limit"),
    [(b"", HELLO_BYTES_MAX), (HELLO, CLIENT_FRAME_BYTES_MAX), (PEER, FRAME_BYTES_MAX)],
    ids=["stranger", "client", "peer"],
)
async def test_a_frame_above_what_the_caller_may_send_is_refused_by_its_length(
    bench: Bench, mock_clock: MockClock, said: bytes, limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    head = [length.to_bytes(4, "big") + bytes(4) for length in (limit, limit + 1)]
    fits, exceeds = (bench.call(said + begun) for begun in head)
    assert [bench.is_open(end) for end in (fits, exceeds)] == [said != PEER, False]
    assert f"the limit is {limit}" in caplog.text


async def test_incomplete_frames_of_all_callers_together_are_bounded(
    bench: Bench, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many clients that each begin a large frame must not take the memory of the node."""
    monkeypatch.setattr("raft_trio.shell.callers.PARTIAL_BYTES_MAX", 5_000_000)
    began = HELLO + (1 << 20).to_bytes(4, "big") + bytes(900_004)
    ends = [bench.call(began) for _ in range(8)]
    assert [bench.is_open(end) for end in ends] == [True] * 5 + [False] * 3
    assert bench.callers.partial_bytes <= 5_000_000
    for end in ends:
        end.close()
    bench.poller.serve()
    assert bench.callers.partial_bytes == 0


async def test_connections_are_counted_and_one_too_many_is_turned_away(mock_clock: MockClock) -> None:
    bench = Bench(connections_max=3)
    ends = [bench.call(HELLO) for _ in range(4)]
    assert [bench.is_open(end) for end in ends] == [True, True, True, False]
    ends[0].close()
    bench.poller.serve()
    assert bench.is_open(bench.call(HELLO))
    bench.close()


async def test_a_client_with_too_much_under_way_is_not_read_until_it_was_answered(
    bench: Bench, mock_clock: MockClock
) -> None:
    """Back-pressure instead of memory: what it sends stays in its own socket."""
    request = encode(OpenSession("o"))
    client = bench.call(HELLO)
    for _ in range(10):
        bench.say(client, request * 1000)
    taken = len(bench.seen.requests)
    assert REQUESTS_UNDER_WAY_MAX < taken < 9_000
    name = bench.seen.requests[0][0]
    bench.callers.reply(tuple((name, Done("o", b"", 1, 1)) for _ in range(taken - REQUESTS_UNDER_WAY_MAX // 2)))
    while bench.poller.serve() and len(bench.seen.requests) < 9_000:
        with suppress(BlockingIOError):
            client.recv(1 << 16)
    assert len(bench.seen.requests) > taken


async def test_a_client_that_takes_no_replies_is_read_no_more_and_then_hung_up_on(
    bench: Bench, mock_clock: MockClock
) -> None:
    client = bench.call(HELLO + encode(OpenSession("o")))
    name = bench.seen.requests[0][0]
    for _ in range(3):
        bench.callers.reply(((name, Done("o", bytes(1 << 20), 1, 1)),))
    bench.say(client, encode(OpenSession("p")) + encode(OpenSession("q")))
    bench.say(client, encode(OpenSession("r")))
    assert len(bench.seen.requests) == 3, "one more read, at which it rests"
    for _ in range(12):
        mock_clock.jump(1.0)
        bench.callers.check()
    assert bench.seen.gone == [name]
    greedy = bench.call(HELLO + encode(OpenSession("o")))
    name = bench.seen.requests[-1][0]
    for _ in range(CLIENT_OUT_BYTES_MAX // (1 << 20) + 2):
        bench.callers.reply(((name, Done("o", bytes(1 << 20), 1, 1)),))
    assert bench.seen.gone[-1] == name
    greedy.close()


async def test_a_peer_that_connects_anew_replaces_its_old_connection(bench: Bench, mock_clock: MockClock) -> None:
    """After a partition the old one may look alive for minutes."""
    old = bench.call(PEER)
    new = bench.call(PEER + encode(PeerFrame("n2", 2, 1, ())))
    assert [bench.is_open(end) for end in (old, new)] == [False, True]
    assert bench.seen.frames == [PeerFrame("n2", 2, 1, ())]


async def garbage(bench: Bench, count: int) -> None:
    """Random bytes, and legal beginnings spoiled at random."""
    random = Random("garbage")
    legal = [HELLO + encode(Query("q", b"x")), PEER + encode(PeerFrame("n2", 1, 1, ()))]
    for _ in range(count):
        said = bytearray(random.choice([*legal, random.randbytes(random.randrange(200))]))
        for _ in range(random.randrange(4)):
            if said:
                said[random.randrange(len(said))] = random.randrange(256)
        bench.call(bytes(said)).close()
        while bench.poller.serve():
            pass
    assert bench.poller.connections == {}
    assert (bench.callers.clients, bench.callers.requests_under_way, bench.callers.partial_bytes) == (0, 0, 0)
    assert bench.is_open(bench.call(HELLO + encode(OpenSession("fine"))))
    assert bench.seen.requests[-1][1] == OpenSession("fine")


async def test_garbage_ends_with_its_connection_and_leaves_nothing_behind(
    bench: Bench, mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    await garbage(bench, 400)


@pytest.mark.soak
async def test_twenty_thousand_connections_of_garbage_leave_nothing_behind(
    bench: Bench, mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Issue #5, acceptance; over real ports, half of them behind TLS, in test_soak.py."""
    caplog.set_level(logging.CRITICAL)
    await garbage(bench, 20_000)
