"""Mutual TLS between real sockets: who is of the cluster, and who is which node."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
import trio

from raft_trio import kv
from raft_trio.client import open_client
from raft_trio.errors import ConfigError, NoLeader, RaftError, RequestTimeout
from raft_trio.messages import OpenSession
from raft_trio.shell.host import serve
from raft_trio.shell.settings import Settings, load_settings
from raft_trio.shell.tls import TlsFiles, certificate_names, client_context
from raft_trio.wire import VERSION, Hello, encode
from tests.raft_trio.shell.certificates import Authority
from tests.raft_trio.shell.processes import free_addresses

NODES = ("n1", "n2", "n3")


def cluster(tmp_path: Path, tls: dict[str, TlsFiles]) -> dict[str, Settings]:
    members = dict(zip(NODES, free_addresses(3), strict=True))
    return {
        node: Settings(node_id=node, data_dir=tmp_path / node, members=members, tls=tls.get(node)) for node in NODES
    }


@asynccontextmanager
async def served(*nodes: Settings) -> AsyncIterator[None]:
    with trio.fail_after(15):
        async with trio.open_nursery() as nursery:
            for settings in nodes:
                await nursery.start(lambda task_status, settings=settings: serve(settings, task_status=task_status))
            yield
            nursery.cancel_scope.cancel()


async def test_three_nodes_and_a_client_prove_themselves_to_each_other(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    nodes = cluster(tmp_path, {node: authority.issue(node) for node in NODES})
    async with served(*nodes.values()), open_client(nodes["n1"].members, tls=authority.issue("somebody")) as client:
        await client.put("k", "v" * 100_000)
        assert await client.get("k") == kv.Found("v" * 100_000)


async def heard_from(address: tuple[str, int], context: ssl.SSLContext | None, said: bytes) -> bytes:
    """What a node says to a caller until it hangs up, which it must."""
    socket = await trio.open_tcp_stream(*address)
    stream: trio.abc.Stream = socket if context is None else trio.SSLStream(socket, context)
    answer = b""
    with trio.fail_after(5), suppress(trio.BrokenResourceError):
        await stream.send_all(said)
        while data := await stream.receive_some(1000):
            answer += data
    await trio.aclose_forcefully(stream)
    return answer


def without_certificate(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(files.authority)
    return context


async def test_a_caller_without_a_certificate_of_the_cluster_gets_nothing(tmp_path: Path) -> None:
    """No TLS; TLS without a certificate; one of another authority."""
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    node = cluster(tmp_path, {"n1": ours.issue("n1")})["n1"]
    stranger = msgspec.structs.replace(others.issue("n2"), authority=ours.issue("x").authority)
    said = encode(Hello(VERSION, "raft")) + encode(OpenSession("o"))
    async with served(node):
        address = node.listen_address()
        assert b"refused" not in await heard_from(address, None, said)
        assert await heard_from(address, without_certificate(ours.issue("y")), said) == b""
        assert await heard_from(address, client_context(stranger), said) == b""
        assert b"refused" in await first_answer(address, client_context(ours.issue("z")), said)


async def first_answer(address: tuple[str, int], context: ssl.SSLContext, said: bytes) -> bytes:
    stream = trio.SSLStream(await trio.open_tcp_stream(*address), context)
    await stream.send_all(said)
    answer = await stream.receive_some(1000)
    await trio.aclose_forcefully(stream)
    return bytes(answer)


@pytest.mark.parametrize("name", ["client", "n3"])
async def test_a_certificate_speaks_for_no_other_node_than_it_names(tmp_path: Path, name: str) -> None:
    """Mutant M13 with a certificate: a member must not vote twice under another's name."""
    authority = Authority(tmp_path / "pki")
    node = cluster(tmp_path, {"n1": authority.issue("n1")})["n1"]
    async with served(node):
        context = client_context(authority.issue(name))
        assert await heard_from(node.listen_address(), context, encode(Hello(VERSION, "raft", "n2"))) == b""


async def test_a_node_that_cannot_prove_its_name_is_sent_nothing(tmp_path: Path) -> None:
    """Somebody of the cluster listens at n2's and n3's addresses: n1 finds no quorum, and a client no n2."""
    authority = Authority(tmp_path / "pki")
    wrong = authority.issue("impostor")
    nodes = cluster(tmp_path, {"n1": authority.issue("n1"), "n2": wrong, "n3": wrong})
    async with served(*nodes.values()):
        for node in NODES:
            with pytest.raises((NoLeader, RequestTimeout)):  # on a busy machine the answer may come too late
                await open_and_close({node: nodes[node].members[node]}, authority.issue("client"))


async def test_a_client_without_tls_is_told_nothing_by_a_cluster_with_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    node = cluster(tmp_path, {"n1": authority.issue("n1")})["n1"]
    async with served(node):
        with pytest.raises(RaftError):
            await open_and_close({"n1": node.members["n1"]}, None)


async def open_and_close(members: dict[str, str], tls: TlsFiles | None) -> None:
    async with open_client(members, tls=tls, timeout_s=0.4):
        pass


def test_names_are_those_of_the_subject_and_its_alternatives() -> None:
    certificate = {
        "subject": ((("organizationName", "o"),), (("commonName", "n1"),)),
        "subjectAltName": (("DNS", "n2"), ("IP Address", "127.0.0.1")),
    }
    assert certificate_names(certificate) == {"n1", "n2"}
    assert certificate_names(None) == frozenset()


def test_files_that_are_no_certificates_are_named_before_the_node_starts(tmp_path: Path) -> None:
    file = tmp_path / "n1.toml"
    tls = '{ certificate = "c.pem", key = "c.key", authority = "ca.pem" }'
    file.write_text(f'node_id = "n1"\ndata_dir = "d"\nmembers = {{ n1 = "127.0.0.1:1" }}\ntls = {tls}\n')
    settings = load_settings(file)
    assert settings.tls is not None
    assert settings.tls.key == tmp_path / "c.key"
    with pytest.raises(ConfigError, match=r"c\.pem"):
        trio.run(serve, settings)
