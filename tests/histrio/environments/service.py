"""A node with nothing to hide: says over TCP what its clocks, disk, network and limits are like. For the cells.

One line in, one line out, on port 7000; datagrams on port 7001 come back. Run with its data directory as argument.
"""

from __future__ import annotations

import os
import socket
import socketserver
import sys
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

PORT, ECHO_PORT = 7000, 7001
DATA = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
KEPT: list[object] = []


def ping() -> str:
    return "pong"


def clocks() -> str:
    """Wall and monotonic nanoseconds, and the kernel's own uptime, which nothing in a process can shift."""
    uptime = Path("/proc/uptime").read_text(encoding="ascii").split()[0]
    return f"{time.time_ns()} {time.monotonic_ns()} {int(float(uptime) * 1e9)}"  # noqa: TID251


def doze(seconds: str) -> str:
    """How long a wait is on the node's clock, and on the kernel's."""
    before = clocks().split()
    threading.Event().wait(float(seconds))
    after = clocks().split()
    return f"{int(after[1]) - int(before[1])} {int(after[2]) - int(before[2])}"


def write(name: str, size: str, offset: str, synced: str) -> str:
    """Milliseconds by the kernel's clock that a write took, synced or not."""
    began = int(clocks().split()[2])
    descriptor = os.open(DATA / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        os.pwrite(descriptor, name[:1].encode() * int(size), int(offset))
        if synced == "synced":
            os.fsync(descriptor)
            directory = os.open(DATA, os.O_RDONLY)
            os.fsync(directory)
            os.close(directory)
    finally:
        os.close(descriptor)
    return str((int(clocks().split()[2]) - began) // 1_000_000)


def stake(name: str) -> str:
    """A synced write, on which the node stakes its life: evidence where nothing in it counts what was refused."""
    try:
        return write(name, "100000", "300000", "synced")
    except OSError:
        os._exit(70)


def rename(source: str, target: str) -> str:
    (DATA / source).replace(DATA / target)
    return "renamed"


def read(name: str) -> str:
    """Its size and a checksum."""
    data = (DATA / name).read_bytes()
    return f"{len(data)} {zlib.crc32(data)}"


def burn(rounds: str) -> str:
    """Nanoseconds that some work took."""
    began = int(clocks().split()[1])
    total = 0
    for number in range(int(rounds)):
        total += number
    return str(int(clocks().split()[1]) - began)


def files(number: str) -> str:
    """Open so many files at once."""
    with ExitStack() as opened:
        for _ in range(int(number)):
            opened.enter_context(Path("/dev/null").open("rb"))
    return number


def hoard(size: str) -> str:
    KEPT.append(bytearray(os.urandom(64)) * (int(size) // 64))  # noqa: TID251
    return "hoarded"


def datagrams(address: str, number: str, wait_s: str) -> str:
    """Send numbered datagrams to another node; which came back, in what order, intact, and the time to the first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(float(wait_s))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # else it holds some 250 of them
        began = int(clocks().split()[1])
        for index in range(int(number)):
            sock.sendto(f"{index:06d}".encode() + b"x" * 94, (address, ECHO_PORT))
        seen: list[str] = []
        first = 0
        while True:
            try:
                data = sock.recv(2048)
            except TimeoutError:
                break
            first = first or int(clocks().split()[1]) - began
            intact = data[:6].isdigit() and data[6:] == b"x" * 94
            seen.append(data[:6].decode() if intact else "spoilt")
    return f"{first} {','.join(seen)}"


def send(address: str, size: str) -> str:
    """Milliseconds until another node has taken so many bytes."""
    began = int(clocks().split()[1])
    with socket.create_connection((address, PORT), timeout=20) as sock:
        sock.sendall(f"sink {size}\n".encode() + b"x" * int(size))
        sock.recv(100)
    return str((int(clocks().split()[1]) - began) // 1_000_000)


def chat(address: str, seconds: str) -> str:
    """Talk over one connection again and again; how many answers came, and what ended it."""
    answers = 0
    began = int(clocks().split()[1])
    with socket.create_connection((address, PORT), timeout=5) as sock:
        try:
            while int(clocks().split()[1]) - began < float(seconds) * 1e9:
                sock.sendall(b"ping\n")
                if not sock.recv(100):
                    return f"{answers} closed"
                answers += 1
                threading.Event().wait(0.01)
        except OSError as error:
            return f"{answers} {type(error).__name__}"
    return f"{answers} whole"


COMMANDS: dict[str, Callable[..., str]] = {
    function.__name__: function
    for function in (ping, clocks, doze, write, stake, rename, read, burn, files, hoard, datagrams, send, chat)
}


class Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for line in self.rfile:
            name, *arguments = line.decode().split()
            try:
                answer = self._sink(int(arguments[0])) if name == "sink" else COMMANDS[name](*arguments)
            except OSError as error:
                answer = f"error {error.errno}"
            self.wfile.write(f"{answer}\n".encode())

    def _sink(self, size: int) -> str:
        while size > 0:
            size -= len(self.rfile.read(min(size, 65536)))
        return "taken"


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def echo() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind(("0.0.0.0", ECHO_PORT))
        while True:
            data, sender = sock.recvfrom(2048)
            sock.sendto(data, sender)


if __name__ == "__main__":
    threading.Thread(target=echo, daemon=True).start()
    with Server(("0.0.0.0", PORT), Conversation) as server:
        server.serve_forever()
