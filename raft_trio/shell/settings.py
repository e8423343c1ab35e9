"""The file that tells a node who it is: a few lines of TOML.

    node_id = "n1"
    data_dir = "data/n1"
    members = { n1 = "127.0.0.1:7101", n2 = "127.0.0.1:7102", n3 = "127.0.0.1:7103" }

Optional: `cluster` (a name that members and clients must agree on), `listen` (default: this node's address in
`members`), `joins = true` (for a node that the others do not have in their files), `metrics` (an address for
Prometheus), `trace` (a file for the trace as JSON lines), `tls = { certificate = "n1.pem", key = "n1.key", authority =
"ca.pem" }` (all members and clients, or none), `election_timeout_ms = [150, 300]`, `heartbeat_interval_ms`, the
defences `pre_vote`, `check_quorum`, `stickiness`, `noop_on_election` (default: all true), `snapshot_threshold`,
`trailing_logs`, `snapshot_chunk_bytes`, `wal_segment_bytes`, `lease_reads`, `max_clock_drift_ppm`, and limits on
callers: `connections_max`, `handshake_timeout_ms`, `frame_timeout_ms`, `peer_timeout_ms`, `stop_timeout_ms`. Relative
paths start at the folder of the file.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from raft_trio.config import RaftNodeConfig
from raft_trio.errors import ConfigError
from raft_trio.shell.tls import TlsFiles
from raft_trio.types import NodeId

__all__ = ["Address", "Settings", "load_settings", "parse_address"]

Address = tuple[str, int]
_MS = 1_000_000


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `raft_trio.shell.serve` needs to know."""

    node_id: NodeId
    data_dir: Path
    members: dict[NodeId, str]
    """All members with their addresses, `host:port`."""
    joins: bool = False
    """It is no member yet: it waits until one of the members is told to add it. Still in its own `members`."""
    listen: str | None = None
    cluster: str = "raft"
    metrics: str | None = None
    """Where Prometheus may ask."""
    trace: Path | None = None
    tls: TlsFiles | None = None
    election_timeout_ms: tuple[int, int] = (150, 300)
    heartbeat_interval_ms: int = 50
    snapshot_threshold: int = 10_000
    """Entries after which a node takes a snapshot of its state."""
    trailing_logs: int = 5_000
    """Entries kept below a snapshot, for followers that are a little behind."""
    snapshot_chunk_bytes: int = 64 * 1024
    """A snapshot travels in chunks of this size."""
    wal_segment_bytes: int = 16 << 20
    """Size of a file of the write-ahead log."""
    lease_reads: bool = False
    """Leaders answer reads without asking; trusts clocks, see `RaftNodeConfig`."""
    max_clock_drift_ppm: int = 10_000
    pre_vote: bool = True
    check_quorum: bool = True
    stickiness: bool = True
    noop_on_election: bool = True
    connections_max: int = 2_000
    """Connections from peers and clients; more are turned away."""
    handshake_timeout_ms: int = 5_000
    """Within which a caller must have said who it is."""
    frame_timeout_ms: int = 10_000
    """Within which a frame that has begun must be complete, and replies be taken."""
    peer_timeout_ms: int = 2_000
    """After which a connection to a peer that acknowledges nothing is opened anew."""
    stop_timeout_ms: int = 1_000
    """How long a node that was told to stop waits for requests under way."""

    def raft_config(self) -> RaftNodeConfig:
        """The core's settings. Raises ConfigError for impossible ones."""
        return RaftNodeConfig(
            node_id=self.node_id,
            cluster_members=() if self.joins else tuple(sorted(self.members)),
            election_timeout_min_ns=self.election_timeout_ms[0] * _MS,
            election_timeout_max_ns=self.election_timeout_ms[1] * _MS,
            heartbeat_interval_ns=self.heartbeat_interval_ms * _MS,
            snapshot_threshold=self.snapshot_threshold,
            trailing_logs=self.trailing_logs,
            snapshot_chunk_size=self.snapshot_chunk_bytes,
            wal_segment_bytes=self.wal_segment_bytes,
            lease_reads=self.lease_reads,
            max_clock_drift_ppm=self.max_clock_drift_ppm,
            pre_vote=self.pre_vote,
            check_quorum=self.check_quorum,
            stickiness=self.stickiness,
            noop_on_election=self.noop_on_election,
            detailed_trace=self.trace is not None,
        )

    def listen_address(self) -> Address:
        """Where this node takes connections, from nodes and clients alike. Raises ConfigError."""
        if self.node_id not in self.members:
            raise ConfigError(f"node_id {self.node_id!r} is not in members", fix="give its address there, too")
        return parse_address(self.listen or self.members[self.node_id])

    def peers(self) -> dict[NodeId, Address]:
        """The other members."""
        return {node: parse_address(text) for node, text in sorted(self.members.items()) if node != self.node_id}


def load_settings(path: Path) -> Settings:
    """Reads and checks a file. Raises ConfigError, which names the file."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        settings = msgspec.convert(table, Settings, dec_hook=_to_path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", fix="name a readable file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        fix = f"known keys are {', '.join(Settings.__struct_fields__)}"
        raise ConfigError(f"{path}: {error}", why="not the settings of a node", fix=fix) from error
    settings.raft_config()
    settings.listen_address()
    settings.peers()
    if settings.metrics is not None:
        parse_address(settings.metrics)
    _check_positive(settings, path)
    return _below(path.parent, settings)


def _check_positive(settings: Settings, path: Path) -> None:
    limits = ("connections_max", "handshake_timeout_ms", "frame_timeout_ms", "peer_timeout_ms")
    for name in limits:
        if getattr(settings, name) <= 0:
            raise ConfigError(f"{path}: {name} is not positive", fix="leave it out for the default")


def _below(base: Path, settings: Settings) -> Settings:
    """The same with its paths starting at `base`."""
    trace = None if settings.trace is None else base / settings.trace
    tls = settings.tls
    if tls is not None:
        tls = TlsFiles(certificate=base / tls.certificate, key=base / tls.key, authority=base / tls.authority)
    return msgspec.structs.replace(settings, data_dir=base / settings.data_dir, trace=trace, tls=tls)


def _to_path(kind: type, value: object) -> Path:
    if kind is not Path or not isinstance(value, str):
        raise ValueError(f"{value!r} is no path")
    return Path(value)


def parse_address(text: str) -> Address:
    """`host:port`, `[v6]:port`. Raises ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(
            f"{text!r} is no address", why="an address is host:port", fix='write such as "127.0.0.1:7101"'
        )
    return host.strip("[]"), int(port)
