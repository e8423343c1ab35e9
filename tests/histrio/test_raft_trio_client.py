"""The client over real sockets: what may have left is open, what certainly did not is a definite failure."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio
import trio.testing

from histrio.systems.raft_trio_deployed import RaftTrioClient
from histrio.systems.raft_trio_session import RaftTrioSession
from raft_trio import kv
from raft_trio.messages import Done, OpenSession, Query, SessionOpened, Submit
from raft_trio.wire import CLIENT_REQUEST, HELLO, Decoder, encode
from workloads.session import Operation, Outcome

MS = 1_000_000
PORT = 7100
numbers = itertools.count(1)

Request = OpenSession | Submit | Query
Serve = Callable[[trio.SocketStream, Request], Awaitable[bool]]
"""What a node does with a request; False: it hangs up."""


def own_address() -> str:
    """A loopback address that no other process of the tests uses."""
    return f"127.{64 + os.getpid() % 128}.{os.getpid() // 128 % 256}.{next(numbers)}"


async def answering(stream: trio.SocketStream, request: Request) -> bool:
    """A node that does as it is told."""
    if isinstance(request, OpenSession):
        await stream.send_all(encode(SessionOpened(request.operation, 1)))
    else:
        await stream.send_all(encode(Done(request.operation, kv.encode(kv.Stored()), 1, 2)))
    return True


@asynccontextmanager
async def node(serve: Serve) -> AsyncIterator[str]:
    """A node at an address of its own."""
    address = own_address()

    async def handle(stream: trio.SocketStream) -> None:
        decoder, greeted = Decoder(), False
        async with stream:
            while data := await stream.receive_some():
                decoder.feed(data)
                greeted = greeted or decoder.next(HELLO) is not None
                for request in decoder.all(CLIENT_REQUEST):
                    assert isinstance(request, Request)
                    if not await serve(stream, request):
                        return

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_tcp, handle, PORT, host=address))
        yield address
        nursery.cancel_scope.cancel()


async def opened(address: str, *, timeout_ms: int = 2000) -> RaftTrioClient:
    client = RaftTrioClient({"n1": address}, RaftTrioSession(timeout_ns=timeout_ms * MS))
    await client.open("n1")
    return client


WRITE = Operation("write", "r1", 1)


async def test_an_operation_that_is_answered_succeeds_at_its_position() -> None:
    async with node(answering) as address:
        client = await opened(address)
        completion = await client.invoke(WRITE, "0.1")
        assert (completion.outcome, completion.position) == (Outcome.OK, (1, 2))
        await client.close()


async def test_a_refused_connection_is_a_definite_failure() -> None:
    client = await opened(own_address())
    completion = await client.invoke(WRITE, "0.1")
    assert (completion.outcome, completion.error) == (Outcome.FAIL, "connection-refused")


async def test_a_connection_that_breaks_after_the_request_leaves_it_open() -> None:
    """The node may have taken it, and may yet carry it out."""

    async def hang_up(stream: trio.SocketStream, request: Request) -> bool:
        return isinstance(request, OpenSession) and await answering(stream, request)

    async with node(hang_up) as address:
        client = await opened(address)
        completion = await client.invoke(WRITE, "0.1")
        assert (completion.outcome, completion.error) == (Outcome.INFO, "connection-lost")


async def test_silence_leaves_an_operation_open_at_its_deadline() -> None:
    async def silent(stream: trio.SocketStream, request: Request) -> bool:
        return not isinstance(request, OpenSession) or await answering(stream, request)

    async with node(silent) as address:
        client = await opened(address, timeout_ms=100)
        began_s = trio.current_time()
        completion = await client.invoke(WRITE, "0.1")
        assert (completion.outcome, completion.error) == (Outcome.INFO, "timeout")
        assert trio.current_time() - began_s >= 0.1
        await client.close()


async def test_a_node_that_hung_up_in_between_is_called_again() -> None:
    """What could not have arrived is no open operation: a restart between two operations costs nothing."""
    calls: list[str] = []

    async def once(stream: trio.SocketStream, request: Request) -> bool:
        calls.append(type(request).__name__)
        await answering(stream, request)
        return isinstance(request, OpenSession)

    async with node(once) as address:
        client = await opened(address)
        assert (await client.invoke(WRITE, "0.1")).outcome is Outcome.OK
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert (await client.invoke(WRITE, "0.2")).outcome is Outcome.OK
        await client.close()
    assert calls == ["OpenSession", "Submit", "Submit"]


async def test_a_request_that_was_cut_short_is_not_followed_by_another_on_the_same_connection() -> None:
    """A node that does not read, as a stopped one: the rest of the frame would be taken from the next request."""
    whole: list[int] = []
    stopped = trio.Event()

    async def stop(stream: trio.SocketStream, request: Request) -> bool:
        whole.append(len(encode(request)))
        await answering(stream, request)
        if isinstance(request, OpenSession) and not stopped.is_set():
            stopped.set()
            await trio.sleep(0.4)
        return True

    async with node(stop) as address:
        client = await opened(address, timeout_ms=200)
        big = Operation("write", "r1", "x" * (16 << 20))
        assert (await client.invoke(big, "0.1")).outcome is Outcome.INFO
        await trio.sleep(0.4)
        assert (await client.invoke(WRITE, "0.2")).outcome is Outcome.OK
        await client.close()


async def test_closing_twice_does_no_harm() -> None:
    async with node(answering) as address:
        client = await opened(address)
        await client.invoke(WRITE, "0.1")
        await client.close()
        await client.close()
