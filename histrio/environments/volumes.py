"""Disks of nodes: an ext4 file system in a file, mounted, where this process may mount; else an ordinary directory.

A file system of its own can be filled up, frozen, made read-only, and can lose power: nothing else can without hurting
the machine. Here belongs making, mounting and releasing; what is done to a disk is a mechanism's affair.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import trio

from histrio.environments.cluster import Volume
from histrio.errors import HarnessFailure

__all__ = ["IMAGE_NAME", "keep_data", "make_volume", "release_volume", "remount", "unmount"]

IMAGE_NAME = "disk.histrio.img"
"""By this name mounts that a killed harness left behind are found."""

SIZE_BYTES = 256 << 20
"""Sparse: it takes what is written."""
_LIMIT_S = 20.0
_BUSY_TRIES = 50
_BUSY_S = 0.05


async def make_volume(folder: Path, *, size_bytes: int = SIZE_BYTES) -> Volume:
    """A new, empty disk in `folder`, mounted at `data` in it. Raises HarnessFailure when a tool fails."""
    path = folder / "data"
    path.mkdir(parents=True)
    if os.geteuid() != 0:
        return Volume(path, None)
    image = folder / IMAGE_NAME
    image.touch()
    os.truncate(image, size_bytes)
    # Without a reserve for root, full is full; without a lazy table, nothing is written later.
    await _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    volume = Volume(path, image)
    await _mount(volume)
    return volume


async def remount(volume: Volume) -> None:
    """Unmount and mount again, as a boot does: what the disk did not have is gone."""
    await unmount(volume)
    await _mount(volume)


async def release_volume(volume: Volume) -> None:
    """Unmount it for good, whatever state it is in."""
    if volume.image is not None:
        await _try("umount", "--lazy", str(volume.path))


async def keep_data(volume: Volume, folder: Path) -> None:
    """What is on the disk of a node stays in `folder`, the run directory's; a disk of its own does not."""
    if volume.image is None:
        return
    kept = folder / "data.kept"
    with suppress(OSError):
        shutil.copytree(volume.path, kept)
    await release_volume(volume)
    volume.image.unlink(missing_ok=True)
    with suppress(OSError):
        volume.path.rmdir()
        kept.rename(volume.path)


async def unmount(volume: Volume) -> None:
    """Waits for the last process to let go of it. Raises HarnessFailure if none does."""
    assert volume.image is not None, f"{volume.path} is no file system of its own"
    complaint = ""
    for _ in range(_BUSY_TRIES):
        complaint = await _try("umount", str(volume.path))
        if not complaint:
            return
        await trio.sleep(_BUSY_S)
    raise HarnessFailure(f"{volume.path} cannot be unmounted", why=complaint)


async def _mount(volume: Volume) -> None:
    await _run("mount", "-o", "loop", str(volume.image), str(volume.path))
    for extra in volume.path.glob("lost+found"):
        extra.rmdir()  # a node may take every file of its directory for its own


async def _run(*command: str) -> None:
    complaint = await _try(*command)
    if complaint:
        raise HarnessFailure(f"{command[0]} failed", why=complaint, fix=f"run by hand: {' '.join(command)}")


async def _try(*command: str) -> str:
    """Empty, or why it failed."""
    with trio.move_on_after(_LIMIT_S):
        done = await trio.run_process(list(command), capture_stdout=True, capture_stderr=True, check=False)
        if done.returncode == 0:
            return ""
        return done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
    return f"no end within {_LIMIT_S:.0f} s"
