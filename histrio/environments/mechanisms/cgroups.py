"""Control groups, version 1 and 2: a process is put into a group of ours, whose limits are set and whose counts read.

Groups are named `histrio-<process of the harness>-<node>`; a process stays in its group, without limits, until it ends.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["GROUP_PREFIX", "ROOT", "Group", "controller_folder", "obstacle"]

GROUP_PREFIX = "histrio-"
ROOT = Path("/sys/fs/cgroup")
_V2 = "cgroup.controllers"


def controller_folder(controller: str) -> tuple[Path, int] | None:
    """Where groups with `cpu` or `memory` are made, and the version of the interface; None: nowhere."""
    if (ROOT / controller / "cgroup.procs").exists():
        return ROOT / controller, 1
    if (ROOT / _V2).exists() and controller in (ROOT / _V2).read_text(encoding="ascii").split():
        return ROOT, 2
    return None


def obstacle(controller: str) -> str | None:
    """Why processes cannot be limited here; None: they can. A group is made and removed."""
    found = controller_folder(controller)
    if found is None:
        return f"this kernel has no control groups for {controller} in {ROOT}"
    folder, version = found
    probe = folder / f"{GROUP_PREFIX}probe-{os.getpid()}"
    try:
        if version == 2 and controller not in (folder / "cgroup.subtree_control").read_text(encoding="ascii").split():
            return f"control groups below {folder} do not limit {controller}: enable it in cgroup.subtree_control"
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        return f"control groups for {controller} cannot be made: {error.strerror}: run as root"
    return None


class Group:
    """One node's group in one controller's hierarchy."""

    def __init__(self, controller: str, node: str) -> None:
        """Raises OSError, FileNotFoundError where `obstacle` has something to say."""
        found = controller_folder(controller)
        if found is None:
            raise FileNotFoundError(ROOT / controller)
        folder, self.version = found
        self.path = folder / f"{GROUP_PREFIX}{os.getpid()}-{node}"
        self.path.mkdir(exist_ok=True)

    def take(self, pid: int) -> None:
        """The process, with all its threads, belongs to it from now on. Raises OSError."""
        (self.path / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def write(self, name: str, value: str) -> None:
        """Set a limit. Raises OSError."""
        (self.path / name).write_text(value, encoding="ascii")

    def read(self, name: str) -> dict[str, int]:
        """A file of names and numbers."""
        rows = [line.split() for line in (self.path / name).read_text(encoding="ascii").splitlines()]
        return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}

    def remove(self) -> None:
        """If nothing is in it any more; else its processes go where the harness is."""
        parent = self.path.parent / "cgroup.procs"
        with suppress(OSError):
            for pid in (self.path / "cgroup.procs").read_text(encoding="ascii").split():
                parent.write_text(pid, encoding="ascii")
        with suppress(OSError):
            self.path.rmdir()
