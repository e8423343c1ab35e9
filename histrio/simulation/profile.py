"""How fast and how faulty the simulated world is when nobody breaks it. Numbers only; mechanisms are elsewhere.

Times are integer nanoseconds. Probabilities are per unit. Everything is a record that msgspec writes as JSON, so that a
run can say in which world it took place.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from histrio.simulation.errors import BadProfile

__all__ = [
    "DEFAULT_PROFILE",
    "ClientProfile",
    "DiskProfile",
    "LinkKind",
    "LinkProfile",
    "ProcessProfile",
    "Profile",
]

LinkKind = Literal["datagram", "stream"]

MICROSECOND = 1_000
MILLISECOND = 1_000_000


# The checks come first: `Profile` makes its default parts while this module is read.


def _check_range(name: str, low: int, high: int) -> None:
    if not 0 <= low <= high:
        raise BadProfile(f"{name}: from {low} ns to {high} ns is no range; give 0 <= min <= max")


def _check_shares(name: str, *shares: float) -> None:
    if min(shares) < 0 or sum(shares) > 1:
        raise BadProfile(f"{name}: probabilities {shares} must not be negative nor add up to more than 1")


class LinkProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Links between nodes, all alike.

    A *datagram* link loses, duplicates and reorders. A *stream* link is first in, first out, to one incarnation of
    the receiver: loss costs a retransmission, a block stalls it, a stall of more than `stream_window` units breaks it.
    """

    kind: LinkKind = "datagram"
    latency_min_ns: int = 200 * MICROSECOND
    latency_max_ns: int = 1_200 * MICROSECOND
    quantum_ns: int = 0
    """Arrival times are rounded up to a multiple of this, which makes ties; 0: not rounded."""
    loss: float = 0.005
    duplication: float = 0.005
    """Probability that a second copy arrives, somewhat later."""
    reordering: float = 0.01
    """Probability that a unit is held back, so that later ones may overtake it. All others keep their order."""
    holdback_max_ns: int = 5 * MILLISECOND
    """How much later a second copy or a unit held back arrives, at most."""
    bytes_per_second: int = 125_000_000
    """Bandwidth of each link for units that tell their size; 0: unlimited. Default: 1 Gbit/s."""
    retransmission_ns: int = 200 * MILLISECOND
    """Stream: what a lost unit costs, and what it takes to go on after a block. Default: Linux's minimal timeout."""
    stream_window: int = 256
    """Stream: units in flight or stalled, after which the connection breaks and loses what is stalled."""

    def __post_init__(self) -> None:
        _check_range("links.latency", self.latency_min_ns, self.latency_max_ns)
        _check_shares("links", self.loss, self.duplication, self.reordering)
        if min(self.quantum_ns, self.holdback_max_ns, self.bytes_per_second, self.retransmission_ns) < 0:
            raise BadProfile("links: a duration, quantum or bandwidth is negative; use 0 for none")
        if self.stream_window < 1:
            raise BadProfile(f"links.stream_window is {self.stream_window}; a connection holds at least 1 unit")


class DiskProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Disks, all alike. One batch of operations at a time."""

    sync_min_ns: int = 200 * MICROSECOND
    sync_max_ns: int = 1_500 * MICROSECOND
    stall_probability: float = 0.001
    """Share of the syncs that take as long as a stall."""
    stall_min_ns: int = 20 * MILLISECOND
    stall_max_ns: int = 60 * MILLISECOND
    operation_ns: int = 10 * MICROSECOND
    """Any operation but a sync: a system call into the page cache."""
    bytes_per_second: int = 1_000_000_000
    """Writing into the page cache; 0: unlimited."""

    def __post_init__(self) -> None:
        _check_range("disk.sync", self.sync_min_ns, self.sync_max_ns)
        _check_range("disk.stall", self.stall_min_ns, self.stall_max_ns)
        _check_shares("disk", self.stall_probability)
        if min(self.operation_ns, self.bytes_per_second) < 0:
            raise BadProfile("disk: operation_ns or bytes_per_second is negative; use 0 for none")


class ProcessProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Processors: what a flush costs, so that inputs queue and batches form while a node is busy."""

    flush_ns: int = 30 * MICROSECOND
    input_ns: int = 10 * MICROSECOND
    restart_min_ns: int = 20 * MILLISECOND
    """From the order to start to the first flush."""
    restart_max_ns: int = 80 * MILLISECOND

    def __post_init__(self) -> None:
        _check_range("processes.restart", self.restart_min_ns, self.restart_max_ns)
        if min(self.flush_ns, self.input_ns) < 0:
            raise BadProfile("processes: a service time is negative; use 0 for none")


class ClientProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Connections between clients and nodes."""

    latency_min_ns: int = 100 * MICROSECOND
    latency_max_ns: int = 500 * MICROSECOND

    def __post_init__(self) -> None:
        _check_range("clients.latency", self.latency_min_ns, self.latency_max_ns)


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole world."""

    links: LinkProfile = LinkProfile()
    disk: DiskProfile = DiskProfile()
    processes: ProcessProfile = ProcessProfile()
    clients: ClientProfile = ClientProfile()


DEFAULT_PROFILE = Profile()
"""A local network with a little trouble, and a disk with a write cache that stalls now and then."""
