"""How many events per second the bare simulator executes: nodes that only echo, so nearly all the time is the kernel's.

    python -m benchmarks.simulation

Prints the best of several runs on the processor's clock, which other load disturbs least. An event is one delivery,
flush, timer, disk completion, request or reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import process_time_ns
from typing import Any

from histrio.simulation.kernel import Simulation
from histrio.simulation.node import Address, Effects, Send
from histrio.simulation.profile import DEFAULT_PROFILE
from raft_trio.files import FileBatch, FileExecutor, Pwrite, Sync

__all__ = ["Echo", "main"]

_NODES = ("n1", "n2", "n3")
_PER_PAIR = 4
_RUNS = 5
_NS_PER_S = 1_000_000_000


class Echo:
    """Sends everything back, starts `_PER_PAIR` units to each peer, and writes a record every 10 ms."""

    def __init__(self, name: Address, incarnation: int) -> None:
        self._name, self._token = name, incarnation
        self._sends: list[Send] = []
        self._batches: list[FileBatch] = []
        self._wake_at = 0

    def start(self, now_ns: int, execute: FileExecutor) -> None:
        """See SimNode, as for the rest."""
        peers = [peer for peer in _NODES if peer != self._name]
        self._sends = [Send(peer, number, "ping", 64) for peer in peers for number in range(_PER_PAIR)]
        self._wake_at = now_ns + 1_000_000

    def deliver(self, now_ns: int, source: Address, payload: Any) -> None:
        self._sends.append(Send(source, payload, "ping", 64))

    def io_done(self, now_ns: int, token: int, error: OSError | None) -> None:
        pass

    def wake(self, now_ns: int) -> None:
        self._token += 1
        write = Pwrite("log", 0, bytes(64))
        self._batches.append(FileBatch(self._token, (write, Sync("log"))))
        self._wake_at = now_ns + 10_000_000

    def disconnected(self, now_ns: int, source: Address) -> None:
        pass

    def flush(self, now_ns: int) -> Effects:
        effects = Effects(sends=self._sends, batches=self._batches, wake_at_ns=self._wake_at)
        self._sends, self._batches = [], []
        return effects


def main() -> None:
    """Measure and print."""
    rates = sorted(_measure(seed) for seed in range(_RUNS))
    print(f"{rates[-1]:,} events/s (best of {_RUNS}; median {rates[_RUNS // 2]:,})")


def _measure(seed: int) -> int:
    simulation = Simulation(seed, DEFAULT_PROFILE, event_budget=10_000_000, on_trace=_ignore)
    for name in _NODES:
        simulation.add_node(name, Echo)
        simulation.start(name)
    simulation.run_until(_NS_PER_S // 10)
    events, began = simulation.events, process_time_ns()
    simulation.run_until(8 * _NS_PER_S)
    return (simulation.events - events) * _NS_PER_S // (process_time_ns() - began)


def _ignore(node: Address, incarnation: int, first: int, local_ns: int, events: Sequence[Any]) -> None:
    pass


if __name__ == "__main__":
    main()
