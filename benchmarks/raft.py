"""How fast three real nodes are, on loopback with every write synced, and what others do on the same processors.

    python -m benchmarks.raft [--etcd] [--pysyncobj] [--rounds 5] [--seconds 4] [--folder ON_A_REAL_DISK]

Values have 256 bytes, keys are 1,000. Nodes and load share the machine. The rows are closed loops of 1, 16 and 64
clients, each with a connection of its own, and 4 connections with 64 requests under way on each. The systems take turns
and never run at the same time; every figure is the median of the rounds. `--etcd` needs Debian's etcd-server,
golang-go and golang-etcd-server-dev, and says *invalid* where its load reaches less than 2,500 puts a second at 16
clients: then the machine is busy or the load broken. `--pysyncobj` needs PySyncObj 0.3.17, which never syncs.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, mkdtemp
from time import monotonic, sleep  # noqa: TID251  a benchmark waits for real processes
from typing import NamedTuple

import msgspec

from benchmarks.raft_load import Measured

__all__ = ["Cell", "Figure", "main"]

ROOT = Path(__file__).resolve().parent.parent
ETCD_PUTS_MIN = 2_500
"""At 16 clients; an idle machine of two processors gives 2,700 and more."""


class Cell(NamedTuple):
    """One row of the table."""

    operation: str
    connections: int
    depth: int

    def __str__(self) -> str:
        clients = f"{self.connections} x {self.depth}" if self.depth > 1 else str(self.connections)
        return f"{self.operation} {clients}"


CELLS = tuple(Cell(operation, *size) for operation in ("put", "get") for size in ((1, 1), (16, 1), (64, 1), (4, 64)))


class Figure(NamedTuple):
    """A run of one cell."""

    measured: Measured
    nodes_cpu_s: float

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.measured.operations / self.measured.seconds


Load = Callable[[Cell], Measured | None]
"""Runs a cell; None: this system has no such thing."""


# ── the systems ──────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def raft_trio(folder: Path, options: Namespace) -> Iterator[tuple[list[int], Load]]:
    """Three nodes with settings of three lines."""
    members = dict(zip(("n1", "n2", "n3"), _free_addresses(3), strict=True))
    table = ", ".join(f'{node} = "{address}"' for node, address in members.items())
    trace = 'trace = "{0}.jsonl"\n' if options.trace else ""
    commands = []
    for node in members:
        settings = folder / f"{node}.toml"
        lines = f'node_id = "{node}"\ndata_dir = "{node}"\nmembers = {{ {table} }}\n{trace.format(node)}'
        settings.write_text(lines)
        commands.append([sys.executable, "-m", "raft_trio", "serve", "--config", str(settings)])
    with _running(commands, folder) as pids:

        def load(cell: Cell) -> Measured:
            command = [sys.executable, "-m", "benchmarks.raft_load", "--members"]
            command += [",".join(f"{node}={address}" for node, address in members.items())]
            command += ["--depth", str(cell.depth)]
            return _measured(command, cell, options)

        yield pids, load


@contextmanager
def etcd(folder: Path, options: Namespace) -> Iterator[tuple[list[int], Load]]:
    """Three members with etcd's defaults."""
    clients, peers = _free_addresses(3), _free_addresses(3)
    cluster = ",".join(f"m{k}=http://{peer}" for k, peer in enumerate(peers))
    commands = []
    for k, (client, peer) in enumerate(zip(clients, peers, strict=True)):
        command = ["etcd", "--name", f"m{k}", "--data-dir", str(folder / f"m{k}"), "--initial-cluster", cluster]
        command += ["--listen-client-urls", f"http://{client}", "--advertise-client-urls", f"http://{client}"]
        command += ["--listen-peer-urls", f"http://{peer}", "--initial-advertise-peer-urls", f"http://{peer}"]
        commands.append(command)
    with _running(commands, folder) as pids:
        sleep(3)  # elections with etcd's defaults take 1 to 2 s

        def load(cell: Cell) -> Measured | None:
            if cell.depth > 1:
                return None
            command = [str(options.etcd_load), "-endpoints", ",".join(clients)]
            return _measured(command, cell, options)

        yield pids, load


@contextmanager
def pysyncobj(folder: Path, options: Namespace) -> Iterator[tuple[list[int], Load]]:
    """Three processes of which one carries the callers; that is all the interface PySyncObj has."""
    addresses = _free_addresses(3)
    script = [sys.executable, "-m", "benchmarks.pysyncobj_load"]
    followers = [[*script, "--self", own, *_others(own, addresses)] for own in addresses[1:]]
    with _running(followers, folder) as pids:

        def load(cell: Cell) -> Measured | None:
            if cell.operation != "put":
                return None
            command = [*script, "--self", addresses[0], *_others(addresses[0], addresses), "--depth", str(cell.depth)]
            return _measured(command, cell, options)

        yield pids, load


SYSTEMS = {"raft_trio": raft_trio, "etcd": etcd, "pysyncobj": pysyncobj}


def _others(own: str, addresses: list[str]) -> list[str]:
    return [part for address in addresses if address != own for part in ("--other", address)]


def _measured(command: list[str], cell: Cell, options: Namespace) -> Measured:
    dashes = "-" if command[0] == str(options.etcd_load) else "--"
    names = {"operation": cell.operation, "seconds": options.seconds, "warmup": options.warmup}
    names["clients" if dashes == "-" else "connections"] = cell.connections
    for name, value in names.items():
        command += [dashes + name, str(value)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=60 + 2 * options.seconds)
    return msgspec.json.decode(done.stdout, type=Measured)


@contextmanager
def _running(commands: list[list[str]], folder: Path) -> Iterator[list[int]]:
    """The processes, ended by their ids."""
    with ExitStack() as stack:
        processes = []
        for number, command in enumerate(commands):
            log = stack.enter_context((folder / f"{number}.log").open("wb"))
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            processes.append(process)
        yield [process.pid for process in processes]


def _free_addresses(count: int) -> list[str]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{sock.getsockname()[1]}" for sock in sockets]


def _cpu_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


# ── rounds and tables ────────────────────────────────────────────────────────────────────────────────────────────────


def _round(name: str, cells: list[Cell], options: Namespace) -> dict[Cell, Figure]:
    figures: dict[Cell, Figure] = {}
    with TemporaryDirectory(dir=options.folder) as folder, SYSTEMS[name](Path(folder), options) as (pids, load):
        for cell in cells:
            before, began = _cpu_seconds(pids), monotonic()
            measured = load(cell)
            if measured is not None:
                share = measured.seconds / (monotonic() - began)
                figures[cell] = Figure(measured, (_cpu_seconds(pids) - before) * share)
                _print_line(name, cell, [figures[cell]])
    return figures


def _print_line(name: str, cell: Cell, figures: list[Figure]) -> None:
    def middle(of: Callable[[Figure], float]) -> float:
        return median(of(figure) for figure in figures)

    operations = middle(lambda figure: max(figure.measured.operations, 1))
    print(
        f"{name:10} {cell!s:12} {middle(lambda f: f.rate):>9,.0f} /s"
        f"  p50 {middle(lambda f: f.measured.latency_us['p50']) / 1000:7.2f} ms"
        f"  p99 {middle(lambda f: f.measured.latency_us['p99']) / 1000:7.2f} ms"
        f"  cpu {1e6 * middle(lambda f: f.nodes_cpu_s) / operations:6.0f} us nodes"
        f" {1e6 * middle(lambda f: f.measured.cpu_s) / operations:5.0f} us load"
        f"  errors {sum(figure.measured.errors for figure in figures)}",
        flush=True,
    )


def _compare(results: dict[str, dict[Cell, list[Figure]]]) -> None:
    """Ours against etcd's, row by row; the pipelined row against etcd's 64 clients."""
    theirs = results["etcd"]
    valid = Cell("put", 16, 1) in theirs and median(f.rate for f in theirs[Cell("put", 16, 1)]) >= ETCD_PUTS_MIN
    print("comparison with etcd" + ("" if valid else f": invalid, below {ETCD_PUTS_MIN} puts/s at 16 clients"))
    for cell, figures in results["raft_trio"].items():
        other = theirs.get(cell if cell.depth == 1 else Cell(cell.operation, 64, 1))
        if other:
            rate = median(f.rate for f in figures) / median(f.rate for f in other)
            p99 = median(f.measured.latency_us["p99"] for f in figures) / median(
                f.measured.latency_us["p99"] for f in other
            )
            note = "" if cell.depth == 1 else "  (etcd: 64 clients)"
            print(f"{cell!s:12} rate {rate:5.2f} x  p99 {p99:5.2f} x{note}")


def main() -> None:
    """Measure and print."""
    options = _options()
    cells = [cell for cell in CELLS if not options.only or str(cell) in options.only]
    names = ["raft_trio", *(name for name in ("etcd", "pysyncobj") if getattr(options, name))]
    results: dict[str, dict[Cell, list[Figure]]] = {name: {} for name in names}
    print(f"load of the machine before: {os.getloadavg()}, {os.cpu_count()} processors")
    for _ in range(options.rounds):
        for name in names:
            for cell, figure in _round(name, cells, options).items():
                results[name].setdefault(cell, []).append(figure)
    print(f"median of {options.rounds}; load of the machine after: {os.getloadavg()}")
    for name in names:
        for cell, figures in results[name].items():
            _print_line(name, cell, figures)
    if options.etcd:
        _compare(results)


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.raft")
    parser.add_argument("--etcd", action="store_true", help="compare with Debian's etcd-server")
    parser.add_argument("--pysyncobj", action="store_true", help="compare with PySyncObj 0.3.17")
    parser.add_argument("--trace", action="store_true", help="have the nodes write their traces")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warmup", type=float, default=1.0)
    parser.add_argument("--only", action="append", metavar="CELL", help='such as "put 16" or "put 4 x 64"')
    parser.add_argument("--folder", type=Path, default=None, help="on a real disk; default: the system's")
    parser.add_argument("--etcd-load", type=Path, default=None, help="a built etcd_load; default: build it")
    options = parser.parse_args()
    if options.etcd and options.etcd_load is None:
        options.etcd_load = _build_etcd_load()
    return options


def _build_etcd_load() -> Path:
    if shutil.which("go") is None:
        raise SystemExit("--etcd needs go: install golang-go, golang-etcd-server-dev and etcd-server")
    built = Path(mkdtemp(prefix="etcd_load")) / "etcd_load"
    environment = os.environ | {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
    environment.setdefault("GOCACHE", str(built.parent / "cache"))
    source = ROOT / "benchmarks" / "etcd_load" / "main.go"
    subprocess.run(["go", "build", "-o", str(built), str(source)], env=environment, check=True)
    return built


if __name__ == "__main__":
    main()
