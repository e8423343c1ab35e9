"""`disk.flip` and `disk.truncate`: stored bytes change while a node is down, and it is started on them at once.

Only bytes are touched that a later write of the same node vouches for: the end of what was written last cannot be told
from a write that power loss cut short, so no system can be blamed for it. At the end the bytes are as they were, unless
the node has itself put others in their place; files are never put back whole, for that would undo what it wrote since.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from random import Random

from histrio.environments.cluster import Cluster, Counts, RealMechanism, Spoke
from histrio.environments.mechanisms.nodes import answered, revive, until
from nemesis.injector import Apply, Probe, Undo
from nemesis.settings import BitFlips, Truncation

__all__ = ["Damage", "damage_nodes", "flip_bits", "mend", "truncate_file"]

_MARGIN_BYTES = 4096
"""At the end of the file written last; and a quarter of it. Longer than what a node writes at once."""

_DECIDING_S = 5.0
"""A node that was started reads its disk within this. The damage stays that long, at the least."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One changed place of a file."""

    path: Path
    inode: int
    offset: int
    pristine: bytes
    changed: bytes
    """Empty: the file ended here."""


def _victims(folder: Path) -> list[tuple[Path, int]]:
    """Files with how many of their bytes may be damaged, the one written last at the end."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_size]
    files.sort(key=lambda path: (path.stat().st_mtime_ns, str(path)))
    sizes = {path: path.stat().st_size for path in files}
    for last in files[-1:]:
        sizes[last] = max(0, sizes[last] * 3 // 4 - _MARGIN_BYTES)
    return [(path, sizes[path]) for path in files]


def flip_bits(folder: Path, bits: int, random: Random) -> list[Damage]:
    """Flip up to `bits` bits, each in a byte of its own, wherever something is stored. Raises OSError."""
    victims = _victims(folder)
    places = random.sample(range(total), min(bits, total)) if (total := sum(size for _, size in victims)) else []
    damages: list[Damage] = []
    for place in sorted(places):
        path, offset = _locate(victims, place)
        with path.open("r+b") as file:
            file.seek(offset)
            old = file.read(1)
            new = bytes([old[0] ^ 1 << random.randrange(8)])
            file.seek(offset)
            file.write(new)
            os.fsync(file.fileno())
            damages.append(Damage(path, os.fstat(file.fileno()).st_ino, offset, old, new))
    return damages


def _locate(victims: list[tuple[Path, int]], place: int) -> tuple[Path, int]:
    for path, size in victims:
        if place < size:
            return path, place
        place -= size
    raise AssertionError("a place below the sum of the sizes")


def truncate_file(folder: Path, bytes_max: int, random: Random) -> list[Damage]:
    """Cut up to `bytes_max` bytes off a file that is not the one written last; none: nothing. Raises OSError."""
    victims = _victims(folder)[:-1]
    if not victims:
        return []
    path, size = victims[random.randrange(len(victims))]
    offset = size - random.randint(1, min(bytes_max, size))
    with path.open("r+b") as file:
        file.seek(offset)
        old = file.read()
        file.truncate(offset)
        os.fsync(file.fileno())
        return [Damage(path, os.fstat(file.fileno()).st_ino, offset, old, b"")]


def mend(damages: list[Damage]) -> int:
    """Put the old bytes where the changed ones still are; how many places that were."""
    return sum(_mended(damage) for damage in damages)


def _mended(damage: Damage) -> bool:
    if not damage.path.exists() or damage.path.stat().st_ino != damage.inode:
        return False
    with damage.path.open("r+b") as file:
        file.seek(damage.offset)
        if file.read(max(1, len(damage.changed))) != damage.changed:
            return False
        file.seek(damage.offset)
        file.write(damage.pristine)
        os.fsync(file.fileno())
    return True


class _DamagedDisk:
    """Both mechanisms: what is done to the bytes comes from the setting of the fault."""

    def __init__(self, cluster: Cluster, spoke: Spoke, seed: int) -> None:
        self._cluster, self._spoke, self._seed = cluster, spoke, seed
        self._damages: dict[str, dict[str, list[Damage]]] = {}
        self._silent_since: dict[str, int] = {}
        """Node -> when it had last spoken, as it was killed."""

    async def apply(self, action: Apply) -> str:
        """Kill, damage, start."""
        damages = self._damages[action.fault.id] = {}
        for node in action.nodes:
            await self._cluster.kill(node)
            self._silent_since[node] = self._spoke(node)
            random = Random(f"{self._seed}/damage/{action.fault.id}/{node}")
            folder = self._cluster.volume(node).path
            match action.setting:
                case BitFlips(bits=bits):
                    damages[node] = flip_bits(folder, bits, random)
                case Truncation(bytes_max=bytes_max):
                    damages[node] = truncate_file(folder, bytes_max, random)
                case other:
                    raise AssertionError(f"{other!r} damages no disk")
        await revive(self._cluster, action.nodes, action.startable, ())
        return "; ".join(_told(node, found) for node, found in damages.items())

    async def undo(self, action: Undo) -> Counts:
        """Put back what the node has not replaced; a node that refused to start on it starts."""
        counts = dict.fromkeys(("bits_flipped", "bytes_truncated", "nodes_that_noticed", "places_mended"), 0)
        damaged = self._damages.pop(action.fault_id)
        await until(lambda: all(map(self._has_decided, damaged)), _DECIDING_S)
        for node, damages in damaged.items():
            counts["bits_flipped"] += sum(bool(damage.changed) for damage in damages)
            counts["bytes_truncated"] += sum(len(damage.pristine) for damage in damages if not damage.changed)
            counts["nodes_that_noticed"] += int(bool(damages) and self._cluster.pid(node) is None)
            counts["places_mended"] += mend(damages)
        await revive(self._cluster, tuple(damaged), action.startable, ())
        return counts

    def _has_decided(self, node: str) -> bool:
        """Whether it has read what is stored: it has gone again, or speaks."""
        return self._cluster.pid(node) is None or self._spoke(node) > self._silent_since[node]

    async def healed(self, probe: Probe, since_ns: int) -> str | None:
        """The nodes answer."""
        return answered(self._cluster, self._spoke, probe.nodes, since_ns)

    async def close(self) -> None:
        """What was still damaged is mended: the files are evidence."""
        for damaged in self._damages.values():
            for damages in damaged.values():
                mend(damages)


def _told(node: str, damages: list[Damage]) -> str:
    places = ", ".join(f"{damage.path.name}+{damage.offset}" for damage in damages[:3])
    more = f" and {len(damages) - 3} more" if len(damages) > 3 else ""
    return f"{node}: {places}{more}" if damages else f"{node}: nothing that may be damaged"


def damage_nodes(cluster: Cluster, spoke: Spoke, seed: int) -> RealMechanism:
    """`disk.flip`, `disk.truncate`."""
    return _DamagedDisk(cluster, spoke, seed)
