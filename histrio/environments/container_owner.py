"""Whose a container or a network is: what carries our label belongs to the harness that made it, or to nobody more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.errors import NotFound

from histrio.environments.container_image import LABEL

__all__ = ["OWNER_LABEL", "is_alive", "owner_mark", "remove_orphans"]

OWNER_LABEL = f"{LABEL}.owner"
"""Process id and start time of the harness that made it: a second one running beside must be left alone."""


def owner_mark(pid: int) -> str:
    """Names a process for good: its id and when it started, for ids are used again; empty for one that is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return f"{pid}-{stat.rpartition(')')[2].split()[19]}"


def is_alive(mark: str) -> bool:
    """Whether the process that a mark names still runs."""
    pid = mark.partition("-")[0]
    return pid.isdigit() and owner_mark(int(pid)) == mark


def remove_orphans(client: docker.DockerClient) -> tuple[list[str], bool]:
    """Removes containers and networks of harnesses that are gone. Returns their names, and whether others are left."""
    wanted: Mapping[str, Any] = {"label": f"{LABEL}=run"}
    removed: list[str] = []
    in_use = False
    containers: Sequence[Any] = client.containers.list(all=True, filters=wanted, ignore_removed=True)
    for container in containers:
        if is_alive(container.labels.get(OWNER_LABEL, "")):
            in_use = True
        elif _removes(container, force=True, v=True):
            removed.append(f"container {container.name}")
    for network in client.networks.list(filters=wanted):
        if is_alive(network.attrs["Labels"].get(OWNER_LABEL, "")):
            in_use = True
        elif _removes(network):
            removed.append(f"network {network.name}")
    return removed, in_use


def _removes(thing: Any, **how: bool) -> bool:
    try:
        thing.remove(**how)
    except NotFound:  # somebody else was quicker
        return False
    return True
