"""Removes what killed runs left on this machine: containers, networks, mounts, firewall rules, control groups.

Everything a run makes has a name or a label of ours. What belongs to a harness that still runs stays: containers
and control groups say whose they are; firewall rules and mounts cannot, and stay while a container of a running one is
there. Runs of `local` leave control groups at most, for all else ends with their namespaces. Files in run directories
are nobody's leftovers.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from histrio.environments.mechanisms.cgroups import GROUP_PREFIX, ROOT
from histrio.environments.mechanisms.network import CHAIN_PREFIX
from histrio.environments.namespaces import tool
from histrio.environments.volumes import IMAGE_NAME
from histrio.errors import EnvironmentUnavailable

__all__ = ["leftover_groups", "remove_leftovers"]

_TABLE_PREFIX = "histrio-"
_COMMAND_S = 30.0

Removal = tuple[str, bool]
"""What it was, for people, and whether it is gone."""


def remove_leftovers() -> list[Removal]:
    """Remove all that may be removed; one line each. Raises nothing: what refuses to go is told."""
    removed, in_use = _containers()
    if not in_use:
        for found in (_mounts, _tables, _chains):
            removed += [(what, remove()) for what, remove in found()]
    removed += [(what, remove()) for what, remove in leftover_groups()]
    return removed


def _containers() -> tuple[list[Removal], bool]:
    """What was removed of the Docker Engine's, and whether another harness uses it now."""
    from histrio.environments.container_image import connect  # the engine's library, which only this needs
    from histrio.environments.container_owner import remove_orphans

    try:
        client = connect()
    except EnvironmentUnavailable:
        return [], False
    try:
        names, in_use = remove_orphans(client)
    finally:
        client.close()
    return [(name, True) for name in names], in_use


def _mounts() -> Iterator[tuple[str, Callable[[], bool]]]:
    """Disks of nodes. The loop device goes with the mount."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        device, place = line.split()[:2]
        backing = Path("/sys/block") / Path(device).name / "loop" / "backing_file"
        if device.startswith("/dev/loop") and _text(backing).endswith(IMAGE_NAME):
            place = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), place)
            yield f"mount {place}", partial(_runs, "umount", "--lazy", place)


def _tables() -> Iterator[tuple[str, Callable[[], bool]]]:
    listed = _output("nft", "--json", "list", "tables")
    for entry in json.loads(listed)["nftables"] if listed else []:
        table = entry.get("table", {})
        name, family = table.get("name", ""), table.get("family", "")
        if name.startswith(_TABLE_PREFIX):
            yield (
                f"firewall table {family} {name}",
                partial(_runs, "nft", "delete", "table", family, name),
            )


def _chains() -> Iterator[tuple[str, Callable[[], bool]]]:
    for line in _output("iptables-save", "--table", "filter").splitlines():
        if line.startswith(f":{CHAIN_PREFIX}"):
            chain = line[1:].split()[0]
            yield f"firewall chain {chain}", partial(_unchained, chain)


def _unchained(chain: str) -> bool:
    jumps = _output("iptables-save", "--table", "filter").count(f"-A FORWARD -j {chain}\n")
    rules = "".join([f"-D FORWARD -j {chain}\n"] * jumps)
    text = f"*filter\n{rules}-F {chain}\n-X {chain}\nCOMMIT\n"
    return _runs("iptables-restore", "-w", "--noflush", stdin=text)


def leftover_groups() -> Iterator[tuple[str, Callable[[], bool]]]:
    """What, and how to remove it: control groups of harnesses that are gone."""
    for group in sorted([*ROOT.glob(f"{GROUP_PREFIX}*"), *ROOT.glob(f"*/{GROUP_PREFIX}*")]):
        owner = group.name.removeprefix(GROUP_PREFIX).partition("-")[0]
        if not (owner.isdigit() and Path(f"/proc/{owner}").exists()):
            yield f"control group {group}", partial(_ungrouped, group)


def _ungrouped(group: Path) -> bool:
    """Processes in it, which no limit keeps there, go to the group above."""
    try:
        for pid in _text(group / "cgroup.procs").split():
            (group.parent / "cgroup.procs").write_text(pid, encoding="ascii")
        group.rmdir()
    except OSError:
        return False
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _run(command: tuple[str, ...], stdin: str) -> subprocess.CompletedProcess[str] | None:
    program = tool(command[0])
    if program is None:
        return None
    try:
        return subprocess.run(
            [program, *command[1:]],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return None


def _output(*command: str) -> str:
    """Empty where the command is missing, refuses, or hangs: then there is nothing of ours."""
    done = _run(command, "")
    return done.stdout if done is not None and done.returncode == 0 else ""


def _runs(*command: str, stdin: str = "") -> bool:
    done = _run(command, stdin)
    return done is not None and done.returncode == 0
