"""Real nodes as processes on loopback. Whatever was started is ended, by its own id, when the block is left."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["Processes", "free_addresses", "processes"]

ROOT = Path(__file__).resolve().parents[3]


def free_addresses(count: int) -> list[str]:
    """Addresses nobody listens at: bound all at once, so that they differ, then released."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{sock.getsockname()[1]}" for sock in sockets]


class Processes:
    """Three nodes and their settings files."""

    def __init__(self, folder: Path, *, trace: bool, tls: bool) -> None:
        """`tls`: certificates and keys of the nodes and ca.pem are in the folder."""
        self.members = dict(zip(("n1", "n2", "n3"), free_addresses(3), strict=True))
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        table = ", ".join(f'{node} = "{address}"' for node, address in self.members.items())
        for node in self.members:
            lines = [f'node_id = "{node}"', f'data_dir = "{node}"', f"members = {{ {table} }}"]
            if trace:
                lines.append(f'trace = "{node}.jsonl"')
            if tls:
                lines.append(f'tls = {{ certificate = "{node}.pem", key = "{node}.key", authority = "ca.pem" }}')
            (folder / f"{node}.toml").write_text("\n".join(lines))

    def start(self, *nodes: str) -> None:
        """The nodes named; all without names."""
        for node in nodes or tuple(self.members):
            command = [sys.executable, "-m", "raft_trio", "serve", "--config", str(self.folder / f"{node}.toml")]
            with (self.folder / f"{node}.log").open("ab") as log:
                self._running[node] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self, *nodes: str) -> None:
        """SIGKILL to the nodes named, or to all, as if the machine had stopped running them."""
        ended = [self._running.pop(node) for node in nodes or tuple(self._running)]
        for process in ended:
            process.kill()
        for process in ended:
            process.wait(timeout=5)

    def terminate(self, node: str) -> None:
        """SIGTERM; `wait` waits for the end."""
        self._running[node].terminate()

    def wait(self, node: str) -> int:
        """The exit code."""
        return self._running.pop(node).wait(timeout=10)

    def pid(self, node: str) -> int:
        return self._running[node].pid

    def stop(self) -> list[int]:
        """SIGTERM to all; their exit codes."""
        for process in self._running.values():
            process.terminate()
        codes = [process.wait(timeout=5) for process in self._running.values()]
        self._running.clear()
        return codes


@contextmanager
def processes(folder: Path, *, trace: bool = True, tls: bool = False) -> Iterator[Processes]:
    """Started, and gone at the end."""
    cluster = Processes(folder, trace=trace, tls=tls)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()
