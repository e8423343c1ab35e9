"""A closed-loop load on raft_trio, in one process that is as cheap as Python allows: plain sockets and one selector.

    python -m benchmarks.raft_load --members n1=127.0.0.1:7101,... --operation put --connections 16

Every connection has a session and keeps `--depth` requests under way. It prints one JSON object, the same that
`etcd_load/main.go` prints. It is no client for programs (that is `raft_trio.client`): it never retries, and a reply
that is no success counts as an error.
"""

from __future__ import annotations

import select
import socket
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from random import Random
from resource import RUSAGE_SELF, getrusage
from time import perf_counter_ns  # noqa: TID251  a benchmark measures the machine's time

import msgspec

from raft_trio import kv
from raft_trio.messages import ClientReply, ClientRequest, Done, OpenSession, Query, Refused, SessionOpened, Submit
from raft_trio.wire import CLIENT_REPLY, VERSION, Decoder, Hello, encode

__all__ = ["Load", "Measured", "main", "measure"]

_NS = 1_000_000_000
_VARIANTS = 64
"""Different requests prepared beforehand for each connection; they differ in their keys."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, how often, for how long."""

    members: dict[str, str]
    operation: str
    """put, get"""
    connections: int
    depth: int = 1
    seconds: float = 5.0
    warmup: float = 1.0
    keys: int = 1000
    bytes: int = 256
    limit: int = 0
    """End after so many operations, whatever the time; 0: no limit."""


class Measured(msgspec.Struct, frozen=True):
    """What one load came to."""

    operations: int
    errors: int
    seconds: float
    latency_us: dict[str, float]
    cpu_s: float


class _Connection:
    def __init__(self, load: Load, leader: str, number: int) -> None:
        self.number = number
        self.sock = _connect(load, leader)
        self.decoder = Decoder()
        self.sock.sendall(encode(Hello(VERSION, "raft")))
        opened = self.call(OpenSession(f"open{number}"))
        while not isinstance(opened, SessionOpened):
            select.select([], [], [], 0.05)
            opened = self.call(OpenSession(f"open{number}"))
        self.session = opened.session
        self.sequence = 0
        self.started: dict[str, int] = {}
        random = Random(f"{number}/keys")
        value = "v" * load.bytes
        self._names = [f"k{random.randrange(load.keys):06}" for _ in range(_VARIANTS)]
        self._commands = [kv.encode(kv.Put(name, value)) for name in self._names]
        self._queries = [kv.encode(kv.Get(name)) for name in self._names]
        self._is_put = load.operation == "put"

    def call(self, request: ClientRequest) -> ClientReply:
        """One request and its reply, waiting for it."""
        self.sock.sendall(encode(request))
        while (reply := self.decoder.next(CLIENT_REPLY)) is None:
            self.decoder.feed(_received(self.sock))
        return reply

    def next_request(self, now_ns: int) -> bytes:
        """The bytes of one more request, which counts as sent now."""
        self.sequence = sequence = self.sequence + 1
        operation = f"b{self.number}.{sequence}"
        self.started[operation] = now_ns
        variant = sequence % _VARIANTS
        if self._is_put:
            return encode(Submit(operation, self.session, sequence, self._commands[variant]))
        return encode(Query(operation, self._queries[variant]))


def measure(load: Load) -> Measured:
    """Runs the load against the leader."""
    leader = _find_leader(load)
    if load.operation == "get":
        _fill(load, leader)
    connections = [_Connection(load, leader, number) for number in range(load.connections)]
    try:
        return _Run(load, connections).go()
    finally:
        for connection in connections:
            connection.sock.close()


class _Run:
    def __init__(self, load: Load, connections: list[_Connection]) -> None:
        self._load = load
        self._by_fd = {connection.sock.fileno(): connection for connection in connections}
        self._latencies: list[int] = []
        self._errors = 0

    def go(self) -> Measured:
        load = self._load
        poller = select.epoll()
        started = perf_counter_ns()
        begin = started + int(load.warmup * _NS)
        end = begin + int(load.seconds * _NS)
        for fd, connection in self._by_fd.items():
            poller.register(fd, select.EPOLLIN)
            connection.sock.sendall(b"".join(connection.next_request(started) for _ in range(load.depth)))
        cpu = None
        now = started
        while now < end and not (load.limit and len(self._latencies) >= load.limit):
            if cpu is None and now >= begin:
                cpu = _cpu_seconds()
            for fd, _ in poller.poll(1.0, 256):
                self._serve(self._by_fd[fd], begin)
            now = perf_counter_ns()
        poller.close()
        return self._measured((now - begin) / _NS, _cpu_seconds() - (cpu or 0.0))

    def _serve(self, connection: _Connection, begin: int) -> None:
        data = _received(connection.sock)
        now = perf_counter_ns()
        connection.decoder.feed(data)
        replies = connection.decoder.all(CLIENT_REPLY)
        for reply in replies:
            sent = connection.started.pop(reply.operation)
            if now >= begin:
                if isinstance(reply, Done):
                    self._latencies.append(now - sent)
                else:
                    self._errors += 1
        if replies:
            connection.sock.sendall(b"".join([connection.next_request(now) for _ in replies]))

    def _measured(self, seconds: float, cpu_s: float) -> Measured:
        ranked = sorted(self._latencies)

        def at(quantile: float) -> float:
            return ranked[int(quantile * (len(ranked) - 1))] / 1000 if ranked else 0.0

        return Measured(len(ranked), self._errors, seconds, {"p50": at(0.5), "p99": at(0.99)}, cpu_s)


def _find_leader(load: Load) -> str:
    """The address of the leader: a request that cannot be carried out is refused with its name."""
    for address in _repeated(list(load.members.values()), attempts=200):
        try:
            sock = _connect(load, address)
        except OSError:
            select.select([], [], [], 0.05)
            continue
        with sock:
            sock.sendall(encode(Hello(VERSION, "raft")) + encode(Submit("leader?", 0, 0, b"")))
            decoder = Decoder()
            while (reply := decoder.next(CLIENT_REPLY)) is None:
                decoder.feed(_received(sock))
        if isinstance(reply, Refused) and reply.leader is not None:
            return load.members[reply.leader]
        select.select([], [], [], 0.05)
    raise SystemExit("no leader")


def _repeated(addresses: list[str], *, attempts: int) -> Iterator[str]:
    for attempt in range(attempts):
        yield addresses[attempt % len(addresses)]


def _fill(load: Load, leader: str) -> None:
    """Every key once."""
    connection = _Connection(load, leader, 1_000_000)
    value = "v" * load.bytes
    for number in range(load.keys):
        submit = Submit(f"fill{number}", connection.session, number + 1, kv.encode(kv.Put(f"k{number:06}", value)))
        while not isinstance(connection.call(submit), Done):  # repeated under the same number it is carried out once
            select.select([], [], [], 0.05)
    connection.sock.close()


def _connect(load: Load, address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    sock = socket.create_connection((host, int(port)), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _received(sock: socket.socket) -> bytes:
    data = sock.recv(1 << 18)
    if not data:
        raise SystemExit("the node hung up")
    return data


def _cpu_seconds() -> float:
    usage = getrusage(RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measures and prints."""
    parsed = _parsed()
    members = dict(member.split("=", 1) for member in parsed.members.split(","))
    load = Load(
        members=members,
        operation=parsed.operation,
        connections=parsed.connections,
        depth=parsed.depth,
        seconds=parsed.seconds,
        warmup=parsed.warmup,
        limit=parsed.limit,
    )
    print(msgspec.json.encode(measure(load)).decode())


def _parsed() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.raft_load")
    parser.add_argument("--members", required=True, metavar="NAME=HOST:PORT,...")
    parser.add_argument("--operation", choices=("put", "get"), default="put")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warmup", type=float, default=1.0)
    parser.add_argument("--limit", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
