"""What mechanisms decide without touching anything: packets, queues, damage, orders, and the page about them."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histrio.environments.mechanisms import packets
from histrio.environments.mechanisms.damage import flip_bits, mend, truncate_file
from histrio.environments.mechanisms.documentation import ways_table
from histrio.environments.mechanisms.power import difference
from histrio.environments.mechanisms.registry import ABSENT, ALL_MECHANISMS, MAY_END_NODES, OFFERED, obstacles
from histrio.environments.mechanisms.traffic import Policy, Send, Traffic, Verdict
from histrio.environments.preload.page import Count, Order
from nemesis.kinds import MECHANISMS
from tests.conftest import ROOT

A, B = "10.0.0.1", "10.0.0.2"
PAIR = (A, B)
MS = 1_000_000


def datagram(number: int, *, source: str = A, target: str = B) -> bytes:
    body = struct.pack("!HHHH", 1, 2, 12, 0) + struct.pack("!I", number)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, socket.IPPROTO_UDP, 0)
    return packets.with_checksums(head + socket.inet_aton(source) + socket.inet_aton(target) + body)


def segment(payload: bytes, *, flags: int = 16, sequence: int = 7, acknowledged: int = 9) -> bytes:
    body = struct.pack("!HHIIBBHHH", 1000, 7000, sequence, acknowledged, 0x50, flags, 512, 0, 0) + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, socket.IPPROTO_TCP, 0)
    return packets.with_checksums(head + socket.inet_aton(A) + socket.inet_aton(B) + body)


def is_sound(packet: bytes) -> bool:
    return packets.with_checksums(packet) == packet


# ── packets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.binary(max_size=64), st.integers(0, 2**32))
def test_a_flipped_bit_is_one_bit_of_the_payload_and_the_checksum_tells(payload: bytes, seed: int) -> None:
    packet = segment(payload)
    changed = packets.flipped(packet, Random(seed).randrange)
    different = [x ^ y for x, y in zip(packet, changed, strict=True) if x != y]
    assert [value.bit_count() for value in different] == [1]
    assert not is_sound(changed)
    assert changed[:20] == packet[:20]
    assert not payload or changed[:40] == packet[:40]
    assert is_sound(packets.with_checksums(changed))


@given(st.binary(min_size=1, max_size=64), st.integers(0, 2**32))
def test_a_silently_altered_bit_is_one_bit_of_the_payload_and_no_checksum_tells(payload: bytes, seed: int) -> None:
    """Stone and Partridge, SIGCOMM 2000: what rewrites packets on the way makes the sums fit."""
    packet = segment(payload)
    changed = packets.altered(packet, Random(seed).randrange)
    assert is_sound(changed)
    different = [x ^ y for x, y in zip(packet[40:], changed[40:], strict=True) if x != y]
    assert [value.bit_count() for value in different] == [1]
    assert changed[:36] == packet[:36], "all but the checksum"


def test_where_no_program_speaks_nothing_is_altered_silently() -> None:
    """A flipped bit in a header would be noticed below the program; a fragment's checksum is elsewhere."""
    fragment = bytearray(datagram(1))
    fragment[6] |= 0x20
    for packet in (segment(b""), bytes(fragment)):
        assert packets.altered(packet, Random(1).randrange) == packet
    traffic = Traffic(1)
    traffic.add("f1", [PAIR], Policy(corruption=1.0, silent=True))
    traffic.arrived(0, 1, segment(b""))
    assert traffic.due(0) == [Verdict(1, accept=True)]
    assert traffic.remove("f1") == {}


def test_a_reset_takes_the_place_of_the_packet_in_the_stream() -> None:
    """RFC 5961 §3.2: a reset counts only if its number is exactly the one that is expected."""
    packet = segment(b"hello", sequence=100, acknowledged=200)
    forward, back = packets.reset_of(packet), packets.reset_to_sender(packet)
    assert is_sound(forward)
    assert is_sound(back)
    assert packets.addresses(forward) == (A, B)
    assert packets.addresses(back) == (B, A)
    assert struct.unpack_from("!HHI", forward, 20) == (1000, 7000, 100)
    assert struct.unpack_from("!HHII", back, 20) == (7000, 1000, 200, 105)
    assert forward[33] & 4
    assert back[33] & 4


def test_both_directions_are_one_connection_and_what_opens_one_is_none() -> None:
    packet = segment(b"x")
    back = packets.reset_to_sender(packet)
    assert packets.connection(packet) == ((A, 1000), (B, 7000))
    assert packets.connection(segment(b"", flags=2)) is None, "SYN"
    assert packets.connection(back) is None, "RST"
    assert packets.connection(datagram(1)) is None


# ── traffic ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def pass_all(traffic: Traffic, number: int, *, every_ns: int = MS) -> list[Verdict | Send]:
    """Packets one after the other, and then time enough for all."""
    out: list[Verdict | Send] = []
    for index in range(number):
        traffic.arrived(index * every_ns, index, datagram(index))
        out += traffic.due(index * every_ns)
    return out + traffic.due(10**15)


policies = st.builds(
    Policy,
    loss=st.floats(0, 1),
    duplication=st.floats(0, 1),
    reordering=st.floats(0, 1),
    corruption=st.floats(0, 1),
    silent=st.booleans(),
    delay_max_ns=st.integers(0, 100 * MS),
    bytes_per_second=st.none() | st.integers(1000, 10**6),
)


@given(st.lists(policies, max_size=3), st.integers(0, 1000))
def test_every_packet_gets_one_verdict_and_every_change_is_counted(rules: list[Policy], seed: int) -> None:
    traffic = Traffic(seed)
    for index, policy in enumerate(rules):
        traffic.add(f"f{index}", [PAIR], policy)
    out = pass_all(traffic, 40)
    verdicts = [action for action in out if isinstance(action, Verdict)]
    assert sorted(verdict.packet for verdict in verdicts) == list(range(40))
    assert traffic.next_ns is None
    counts = [traffic.remove(f"f{index}") for index in range(len(rules))]

    def total(name: str) -> int:
        return sum(count.get(name, 0) for count in counts)

    assert sum(not verdict.accept for verdict in verdicts) == total("packets_lost")
    assert len(out) - len(verdicts) == total("packets_duplicated")
    assert sum(verdict.payload is not None for verdict in verdicts) <= total("packets_corrupted")


@given(policies, st.integers(0, 1000))
def test_the_fate_of_packets_is_drawn_from_a_stream_of_the_fault_alone(policy: Policy, seed: int) -> None:
    """Architecture §2: removing one fault does not reshuffle the rest."""
    alone, beside = Traffic(seed), Traffic(seed)
    alone.add("f1", [PAIR], policy)
    beside.add("f2", [(B, A)], Policy(loss=0.5))
    beside.add("f1", [PAIR], policy)
    beside.arrived(0, 99, datagram(0, source=B, target=A))
    beside.due(0)
    assert pass_all(alone, 30) == pass_all(beside, 30)


def test_a_line_of_limited_speed_lets_packets_out_one_after_the_other() -> None:
    traffic = Traffic(1)
    traffic.add("f1", [PAIR], Policy(bytes_per_second=3200))
    for index in range(4):
        traffic.arrived(0, index, datagram(index))
    due = [traffic.next_ns]
    while traffic.next_ns is not None:
        traffic.due(traffic.next_ns)
        due.append(traffic.next_ns)
    assert due == [10 * MS, 20 * MS, 30 * MS, 40 * MS, None], "32 bytes at 3200 B/s"
    assert traffic.remove("f1") == {"packets_throttled": 3}


def test_a_line_drops_what_would_wait_longer_than_its_backlog() -> None:
    traffic = Traffic(1)
    traffic.add("f1", [PAIR], Policy(bytes_per_second=320))
    for index in range(10):
        traffic.arrived(0, index, datagram(index))
    traffic.due(10**12)
    assert traffic.remove("f1") == {"packets_throttled": 4, "packets_lost": 5}


def test_a_packet_that_a_later_one_overtakes_is_counted_once() -> None:
    traffic = Traffic(1)
    traffic.add("f1", [PAIR], Policy(delay_min_ns=50 * MS, delay_max_ns=50 * MS))
    traffic.arrived(0, 0, datagram(0))
    traffic.add("f1", [PAIR], Policy())
    traffic.arrived(MS, 1, datagram(1))
    traffic.arrived(MS, 2, datagram(2))
    out = [action.packet for action in traffic.due(10**12) if isinstance(action, Verdict)]
    assert out == [1, 2, 0]
    assert traffic.remove("f1") == {"packets_delayed": 1, "packets_reordered": 1}


def test_a_reset_counts_each_connection_once_and_speaks_to_both_ends() -> None:
    traffic = Traffic(1)
    traffic.add("f1", [PAIR], Policy(reset=True))
    traffic.arrived(0, 0, segment(b"a"))
    traffic.arrived(0, 1, segment(b"b"))
    traffic.arrived(0, 2, datagram(1))
    out = traffic.due(0)
    assert sum(isinstance(action, Send) for action in out) == 2
    assert [action.payload is None for action in out if isinstance(action, Verdict)] == [False, False, True]
    assert traffic.remove("f1") == {"connections_reset": 1}


def test_an_ended_fault_is_healed_when_a_link_carries_a_packet_that_nothing_else_touches() -> None:
    traffic = Traffic(1)
    traffic.add("f1", [PAIR, (B, A)], Policy(loss=1.0))
    traffic.add("f2", [PAIR], Policy(loss=1.0))
    traffic.remove("f1")
    traffic.arrived(0, 0, datagram(0))
    assert traffic.carried("f1") == (0, 2), "the other fault has it"
    traffic.arrived(0, 1, datagram(1, source=B, target=A))
    assert traffic.carried("f1") == (1, 2)
    assert set(traffic.pairs) == {PAIR, (B, A)}
    traffic.forget("f1")
    assert traffic.pairs == (PAIR,)


# ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 1000), st.integers(1, 64))
def test_flipped_bits_are_put_back_unless_the_node_wrote_there(
    tmp_path_factory: pytest.TempPathFactory, seed: int, bits: int
) -> None:
    folder = tmp_path_factory.mktemp("disk")
    (folder / "old").write_bytes(bytes(500))
    (folder / "new").write_bytes(bytes(20_000))
    damages = flip_bits(folder, bits, Random(seed))
    assert len({(damage.path, damage.offset) for damage in damages}) == bits
    assert sum(byte.bit_count() for path in folder.iterdir() for byte in path.read_bytes()) == bits
    rewritten = damages[0]
    data = bytearray(rewritten.path.read_bytes())
    data[rewritten.offset] = 0b1111_0000
    rewritten.path.write_bytes(data)
    assert mend(damages) == bits - 1
    assert sum(any(path.read_bytes()) for path in folder.iterdir()) == 1


def test_what_was_written_last_is_never_damaged(tmp_path: Path) -> None:
    """Its end cannot be told from a write that power loss cut short."""
    (tmp_path / "only").write_bytes(bytes(5000))
    assert flip_bits(tmp_path, 8, Random(1)) == []
    assert truncate_file(tmp_path, 64, Random(1)) == []


def test_a_cut_file_gets_its_bytes_back_unless_the_node_wrote_on(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).write_bytes(b"0123456789")
    for again in (False, True):
        damages = truncate_file(tmp_path, 4, Random(1))
        path = damages[0].path
        assert 0 < len(damages[0].pristine) <= 4
        if again:
            path.write_bytes(path.read_bytes() + b"new")
        assert mend(damages) == (not again)
        assert path.read_bytes().endswith(b"new") if again else path.read_bytes() == b"0123456789"


def test_lost_bytes_are_those_that_were_there_and_are_not() -> None:
    before = {"a": b"0123456789", "b": b"gone", "c": b"same", "d": b"xxyyxx"}
    assert difference(before, {"a": b"01234", "c": b"same and more", "d": b"xx__xx", "e": b"new"}) == 5 + 4 + 2
    assert difference(before, before) == 0


# ── registry and page ────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_mechanism_of_the_nemesis_is_offered_or_absent_for_a_reason() -> None:
    assert set(OFFERED) == set(MECHANISMS)
    assert not set(ALL_MECHANISMS) & set(ABSENT)
    assert set(ALL_MECHANISMS) > MAY_END_NODES
    assert set(obstacles()) == set(OFFERED)


def test_the_page_says_how_each_fault_is_made() -> None:
    assert ways_table() in (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")


def test_slots_of_the_page_are_those_of_the_shim() -> None:
    header = (ROOT / "histrio/environments/preload/shim.h").read_text(encoding="utf-8")

    def names(prefix: str, first: str) -> list[str]:
        body = header[header.index(f"{prefix}_{first} =") :]
        words = body[: body.index("};")].replace(",", " ").split()
        return [word.removeprefix(f"{prefix}_") for word in words if word.startswith(f"{prefix}_")]

    assert names("ORDER", "WALL_OFFSET_NS") == [order.name for order in sorted(Order)]
    assert names("COUNT", "STARTS") == [count.name for count in sorted(Count)]
    assert [order.value for order in sorted(Order)] == list(range(1, len(Order) + 1))
    assert [count.value for count in sorted(Count)] == list(range(32, 32 + len(Count)))


def test_what_a_disk_lost_is_counted_across_blocks_as_byte_by_byte() -> None:
    """A log is filled up to 16 MiB: counting all of it byte by byte would hold up every client for seconds."""
    before = bytes(number * 7 % 251 for number in range(20_000))
    after = bytearray(before[:19_990])
    for place in (0, 4095, 4096, 12_287, 12_288, 19_989):
        after[place] ^= 1
    naive = sum(a != b for a, b in zip(before, after, strict=False)) + len(before) - len(after)
    assert difference({"log": before}, {"log": bytes(after)}) == naive == 16
