"""Garbage by the thousand: into the decoder, and into the ports of a node that serves clients meanwhile."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from socket import socket
from struct import pack
from zlib import crc32

import pytest
import trio

from raft_trio import kv
from raft_trio.client import open_client
from raft_trio.messages import AppendEntriesRequest, OpenSession, PeerFrame, Query, Submit
from raft_trio.shell.tls import client_context
from raft_trio.types import EntryType, LogEntry
from raft_trio.wire import CLIENT_REQUEST, HELLO, PEER_FRAME, VERSION, Decoder, FrameError, Hello, encode
from tests.raft_trio.shell.certificates import Authority
from tests.raft_trio.shell.leading import resident_bytes
from tests.raft_trio.shell.processes import processes

ENTRY = LogEntry(1, 1, EntryType.COMMAND, "o", 1, 1, b"data")
LEGAL = (
    encode(Hello(VERSION, "raft", "n2", 1)),
    encode(PeerFrame("n2", 1, 1, (AppendEntriesRequest(1, "n2", 0, 0, (ENTRY,), 1),))),
    encode(OpenSession("o")),
    encode(Submit("o", 1, 1, kv.encode(kv.Put("k", "v")))),
    encode(Query("o", kv.encode(kv.Get("k")))),
)


def sealed(payload: bytes) -> bytes:
    """With a right checksum, so that what is behind it is fuzzed, too."""
    return pack(">II", len(payload), crc32(payload, len(payload))) + payload


def malformed(seed: str) -> Iterator[bytes]:
    """Legal frames with bits turned, cut, or joined to others; random bytes; lengths that lie; deep nesting.

    Half of them fit their checksums.
    """
    random = Random(seed)
    while True:
        frame = bytearray(random.choice(LEGAL))
        match random.randrange(6):
            case 0:
                frame = bytearray(random.randbytes(random.randrange(64)))
            case 1:
                frame = frame[: random.randrange(len(frame))]
            case 2:
                frame[:4] = random.randrange(1 << 32).to_bytes(4, "big")
            case 3:
                frame = bytearray(sealed(b"\x91" * 4000))
            case 4:
                frame[8:] = random.randbytes(len(frame) - 8)
            case _:
                pass
        for _ in range(random.randrange(1, 4)):
            if len(frame) > 8:
                frame[random.randrange(8, len(frame))] ^= 1 << random.randrange(8)
        yield sealed(bytes(frame[8:])) if random.randrange(2) else bytes(frame)


def decode(count: int) -> int:
    """How many of so many malformed frames were refused; the rest were incomplete, or legal after all."""
    refused = 0
    for number, data in zip(range(count), malformed("decoder"), strict=False):
        decoder = Decoder(limit=1 << 16)
        decoder.feed(data)
        try:
            match number % 3:
                case 0:
                    decoder.all(HELLO)
                case 1:
                    decoder.all(PEER_FRAME)
                case _:
                    decoder.all(CLIENT_REQUEST)
        except FrameError:
            refused += 1
        assert decoder.partial_bytes <= len(data)
    return refused


def test_malformed_frames_are_refused_or_incomplete_and_nothing_else_happens() -> None:
    assert decode(20_000) > 10_000


@pytest.mark.soak
def test_a_million_malformed_frames_are_refused_or_incomplete_and_nothing_else_happens() -> None:
    """Issue #5, acceptance."""
    assert decode(1_000_000) > 500_000


def pester(address: tuple[str, int], context: ssl.SSLContext | None, said: bytes) -> None:
    """Connects, says something, leaves without waiting for anything but the handshake."""
    with socket() as plain:
        plain.settimeout(10)
        plain.connect(address)
        with suppress(OSError):
            if context is None:
                plain.sendall(said)
            else:
                with context.wrap_socket(plain) as secured:
                    secured.sendall(said)


async def garbage(tmp_path: Path, connections: int) -> tuple[int, int]:
    """Half of them behind TLS, half without; memory of the node before the second half and at the end."""
    authority = Authority(tmp_path)
    tls = {node: authority.issue(node) for node in ("n1", "n2", "n3")}
    with processes(tmp_path, tls=True) as cluster:
        async with open_client(cluster.members, tls=tls["n1"]) as client:
            await client.put("k", 0)
            host, _, port = cluster.members["n2"].rpartition(":")
            frames = malformed("ports")
            context = client_context(tls["n3"])
            sizes = []
            for half in (1, 2):
                for number in range(connections // 2):
                    hello = encode(Hello(VERSION, "raft")) if number % 4 < 2 else b""
                    await trio.to_thread.run_sync(
                        pester, (host, int(port)), context if number % 2 else None, hello + next(frames)
                    )
                await client.put("k", half)
                assert await client.get("k") == kv.Found(half)
                sizes.append(resident_bytes(cluster.pid("n2")))
        assert cluster.stop() == [0, 0, 0]
    assert "Traceback" not in (tmp_path / "n2.log").read_text()
    assert (tmp_path / "n2.log").read_text().count("WARNING") > connections // 4
    return sizes[0], sizes[1]


async def test_garbage_on_a_live_port_ends_in_the_log_and_nothing_else_is_lost(tmp_path: Path) -> None:
    with trio.fail_after(60):
        await garbage(tmp_path, 200)


@pytest.mark.soak
async def test_twenty_thousand_connections_of_garbage_cost_no_memory(tmp_path: Path) -> None:
    """Issue #5, acceptance."""
    with trio.fail_after(900):
        before, after = await garbage(tmp_path, 20_000)
    print(f"memory after 10,000 and after 20,000 connections: {before >> 20} and {after >> 20} MiB")
    assert after < before * 1.1
