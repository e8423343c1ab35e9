"""A served node against callers that are not what they should be, and the settings that make it one."""

from __future__ import annotations

import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from raft_trio import kv
from raft_trio.__main__ import main
from raft_trio.client import RaftClient, open_client
from raft_trio.errors import ConfigError, IoError, NoLeader, RaftError, RequestTimeout
from raft_trio.messages import OpenSession, Refusal, Refused
from raft_trio.shell.host import serve
from raft_trio.shell.settings import Settings, load_settings, parse_address
from raft_trio.storage.recovery import segment_path
from raft_trio.wire import CLIENT_REPLY, VERSION, Decoder, Hello, encode
from tests.raft_trio.shell.processes import free_addresses


def alone(tmp_path: Path) -> Settings:
    return Settings(node_id="n1", data_dir=tmp_path / "n1", members={"n1": free_addresses(1)[0]})


def one_of_two(tmp_path: Path) -> Settings:
    addresses = free_addresses(2)
    return Settings(node_id="n1", data_dir=tmp_path / "n1", members=dict(zip(("n1", "n2"), addresses, strict=True)))


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[None]:
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: serve(settings, task_status=task_status))
            yield
            nursery.cancel_scope.cancel()


async def test_a_single_node_serves_alone_and_restarts_in_place(tmp_path: Path) -> None:
    settings = alone(tmp_path)
    for value in (1, 2):
        async with served(settings), open_client(settings.members) as client:
            await client.put("k", value)
            assert await client.get("k") == kv.Found(value)


async def test_every_family_of_commands_is_served(tmp_path: Path) -> None:
    """Issue 5: increments, transactions, ranges, watching, locks with fencing tokens, queues."""
    settings = alone(tmp_path)
    async with served(settings), open_client(settings.members) as client:
        assert await client.submit(kv.Increment("a", 5)) == kv.Incremented(5)
        move = kv.Transaction((kv.Compare("a", ">=", 2),), (kv.Increment("a", -2), kv.Increment("b", 2)))
        assert await client.submit(move) == kv.Transacted(True, (kv.Incremented(3), kv.Incremented(2)))
        assert await client.query(kv.Range("a", "c")) == kv.Ranged((("a", 3), ("b", 2)))
        changes = kv.Event(2, "put", "a", 3), kv.Event(2, "put", "b", 2)
        assert await client.query(kv.Watch(1)) == kv.Events(changes, 2)
        assert await client.submit(kv.Acquire("l", "me", 10, 1)) == kv.Acquired(1, 11)
        assert await client.submit(kv.Acquire("l", "you", 10, 2)) == kv.LockHeld("me", 1, 11)
        assert await client.submit(kv.Release("l", 1)) == kv.Released()
        for value in (7, 8):
            assert await client.submit(kv.Enqueue("q", value)) == kv.Appended(value - 6)
        assert await client.submit(kv.Dequeue("q")) == kv.Found(7)
        assert await client.submit(kv.Drain("q")) == kv.Drained((8,))


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        encode(Hello(VERSION + 1, "raft")),
        encode(Hello(VERSION, "another")),
        encode(Hello(VERSION, "raft", "stranger")),
        encode(Hello(VERSION, "raft", "n1")),
        encode(Hello(VERSION, "raft")) + b"\0\0\0\1" + bytes(4) + b"\xc1",
        encode(Hello(VERSION, "raft", "n2")) + b"\0\0\0\1" + bytes(4) + b"\xc1",
    ],
)
async def test_a_caller_that_makes_no_sense_is_hung_up_on_and_harms_nobody(tmp_path: Path, said: bytes) -> None:
    """Mutant M13: members of different clusters must never talk. Also other protocols, versions, strangers, garbage."""
    settings = one_of_two(tmp_path)
    async with served(settings):
        stream = await trio.open_tcp_stream(*settings.listen_address())
        async with stream:
            await stream.send_all(said)
            assert await stream.receive_some(10) == b""
        async with await trio.open_tcp_stream(*settings.listen_address()) as polite:
            await polite.send_all(encode(Hello(VERSION, "raft")) + encode(OpenSession("o")))
            decoder = Decoder()
            decoder.feed(await polite.receive_some(100))
            assert decoder.next(CLIENT_REPLY) == Refused("o", Refusal.NO_LEADER)


async def test_a_client_tells_no_leader_from_an_unknown_outcome(tmp_path: Path) -> None:
    """Definite: every node refused. Indefinite: a request was taken and never answered."""
    settings = one_of_two(tmp_path)
    async with served(settings):
        with pytest.raises(NoLeader):
            async with open_client({"n1": settings.members["n1"]}, timeout_s=0.15):
                raise AssertionError("a node of two cannot lead")
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    with pytest.raises(RequestTimeout):
        async with open_client({"n1": address}, timeout_s=0.15):
            raise AssertionError("nobody answers")
    await listeners[0].aclose()


async def test_a_refusal_after_an_attempt_that_was_never_answered_is_no_refusal_of_the_operation() -> None:
    """The first attempt may have been carried out: that the second was refused proves nothing about it."""
    connections = 0

    async def silent_then_refusing(stream: trio.SocketStream) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await stream.receive_some(1000)
            await stream.aclose()
            return
        while data := await stream.receive_some(1000):
            if b"open" in data:
                await stream.send_all(encode(Refused("open", Refusal.NO_LEADER)))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, silent_then_refusing, 0)
            address = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            with pytest.raises(RequestTimeout):
                async with open_client({"n1": address}, timeout_s=0.3):
                    raise AssertionError("no session was opened")
            nursery.cancel_scope.cancel()
    assert connections > 1


async def test_a_node_with_a_damaged_log_does_not_start(tmp_path: Path) -> None:
    settings = alone(tmp_path)
    async with served(settings), open_client(settings.members):
        pass
    path = settings.data_dir / segment_path(1)
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"!!!!" + data[8:])
    with trio.fail_after(5), pytest.raises(IoError, match="refuses to start"):
        await serve(settings)


async def test_a_process_that_was_held_up_says_so_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A stopped process, a starved one or a bad disk look alike from within: the loop comes too late."""
    settings = alone(tmp_path)
    async with served(settings), open_client(settings.members) as client:
        select.select([], [], [], 0.2)
        await client.put("k", 1)
        await client.put("k", 2)
    assert "held up for" in caplog.text


async def test_a_node_told_to_stop_answers_what_it_was_asked_and_takes_nothing_new(tmp_path: Path) -> None:
    settings = alone(tmp_path)
    stop = trio.Event()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: serve(settings, stop=stop, task_status=task_status))
            async with open_client(settings.members) as client:
                await client.put("k", 1)
                stop.set()
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(RaftError):
                    await RaftClient(settings.members, cluster="raft", timeout_s=0.1).open_session()
    async with served(settings), open_client(settings.members) as client:
        assert await client.get("k") == kv.Found(1)


async def test_an_address_in_use_is_a_configuration_error(tmp_path: Path) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    with trio.fail_after(5), pytest.raises(ConfigError, match="cannot listen"):
        await serve(Settings(node_id="n1", data_dir=tmp_path, members={"n1": address}))
    await listeners[0].aclose()


def test_settings_are_read_with_paths_relative_to_their_file(tmp_path: Path) -> None:
    file = tmp_path / "n1.toml"
    file.write_text(
        'node_id = "n1"\ndata_dir = "d"\ntrace = "t.jsonl"\nmembers = { n1 = "localhost:1", n2 = "[::1]:2" }\n'
    )
    settings = load_settings(file)
    assert settings.data_dir == tmp_path / "d"
    assert settings.trace == tmp_path / "t.jsonl"
    assert settings.listen_address() == ("localhost", 1)
    assert settings.peers() == {"n2": ("::1", 2)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("node_id = ", "n1.toml"),
        ('node_id = "n1"\ndata_dir = "d"\nmembers = { n1 = "a:1" }\nport = 3', "port"),
        ('node_id = "n3"\ndata_dir = "d"\nmembers = { n1 = "a:1" }', "n3"),
        ('node_id = "n1"\ndata_dir = "d"\nmembers = { n1 = "a" }', "host:port"),
        ('node_id = "n1"\ndata_dir = "d"\nmembers = { n1 = "a:1" }\nelection_timeout_ms = [300, 150]', "exceeds"),
    ],
)
def test_wrong_settings_are_named_and_exit_with_64(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    file = tmp_path / "n1.toml"
    file.write_text(text)
    assert main(["serve", "--config", str(file)]) == 64
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:0", "host:65536", "host:x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no address"):
        parse_address(text)
