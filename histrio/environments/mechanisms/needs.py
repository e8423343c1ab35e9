"""What a machine must be able to do so that nodes can be hurt, found out by doing it where nobody is hurt.

Every capability is tried in namespaces that vanish with the attempt, in some milliseconds; nothing stays behind, and
what is missing is told with the remedy. Results are kept for the life of this process. Which mechanism needs which is
in `registry`.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Mapping
from functools import cache

from histrio.environments.mechanisms import cgroups
from histrio.environments.namespaces import tool
from histrio.environments.preload import build

__all__ = ["NEEDS", "Need"]

_PROBE_S = 10.0
_NFQUEUE_RULE = "iptables -w -A FORWARD -j NFQUEUE --queue-num 1 --queue-bypass"
_BRIDGE_CALLS = 'test "$(cat /proc/sys/net/bridge/bridge-nf-call-iptables)" = 1'
_LOOP = (
    "f=$(mktemp) && truncate -s 2M $f && mkfs.ext4 -qF $f && mount -o loop $f /mnt; r=$?; "
    "test $r = 0 && { umount /mnt; r=$?; }; rm -f $f; exit $r"
)

Need = Callable[[], str | None]
"""Why it cannot be had here, with the remedy; None: it can."""


@cache
def nft() -> str | None:
    """A table of a bridge."""
    table = "table bridge histrio-probe { chain c { type filter hook forward priority 0; ip saddr 10.0.0.1 drop; }; }"
    return _missing("nft", "nftables") or _tried("nft -f -", "nftables cannot filter bridges", stdin=f"{table}\n")


@cache
def queue() -> str | None:
    """Packets of a bridge in a queue."""
    return (
        _missing("iptables", "iptables")
        or _tried(_BRIDGE_CALLS, "packets of bridges do not pass iptables: modprobe br_netfilter")
        or _tried(_NFQUEUE_RULE, "the kernel has no NFQUEUE: modprobe nfnetlink_queue xt_NFQUEUE")
    )


def shim() -> str | None:
    """What is preloaded into nodes."""
    return build.obstacle()


@cache
def own_disks() -> str | None:
    """A file system of a node's own, in a file."""
    return _missing("mkfs.ext4", "e2fsprogs") or _tried(_LOOP, "file systems in files cannot be mounted: run as root")


@cache
def processor_groups() -> str | None:
    """A limit on processor time."""
    return cgroups.obstacle("cpu")


@cache
def memory_groups() -> str | None:
    """A limit on memory."""
    return cgroups.obstacle("memory")


@cache
def descriptor_limits() -> str | None:
    """A limit on the descriptors of a running process."""
    try:
        resource.prlimit(os.getpid(), resource.RLIMIT_NOFILE)
    except (AttributeError, OSError) as error:
        return f"limits of running processes cannot be set: {error}"
    return None


NEEDS: Mapping[str, Need] = {
    "bridge filter": nft,
    "packet queue": queue,
    "preloaded shim": shim,
    "disks of their own": own_disks,
    "cpu groups": processor_groups,
    "memory groups": memory_groups,
    "descriptor limits": descriptor_limits,
}
"""By the name that `histrio doctor` prints."""


def _missing(command: str, package: str) -> str | None:
    return None if tool(command) is not None else f"the command {command} is not installed: install {package}"


def _tried(command: str, refusal: str, *, stdin: str = "") -> str | None:
    """Run a line of shell in a network and mounts that vanish with it; as the user that nodes would run as."""
    unshare = tool("unshare")
    if unshare is None:
        return "the command unshare is not installed: install util-linux"
    namespaces = ["--net", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    try:
        done = subprocess.run(
            [unshare, *namespaces, "sh", "-c", command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_PROBE_S,
            check=False,
            env={**os.environ, "PATH": path},
        )
    except subprocess.TimeoutExpired:
        return f"{refusal} (no answer in {_PROBE_S:g} s)"
    if done.returncode == 0:
        return None
    why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return f"{refusal} ({why})"
