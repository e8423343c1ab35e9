"""The table of docs/environments.md that says how each fault is made on real nodes, from a literal beside the code."""

from __future__ import annotations

import msgspec

from histrio.environments.mechanisms.registry import ALL_MECHANISMS, BY_KERNEL_TOO, BY_SHIM_ALONE

__all__ = ["WAYS", "Way", "ways_table"]


class Way(msgspec.Struct, frozen=True):
    """One mechanism."""

    how: str
    needs: str
    ordinary_user: str
    """Whether and how without root."""
    undo: str


_QUEUE = "`iptables`, NFQUEUE, br_netfilter"
_SHIM = "`gcc` and glibc, a dynamically linked node"
_AGAIN = "undone; a node that ended for it is started"

WAYS: dict[str, Way] = {
    "network.block": Way("drop rules of the bridge, one table a fault", "`nftables`", "yes", "table deleted"),
    "process.kill": Way("SIGKILL", "nothing", "yes", "started"),
    "process.terminate": Way("SIGTERM, after 5 s SIGKILL", "nothing", "yes", "started"),
    "process.pause": Way("SIGSTOP", "nothing", "yes", "SIGCONT"),
    "network.disturb": Way("packets wait in a queue for the harness's word", _QUEUE, "yes", "rules removed"),
    "network.throttle": Way("the same queue, a line of limited speed for each link", _QUEUE, "yes", "rules removed"),
    "network.reset": Way("the same queue, a TCP reset to both ends", _QUEUE, "yes", "rules removed"),
    "process.power-loss": Way(
        "ext4 forgets what it has not written (EXT4_IOC_SHUTDOWN), kill, mount again",
        "a disk of its own, or as an ordinary user",
        "kill, and what no sync covered is taken back by the undo journal of the shim",
        "started",
    ),
    "clock.step": Way("the shim adds to the wall clock", _SHIM, "yes", "nothing is added"),
    "clock.strobe": Way("the shim adds to the wall clock, and does not", _SHIM, "yes", "nothing is added"),
    "clock.rate": Way("the shim scales monotonic clocks and waits, without a jump", _SHIM, "yes", "speed 1, no jump"),
    "disk.full": Way("ext4 gives no block to anybody (reserved_clusters)", _SHIM, "the shim fails writes", _AGAIN),
    "disk.error": Way("the shim fails writes, syncs, or reads too", _SHIM, "yes", _AGAIN),
    "disk.read-only": Way("the shim fails what changes a file", _SHIM, "yes", _AGAIN),
    "disk.slow": Way("the shim sleeps before each sync", _SHIM, "yes", "no delay"),
    "disk.hang": Way("the shim holds syncs; the node can still be killed", _SHIM, "yes", "syncs go on"),
    "disk.tear": Way(
        "the node stops at its next sync and is killed; of unsynced writes the undo journal keeps any first sectors",
        _SHIM,
        "yes",
        "started",
    ),
    "disk.flip": Way("killed, bits flipped in its files, started on them", "nothing", "yes", "the bits are put back"),
    "disk.truncate": Way("killed, a file cut short, started on it", "nothing", "yes", "the bytes are put back"),
    "resource.cpu": Way("a control group with a quota in periods of 20 ms", "control groups of cpu", "no", "no quota"),
    "resource.memory": Way(
        "a control group that gives no new page", "control groups of memory", "no", "no limit; started"
    ),
    "resource.files": Way(
        "the limit of the running process, and a knock at its ports", _SHIM, "yes", "limit as before"
    ),
}
"""Beside each other: the code, and what the page says of it."""


def ways_table() -> str:
    """Markdown, in the order of the registry."""
    assert WAYS.keys() == ALL_MECHANISMS.keys(), "a mechanism without a row, or a row without one"
    rows = ["| mechanism | how | needs | as an ordinary user | programs that load nothing | undo |"]
    rows.append("|---|---|---|---|---|---|")
    for name in ALL_MECHANISMS:
        way = WAYS[name]
        rows.append(f"| `{name}` | {way.how} | {way.needs} | {way.ordinary_user} | {_unloading(name)} | {way.undo} |")
    return "\n".join(rows) + "\n"


def _unloading(mechanism: str) -> str:
    """Whether and how static programs, and what Go compiles, are hurt."""
    if mechanism in BY_SHIM_ALONE:
        return "no"
    return _KERNEL_WAYS[mechanism] if mechanism in BY_KERNEL_TOO else "yes"


_KERNEL_WAYS = {
    "process.power-loss": "as root",
    "disk.full": "as root; seen if the node ends",
    "disk.error": "as root: ext4 is shut down, so that all operations fail; seen if the node ends",
    "disk.read-only": "as root: ext4 is made read-only as after an error; seen if the node ends",
    "disk.hang": "as root: ext4 is frozen",
}
