"""What travels on a TCP connection, as bytes and without I/O: frames of a length, a checksum and one msgpack value.

    length 4, big-endian | CRC-32 of the length and the payload 4, big-endian | payload: msgpack

TCP's own sum is 16 bits, and whatever rewrites packets on the way rewrites it to fit the bytes it spoilt (Stone and
Partridge, SIGCOMM 2000: up to one packet in 1,100 fails it). So a frame is believed for its own checksum only. It is no
protection against malice: that is what TLS is for.

The first frame of every connection is a `Hello`; what follows depends on who called: `PeerFrame`s from a node, one
`ClientRequest` per frame from a client, answered by one `ClientReply` per frame. Bytes come
from the network and may be anything: whatever is not understood is a `FrameError`, after which the connection is of no
more use.
"""

from __future__ import annotations

from struct import Struct
from typing import TypeVar
from zlib import crc32

import msgspec

from raft_trio.errors import SerializationDecodeError
from raft_trio.messages import ClientReply, ClientRequest, PeerFrame
from raft_trio.types import NodeId

__all__ = [
    "CLIENT_FRAME_BYTES_MAX",
    "CLIENT_REPLY",
    "CLIENT_REQUEST",
    "FRAME_BYTES_MAX",
    "HELLO",
    "HELLO_BYTES_MAX",
    "PEER_FRAME",
    "VERSION",
    "Decoder",
    "FrameCorrupted",
    "FrameError",
    "FrameMalformed",
    "FrameTooLarge",
    "Hello",
    "encode",
    "encode_peer_frame",
]

VERSION = 2
"""1 had no checksums; its frames fail them here, so that neither end takes the other's for anything."""

FRAME_BYTES_MAX = 64 << 20
"""Above any legal frame: a flush carries a few messages of at most about 1 MiB each. Below any that could hurt."""

CLIENT_FRAME_BYTES_MAX = (1 << 20) + (64 << 10)
"""The largest command and what is around it."""

HELLO_BYTES_MAX = 4096
"""Before a caller has said who it is, it is owed no more memory than this."""

_HEAD = Struct(">II")
_encoder = msgspec.msgpack.Encoder()

T = TypeVar("T")


class FrameError(SerializationDecodeError):
    """Bytes that break the protocol; the connection must be closed."""


class FrameTooLarge(FrameError):
    """A frame above the limit of the receiver."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(
            f"a frame of {length} bytes",
            why=f"the limit is {limit}; a peer of another protocol looks like this, too",
            fix="check what listens at the address",
        )
        self.length, self.limit = length, limit


class FrameCorrupted(FrameError):
    """A frame that does not fit its checksum: altered on the way, or not of this protocol."""

    def __init__(self, length: int) -> None:
        super().__init__(
            f"a frame of {length} bytes does not fit its checksum",
            why="it was altered on the way, or the other end runs another version",
            fix="if both ends run the same version, look for faulty hardware on the way",
        )
        self.length = length


class FrameMalformed(FrameError):
    """A frame that is not what must come here."""

    def __init__(self, expected: str, problem: str) -> None:
        super().__init__(f"a frame that is no {expected}", why=problem, fix="check that both ends run the same version")
        self.expected, self.problem = expected, problem


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """Who calls, and which cluster it means: members of different clusters must never talk to each other."""

    version: int
    cluster: str
    node: NodeId | None = None
    """The calling node; None: a client."""
    incarnation: int = 0
    """How often the calling node has started, this start included."""
    address: str = ""
    """Where the calling node can be called back, so that a cluster it wants to join learns of it."""


HELLO = msgspec.msgpack.Decoder(Hello)
PEER_FRAME = msgspec.msgpack.Decoder(PeerFrame)
CLIENT_REQUEST: msgspec.msgpack.Decoder[ClientRequest] = msgspec.msgpack.Decoder(ClientRequest)
CLIENT_REPLY: msgspec.msgpack.Decoder[ClientReply] = msgspec.msgpack.Decoder(ClientReply)


def encode(value: Hello | PeerFrame | ClientRequest | ClientReply) -> bytes:
    """One frame."""
    payload = _encoder.encode(value)
    length = len(payload)
    return _HEAD.pack(length, crc32(payload, length)) + payload


def encode_peer_frame(frame: PeerFrame, *, limit: int = FRAME_BYTES_MAX) -> bytes:
    """One frame, or several where one would exceed the receiver's limit. Message numbers stay what they were."""
    encoded = encode(frame)
    if len(encoded) - _HEAD.size <= limit or len(frame.messages) == 1:
        return encoded
    half = len(frame.messages) // 2
    front = PeerFrame(frame.source, frame.incarnation, frame.first, frame.messages[:half])
    back = PeerFrame(frame.source, frame.incarnation, frame.first + half, frame.messages[half:])
    return encode_peer_frame(front, limit=limit) + encode_peer_frame(back, limit=limit)


class Decoder:
    """Takes bytes as they arrive, gives values as they become whole. Holds at most one incomplete frame."""

    __slots__ = ("_buffer", "_start", "limit")

    def __init__(self, *, limit: int = FRAME_BYTES_MAX) -> None:
        self.limit = limit
        """A frame may be no longer; may change between frames."""
        self._buffer: bytes | bytearray = b""
        self._start = 0

    @property
    def partial_bytes(self) -> int:
        """What is here and was not given out."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        """Takes what was received, any part of any frame."""
        if self._start == len(self._buffer):  # nearly always: bytes that hold whole frames are not copied
            self._buffer, self._start = data, 0
            return
        if isinstance(self._buffer, bytearray):
            del self._buffer[: self._start]
        else:
            self._buffer = bytearray(memoryview(self._buffer)[self._start :])
        self._start = 0
        self._buffer += data

    def next(self, kind: msgspec.msgpack.Decoder[T]) -> T | None:
        """The next value, of which the caller knows what it must be; None: not all of it is here. Raises FrameError."""
        values = self._take(kind, 1)
        return values[0] if values else None

    def all(self, kind: msgspec.msgpack.Decoder[T]) -> list[T]:
        """Every value that is here as a whole. Raises FrameError."""
        return self._take(kind, -1)

    def mismatched(self, length: int) -> None:
        """What becomes of a frame of `length` bytes that does not fit its checksum. Raises FrameCorrupted."""
        raise FrameCorrupted(length)

    def _take(self, kind: msgspec.msgpack.Decoder[T], count: int) -> list[T]:
        """`count` negative: all."""
        values: list[T] = []
        buffer, start, decode, head = self._buffer, self._start, kind.decode, _HEAD.size
        size = len(buffer)
        view = memoryview(buffer)
        try:
            while count and size - start >= head:
                length, checksum = _HEAD.unpack_from(buffer, start)
                if length > self.limit:
                    raise FrameTooLarge(length, self.limit)
                end = start + head + length
                if end > size:
                    break
                payload = view[start + head : end]
                if crc32(payload, length) != checksum:
                    self.mismatched(length)
                values.append(decode(payload))
                start = end
                count -= 1
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise FrameMalformed(str(kind.type), str(error)) from error
        finally:
            view.release()
            self._start = start
        return values
