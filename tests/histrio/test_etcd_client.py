"""The client of etcd: what it asks, what it makes of the answers, and which failures it calls definite."""

from __future__ import annotations

import itertools
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from histrio.systems.etcd import CLIENT_PORT
from histrio.systems.etcd_client import REFUSED, EtcdClient, ask_status
from histrio.systems.system import NodeStatus
from tests.histrio.fake_etcd import FakeEtcd, refusal
from workloads.errors import DEFINITE_ERRORS
from workloads.session import Completion, Operation, Outcome

numbers = itertools.count(1)

READ, WRITE, CAS = Operation("read", "r-1"), Operation("write", "r-1", 5), Operation("cas", "r-1", (5, 6))


@asynccontextmanager
async def client(
    transport: httpx.AsyncBaseTransport | None, *, address: str = "10.0.0.1", serializable_reads: bool = False
) -> AsyncIterator[EtcdClient]:
    one = EtcdClient({"n1": address}, timeout_s=2, serializable_reads=serializable_reads, transport=transport)
    await one.open("n1")
    try:
        yield one
    finally:
        await one.close()


async def asked(operation: Operation, answer: Callable[[httpx.Request], Any]) -> Completion:
    async with client(httpx.MockTransport(answer)) as one:
        return await one.invoke(operation, "0.1")


# ── what is asked, and what was answered ─────────────────────────────────────────────────────────────────────────────


async def test_a_register_is_written_compared_and_read_as_json() -> None:
    etcd = FakeEtcd()
    async with client(httpx.MockTransport(etcd)) as one:
        absent = await one.invoke(READ, "0.1")
        written = await one.invoke(WRITE, "0.2")
        changed = await one.invoke(CAS, "0.3")
        missed = await one.invoke(CAS, "0.4")
        read = await one.invoke(READ, "0.5")
    assert absent == Completion(outcome=Outcome.OK, value=None)
    assert written == Completion(outcome=Outcome.OK, value=5)
    assert changed == Completion(outcome=Outcome.OK, value=(5, 6))
    assert missed == Completion(outcome=Outcome.FAIL, error="cas-mismatch")
    assert read == Completion(outcome=Outcome.OK, value=6)
    assert etcd.value("r-1") == 6


async def test_a_comparison_with_nothing_holds_only_for_a_key_that_was_never_written() -> None:
    """etcd counts the changes of a key; a key without any has version 0."""
    etcd, first = FakeEtcd(), Operation("cas", "r-2", (None, 1))
    async with client(httpx.MockTransport(etcd)) as one:
        assert (await one.invoke(first, "0.1")).outcome is Outcome.OK
        assert (await one.invoke(first, "0.2")).error == "cas-mismatch"


async def test_reads_ask_the_others_unless_the_option_says_otherwise() -> None:
    for serializable in (False, True):
        etcd = FakeEtcd()
        async with client(httpx.MockTransport(etcd), serializable_reads=serializable) as one:
            await one.invoke(READ, "0.1")
        assert etcd.requests == [
            ("/v3/kv/range", {"key": b64encode(b"r-1").decode(), "serializable": serializable}),
        ]


# ── definite or not ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_etcd_refuses_has_names_of_the_one_table_of_definite_errors() -> None:
    assert set(REFUSED.values()) <= set(DEFINITE_ERRORS)


@pytest.mark.parametrize("said", REFUSED)
async def test_what_etcd_refuses_before_it_proposes_has_certainly_not_happened(said: str) -> None:
    completion = await asked(WRITE, lambda request: refusal(500, said))
    assert completion == Completion(outcome=Outcome.FAIL, error=f"{REFUSED[said]}: {said}")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(503, "etcdserver: request timed out, possibly due to previous leader failure"), "timeout"),
        (refusal(503, "etcdserver: leader changed"), "leadership-lost"),
        (refusal(429, "etcdserver: mvcc: database space exceeded"), "outcome-unknown"),
        (refusal(503, "etcdserver: server stopped"), "outcome-unknown"),
        (refusal(503, "transport is closing"), "outcome-unknown"),
        (httpx.Response(502, text="<html>"), "outcome-unknown"),
        (httpx.Response(200, text='{"header"'), "outcome-unknown"),
        (httpx.Response(200, json=["no", "object"]), "outcome-unknown"),
    ],
)
async def test_whatever_else_a_write_is_told_leaves_it_open_and_changes_nothing_of_a_read(
    answer: httpx.Response, error: str
) -> None:
    """A put beyond the quota is carried out and called an error (etcd 3.4, `quotaApplierV3`)."""
    for operation in (WRITE, CAS):
        completion = await asked(operation, lambda request: answer)
        assert completion.outcome is Outcome.INFO
        assert str(completion.error).partition(":")[0] == error
    assert (await asked(READ, lambda request: answer)).outcome is Outcome.FAIL


async def test_a_read_of_what_no_client_wrote_is_no_value() -> None:
    for value in ("!", b64encode(b"{").decode()):
        answer = httpx.Response(200, json={"kvs": [{"value": value}]})
        completion = await asked(READ, lambda request, answer=answer: answer)  # type: ignore[misc]
        assert completion.outcome is Outcome.FAIL


async def test_silence_ends_at_the_clients_own_deadline(autojump_clock: trio.testing.MockClock) -> None:
    async def silent(request: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()
        raise AssertionError

    start_s = trio.current_time()
    assert await asked(WRITE, silent) == Completion(outcome=Outcome.INFO, error="timeout")
    assert trio.current_time() == start_s + 2
    assert await asked(READ, silent) == Completion(outcome=Outcome.FAIL, error="timeout")


# ── real sockets ─────────────────────────────────────────────────────────────────────────────────────────────────────


def own_address() -> str:
    """A loopback address that no other process of the tests uses."""
    return f"127.{64 + os.getpid() % 128}.{os.getpid() // 128 % 256}.{next(numbers)}"


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
Serve = Callable[[trio.SocketStream], Awaitable[bool]]
"""What a node does with a request; False: it hangs up."""


async def whole_request(stream: trio.SocketStream) -> bool:
    """Head and body come in several pieces; False: the client hung up."""
    received = b""
    while not received.endswith(b"}"):
        data = await stream.receive_some()
        if not data:
            return False
        received += data
    return True


@asynccontextmanager
async def node(serve: Serve) -> AsyncIterator[tuple[str, list[int]]]:
    """A node at an address of its own, and how many requests came over each of its connections."""
    address, connections = own_address(), list[int]()

    async def handle(stream: trio.SocketStream) -> None:
        number = len(connections)
        connections.append(0)
        async with stream:
            while await whole_request(stream):
                connections[number] += 1
                if not await serve(stream):
                    return

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_tcp, handle, CLIENT_PORT, host=address))
        yield address, connections
        nursery.cancel_scope.cancel()


async def answering(stream: trio.SocketStream) -> bool:
    await stream.send_all(ANSWER)
    return True


async def test_a_refused_connection_is_a_definite_failure() -> None:
    async with client(None, address=own_address()) as one:
        assert await one.invoke(WRITE, "0.1") == Completion(outcome=Outcome.FAIL, error="connection-refused")


async def test_a_connection_that_breaks_after_the_request_leaves_the_outcome_open() -> None:
    async def hang_up(stream: trio.SocketStream) -> bool:
        return False

    async with node(hang_up) as (address, _), client(None, address=address) as one:
        assert await one.invoke(WRITE, "0.1") == Completion(outcome=Outcome.INFO, error="connection-lost")


async def test_all_operations_of_a_client_go_over_one_connection() -> None:
    async with node(answering) as (address, connections), client(None, address=address) as one:
        for _ in range(5):
            assert (await one.invoke(WRITE, "0.1")).outcome is Outcome.OK
    assert connections == [5]


async def test_a_node_that_hung_up_in_between_is_connected_to_anew_and_asked_once() -> None:
    """Nothing is sent twice: the request goes over the new connection only."""

    async def answer_once(stream: trio.SocketStream) -> bool:
        await stream.send_all(ANSWER)
        return False

    async with node(answer_once) as (address, connections), client(None, address=address) as one:
        for _ in range(3):
            assert (await one.invoke(WRITE, "0.1")).outcome is Outcome.OK
            await trio.testing.wait_all_tasks_blocked()
    assert connections == [1, 1, 1]


# ── roles ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"header": {"member_id": "7"}, "leader": "7", "raftTerm": "3"}, NodeStatus("leader", 3)),
        ({"header": {"member_id": "7"}, "leader": "8", "raftTerm": "3"}, NodeStatus("follower", 3)),
        ({"header": {"member_id": "7"}, "raftTerm": "4"}, NodeStatus("leaderless", 4)),
        ({"error": "etcdserver: not capable"}, None),
    ],
)
async def test_a_node_says_who_leads_it(said: dict[str, Any], status: NodeStatus | None) -> None:
    assert await ask_status("10.0.0.1", httpx.MockTransport(lambda request: httpx.Response(200, json=said))) == status


async def test_a_node_that_is_down_says_nothing() -> None:
    assert await ask_status(own_address()) is None
