"""A node's numbers for Prometheus: the text, and the small HTTP that carries it.

Counting happens where things happen; here they are put into words. The server answers `GET /metrics` and nothing else,
to a few callers at a time, each of which has five seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import trio

from raft_trio.messages import StatusReport
from raft_trio.shell.histogram import Histogram
from raft_trio.types import NodeId, Role

__all__ = ["Numbers", "render", "serve_metrics"]

_CALLERS_MAX = 8
_CALL_S = 5.0
_REQUEST_BYTES_MAX = 8192


@dataclass(frozen=True, slots=True)
class Numbers:
    """One node at one moment."""

    status: StatusReport
    connected: Mapping[NodeId, bool]
    """By peer: whether this node can send to it."""
    syncs: Histogram
    syncs_in_thread: int
    requests: Mapping[str, int]
    """Taken from clients so far, by kind."""
    elections: int
    """In which this node stood, with a term of its own; asking before (pre-vote) does not count."""
    terms_led: int
    read_rounds: int
    held_up: int
    """Times the process did not run when it should have."""
    clients: int
    connections_refused: int


def render(numbers: Numbers) -> str:
    """Prometheus text format 0.0.4."""
    return "\n".join((*_state(numbers), *_counters(numbers), *_histogram("raft_sync_seconds", numbers.syncs))) + "\n"


def _state(numbers: Numbers) -> Iterator[str]:
    status = numbers.status
    yield from _metric("raft_term", "gauge", "current term", {"": status.term})
    roles = {f'{{role="{role}"}}': int(role is status.role) for role in Role}
    yield from _metric("raft_role", "gauge", "1 for the role this node has", roles)
    yield from _metric("raft_last_index", "gauge", "last entry of the log", {"": status.last_index})
    yield from _metric("raft_snapshot_index", "gauge", "last entry in a snapshot", {"": status.snapshot_index})
    yield from _metric("raft_commit_index", "gauge", "last entry known to be committed", {"": status.commit_index})
    yield from _metric("raft_applied_index", "gauge", "last entry applied", {"": status.applied_index})
    lags = {f'{{peer="{peer.node}"}}': status.last_index - peer.match_index for peer in status.peers}
    yield from _metric("raft_peer_lag", "gauge", "entries a follower is not known to have; of a leader", lags)
    connected = {f'{{peer="{peer}"}}': int(value) for peer, value in sorted(numbers.connected.items())}
    yield from _metric("raft_peer_connected", "gauge", "1 where this node can send to the peer", connected)
    yield from _metric("raft_clients", "gauge", "clients connected", {"": numbers.clients})


def _counters(numbers: Numbers) -> Iterator[str]:
    kinds = {f'{{kind="{kind}"}}': count for kind, count in sorted(numbers.requests.items())}
    yield from _metric("raft_requests_total", "counter", "requests taken from clients", kinds)
    yield from _metric("raft_read_rounds_total", "counter", "rounds of heartbeats for reads", {"": numbers.read_rounds})
    yield from _metric("raft_elections_total", "counter", "elections this node stood in", {"": numbers.elections})
    yield from _metric("raft_terms_led_total", "counter", "elections won", {"": numbers.terms_led})
    refused = {"": numbers.connections_refused}
    yield from _metric("raft_connections_refused_total", "counter", "connections hung up on", refused)
    yield from _metric("raft_held_up_total", "counter", "times the process ran late", {"": numbers.held_up})
    yield from _metric("raft_syncs_in_thread_total", "counter", "slow syncs", {"": numbers.syncs_in_thread})


def _metric(name: str, kind: str, text: str, values: Mapping[str, int]) -> Iterator[str]:
    """`values` by label set, `{name="value"}` or empty."""
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in values.items():
        yield f"{name}{labels} {value}"


def _histogram(name: str, histogram: Histogram) -> Iterator[str]:
    yield f"# HELP {name} duration of writes to the log with their sync"
    yield f"# TYPE {name} histogram"
    for bound, count in histogram.cumulative():
        yield f'{name}_bucket{{le="{bound}"}} {count}'
    yield f"{name}_sum {histogram.sum}"
    yield f"{name}_count {histogram.count}"


async def serve_metrics(listeners: list[trio.SocketListener], numbers: Callable[[], Numbers]) -> None:
    """Until cancelled."""
    room = trio.CapacityLimiter(_CALLERS_MAX)

    async def call(stream: trio.SocketStream) -> None:
        async with stream:
            with trio.move_on_after(_CALL_S):
                try:
                    async with room:
                        await stream.send_all(_response(await _request(stream), numbers))
                except trio.BrokenResourceError:
                    pass

    await trio.serve_listeners(call, listeners)


async def _request(stream: trio.SocketStream) -> bytes:
    """What was said up to the empty line, or up to the limit."""
    said = b""
    while b"\r\n\r\n" not in said and len(said) < _REQUEST_BYTES_MAX:
        data = await stream.receive_some(_REQUEST_BYTES_MAX)
        if not data:
            break
        said += data
    return said


def _response(request: bytes, numbers: Callable[[], Numbers]) -> bytes:
    if request.startswith((b"GET /metrics ", b"GET / ")):
        line, kind, body = "200 OK", "text/plain; version=0.0.4; charset=utf-8", render(numbers()).encode()
    else:
        line, kind, body = "404 Not Found", "text/plain; charset=utf-8", b"GET /metrics\n"
    head = f"HTTP/1.1 {line}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
