"""IPv4 packets as bytes: whose they are, with a flipped bit that shows or not, and as a reset. No I/O."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

__all__ = ["addresses", "altered", "connection", "flipped", "reset_of", "reset_to_sender", "with_checksums"]

_TCP, _UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_CHECKSUM_AT = {_TCP: 16, _UDP: 6}
_UDP_HEADER_BYTES = 8
_HOPS = 64


def addresses(packet: bytes) -> tuple[str, str]:
    """Source and destination."""
    return socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])


def _header_bytes(packet: bytes) -> int:
    return (packet[0] & 15) * 4


def _is_first_fragment(packet: bytes) -> bool:
    return not struct.unpack_from("!H", packet, 6)[0] & 0x1FFF


def flipped(packet: bytes, draw: Callable[[int], int]) -> bytes:
    """One bit of the payload, or of a segment without one, is wrong; checksums stay, so that the receiver notices.

    draw(n) is a number below n.
    """
    start = _header_bytes(packet)
    if packet[9] == _TCP and _is_first_fragment(packet) and len(packet) > start + 13:
        payload = start + (packet[start + 12] >> 4) * 4
        start = payload if payload < len(packet) else start
    changed = bytearray(packet)
    if start < len(packet):
        changed[start + draw(len(packet) - start)] ^= 1 << draw(8)
    return bytes(changed)


def altered(packet: bytes, draw: Callable[[int], int]) -> bytes:
    """One bit of what a program said is wrong, and checksums fit: as after faulty memory of a router or network card.

    A packet in which no program says anything, and a fragment, whose checksum is elsewhere, stay as they are.
    """
    start = _payload_start(packet)
    if start is None or start >= len(packet):
        return packet
    changed = bytearray(packet)
    changed[start + draw(len(packet) - start)] ^= 1 << draw(8)
    return with_checksums(bytes(changed))


def _payload_start(packet: bytes) -> int | None:
    """Of a whole TCP or UDP packet; None: of another."""
    start = _header_bytes(packet)
    if struct.unpack_from("!H", packet, 6)[0] & 0x3FFF:
        return None
    if packet[9] == _UDP:
        return start + _UDP_HEADER_BYTES
    if packet[9] == _TCP and len(packet) > start + 13:
        return start + (packet[start + 12] >> 4) * 4
    return None


def connection(packet: bytes) -> tuple[tuple[str, int], tuple[str, int]] | None:
    """The two ends of the TCP connection that it belongs to, the lower one first; None: of none that is established."""
    start = _header_bytes(packet)
    if packet[9] != _TCP or not _is_first_fragment(packet) or len(packet) < start + 20:
        return None
    if packet[start + 13] & (_SYN | _RST):
        return None
    source, target = addresses(packet)
    ports = struct.unpack_from("!HH", packet, start)
    first, second = sorted(((source, ports[0]), (target, ports[1])))
    return first, second


def reset_of(packet: bytes) -> bytes:
    """What the receiver of a TCP packet gets instead: the sender, at this place of the stream, resets."""
    start = _header_bytes(packet)
    source_port, target_port, sequence, acknowledged = struct.unpack_from("!HHII", packet, start)
    return _tcp_reset(packet[12:16], packet[16:20], source_port, target_port, sequence, acknowledged)


def reset_to_sender(packet: bytes) -> bytes:
    """What the sender of a TCP packet gets: the receiver resets."""
    start = _header_bytes(packet)
    source_port, target_port, sequence, acknowledged = struct.unpack_from("!HHII", packet, start)
    payload = len(packet) - start - (packet[start + 12] >> 4) * 4
    next_sequence = (sequence + payload + (packet[start + 13] & _FIN)) & 0xFFFF_FFFF
    return _tcp_reset(packet[16:20], packet[12:16], target_port, source_port, acknowledged, next_sequence)


def _tcp_reset(source: bytes, target: bytes, from_port: int, to_port: int, sequence: int, acknowledged: int) -> bytes:
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0x4000, _HOPS, _TCP, 0, source, target)
    tcp = struct.pack("!HHIIBBHHH", from_port, to_port, sequence, acknowledged, 0x50, _RST | _ACK, 0, 0, 0)
    return with_checksums(ip + tcp)


def with_checksums(packet: bytes) -> bytes:
    """The same with right checksums, of its header and, where it is whole, of its TCP or UDP part."""
    start = _header_bytes(packet)
    changed = bytearray(packet)
    changed[10:12] = b"\0\0"
    struct.pack_into("!H", changed, 10, _checksum(bytes(changed[:start])))
    at = _CHECKSUM_AT.get(packet[9])
    if at is not None and len(packet) >= start + at + 2 and not struct.unpack_from("!H", packet, 6)[0] & 0x3FFF:
        changed[start + at : start + at + 2] = b"\0\0"
        part = bytes(changed[start:])
        pseudo = packet[12:20] + struct.pack("!BBH", 0, packet[9], len(part))
        struct.pack_into("!H", changed, start + at, _checksum(pseudo + part) or 0xFFFF)
    return bytes(changed)


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return ~total & 0xFFFF
