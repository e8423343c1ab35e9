"""The kernel's queue of packets that wait for a verdict (NFQUEUE), over a raw netlink socket, without any library.

Packets of pairs that a firewall rule sends here wait in the kernel until the harness lets them go. When the harness is
gone the rule's `--queue-bypass` lets everything through. Source: linux/netfilter/nfnetlink_queue.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

__all__ = ["PacketQueue"]

_NETLINK_NETFILTER = 12
_SUBSYSTEM = 3 << 8
_PACKET, _VERDICT, _CONFIG = 0, 1, 2
_ATTR_PACKET_HEADER, _ATTR_VERDICT, _ATTR_PAYLOAD = 1, 2, 10
_CFG_CMD, _CFG_PARAMS, _CFG_QUEUE_MAXLEN = 1, 2, 3
_CMD_BIND = 1
_COPY_PACKET = 2
_REQUEST, _ACK = 1, 4
_DROP, _ACCEPT = 0, 1
_SOL_NETLINK, _NO_ENOBUFS = 270, 5
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 8 << 20
_QUEUE_PACKETS = 65536
_FIRST_NUMBER, _NUMBERS = 7100, 100
_ANSWER_S = 5.0


class PacketQueue:
    """One queue in the network namespace of the thread that makes it; others may have others."""

    def __init__(self) -> None:
        """Raises OSError: no permission, or a kernel without such queues."""
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._raw: socket.socket | None = None
        try:
            self.socket.settimeout(_ANSWER_S)
            self.socket.bind((0, 0))
            self._enlarge()
            self.number = self._bind()
            self._configure(_CFG_PARAMS, struct.pack("!IB", 0xFFFF, _COPY_PACKET))
            self._configure(_CFG_QUEUE_MAXLEN, struct.pack("!I", _QUEUE_PACKETS))
            self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
            self.socket.setblocking(False)
        except BaseException:
            self.close()
            raise

    def _enlarge(self) -> None:
        """Packets that do not fit are lost without anybody's count."""
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except PermissionError:  # in a user namespace: as much as everybody may have
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self.socket.setsockopt(_SOL_NETLINK, _NO_ENOBUFS, 1)

    def _bind(self) -> int:
        """The first number that nobody uses."""
        for number in range(_FIRST_NUMBER, _FIRST_NUMBER + _NUMBERS):
            self.number = number
            try:
                self._configure(_CFG_CMD, struct.pack("!BBH", _CMD_BIND, 0, socket.AF_INET))
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.EPERM) or number == _FIRST_NUMBER + _NUMBERS - 1:
                    raise
                continue
            return number
        raise AssertionError("the loop returns or raises")

    def _configure(self, attribute: int, value: bytes) -> None:
        self._send(_CONFIG, _attribute(attribute, value), _REQUEST | _ACK)
        answer = self.socket.recv(65536)
        (code,) = struct.unpack_from("=i", answer, 16)
        if code:
            raise OSError(-code, os.strerror(-code))

    def _send(self, kind: int, attributes: bytes, flags: int = _REQUEST) -> None:
        body = struct.pack("=BBH", socket.AF_UNSPEC, 0, socket.htons(self.number)) + attributes
        head = struct.pack("=IHHII", 16 + len(body), _SUBSYSTEM | kind, flags, 0, 0)
        self.socket.sendto(head + body, (0, 0))

    def packets(self) -> Iterator[tuple[int, bytes]]:
        """Those that wait now: id and bytes. Each needs one verdict."""
        while True:
            try:
                data = self.socket.recv(1 << 20)
            except BlockingIOError:
                return
            at = 0
            while at + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if length < 16:
                    break
                if kind == _SUBSYSTEM | _PACKET:
                    yield _packet(data[at + 20 : at + length])
                at += length + (-length % 4)

    def verdict(self, packet: int, *, accept: bool, payload: bytes | None = None) -> None:
        """Let it go, with other bytes if any are given, or drop it."""
        attributes = _attribute(_ATTR_VERDICT, struct.pack("!II", _ACCEPT if accept else _DROP, packet))
        if payload is not None:
            attributes += _attribute(_ATTR_PAYLOAD, payload)
        self._send(_VERDICT, attributes)

    def send(self, payload: bytes) -> None:
        """A packet of anybody's to anybody; it does not come back into the queue. What cannot be sent is lost."""
        assert self._raw is not None
        try:
            self._raw.sendto(payload, (socket.inet_ntoa(payload[16:20]), 0))
        except OSError:
            return  # as on any network: the link is down, or the packet too long for it

    def close(self) -> None:
        """What waits in the kernel is let go by nobody: the kernel drops it."""
        self.socket.close()
        if self._raw is not None:
            self._raw.close()


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _packet(body: bytes) -> tuple[int, bytes]:
    at, number, payload = 0, 0, b""
    while at + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, at)
        if kind & 0x7FFF == _ATTR_PACKET_HEADER:
            (number,) = struct.unpack_from("!I", body, at + 4)
        elif kind & 0x7FFF == _ATTR_PAYLOAD:
            payload = body[at + 4 : at + length]
        at += max(4, length) + (-length % 4)
    return number, payload
