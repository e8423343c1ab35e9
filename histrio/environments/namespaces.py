"""Linux namespaces of this process and of nodes: a network of our own in which every node has one of its own.

`enter` moves the whole process, while it has one thread, into a network and a mount namespace that nobody else sees;
an ordinary user gets them inside a user namespace. They vanish with the processes in them, whatever ended those. A
node's network is held by a file descriptor of the harness, so that it outlives the node. Here belong system calls and
their refusals; nodes, links between them and disks are the cluster's affair.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from histrio.errors import EnvironmentUnavailable

__all__ = ["TOOL_FOLDERS", "as_root", "enter", "inside", "new_network", "obstacle", "set_address", "set_up", "tool"]

_NEWNS = 0x0002_0000
_NEWUSER = 0x1000_0000
_NEWNET = 0x4000_0000
_MS_REC = 0x4000
_MS_PRIVATE = 0x4_0000
_SIOCSIFADDR = 0x8916
_SIOCSIFNETMASK = 0x891C
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1

TOOL_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")
"""Where administrators' tools are that an ordinary user's PATH often lacks."""

_TOOLS = {"ip": "iproute2", "unshare": "util-linux", "setpriv": "util-linux"}
"""Command -> the package it is in."""
_PROBE = ("ip", "link", "add", "name", "probe", "type", "bridge")
_PROBE_S = 10.0

_libc = ctypes.CDLL(None, use_errno=True)


def tool(name: str) -> str | None:
    """The path of a command, also of one in the folders of administrators; None: it is not installed."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *TOOL_FOLDERS]))


# ── whether it can be done ───────────────────────────────────────────────────────────────────────────────────────────


@cache
def obstacle() -> EnvironmentUnavailable | None:
    """Why nodes cannot have networks of their own here; None: they can. Tried out in namespaces that vanish at once."""
    if not Path("/proc/self/ns/net").exists():
        return _refusal("this system has no network namespaces", "use Linux, or --env sim or docker")
    for name, package in _TOOLS.items():
        if tool(name) is None:
            return _refusal(f"the command {name} is not installed", f"install {package}")
    if as_root() or not _refused("--user", "--map-root-user"):
        return None
    return _refusal(
        f"this kernel gives user {os.geteuid()} no network namespace: {_refused('--user', '--map-root-user')}",
        "as root: sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 "
        "user.max_user_namespaces=10000 (those that exist); or run as root; or use --env docker",
    )


def _refusal(what: str, fix: str) -> EnvironmentUnavailable:
    return EnvironmentUnavailable(what, why="--env local gives every node a network namespace of its own", fix=fix)


@cache
def as_root() -> bool:
    """Whether this process may make namespaces and mounts as it is, so that it needs no user namespace."""
    return os.geteuid() == 0 and not _refused()


@cache
def _refused(*options: str) -> str:
    """Why a bridge in a new network namespace cannot be made; empty: it can."""
    unshare, ip = tool("unshare"), tool(_PROBE[0])
    assert unshare is not None, "looked for before"
    assert ip is not None, "looked for before"
    command = [unshare, *options, "--net", "--mount", ip, *_PROBE[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_S, check=False)
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"


# ── this process ─────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def enter() -> None:
    """Move this process into namespaces of its own, for good; once. Raises EnvironmentUnavailable."""
    if (refusal := obstacle()) is not None:
        raise refusal
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise EnvironmentUnavailable(
            "this process has several threads already",
            why="namespaces are a thread's, and a user namespace can be entered only while there is one",
            fix="run the command `histrio run --env local`, or conduct the trial in a process of its own",
        )
    user, group = os.geteuid(), os.getegid()
    root = as_root()
    _check(_libc.unshare(_NEWNET | _NEWNS | (0 if root else _NEWUSER)), "unshare")
    if not root:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {user} 1")
        _write("/proc/self/gid_map", f"0 {group} 1")
    # What we mount must not show outside, and so not outlive us.
    _check(_libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "mount")
    set_up("lo")


def _write(path: str, text: str) -> None:
    with Path(path).open("w", encoding="ascii") as file:
        file.write(text)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)} ({errno.errorcode.get(number, number)})")


# ── networks of nodes ────────────────────────────────────────────────────────────────────────────────────────────────


def new_network() -> int:
    """A new network namespace, which lasts as long as the returned descriptor or a process in it."""
    home = _present_network()
    try:
        _check(_libc.unshare(_NEWNET), "unshare")
        try:
            return _present_network()
        finally:
            _check(_libc.setns(home, _NEWNET), "setns")
    finally:
        os.close(home)


@contextmanager
def inside(network: int) -> Iterator[None]:
    """This thread is in `network`: sockets made and processes started here stay there. Nothing may be awaited."""
    home = _present_network()
    try:
        _check(_libc.setns(network, _NEWNET), "setns")
        try:
            yield
        finally:
            _check(_libc.setns(home, _NEWNET), "setns")
    finally:
        os.close(home)


def _present_network() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def set_address(interface: str, address: str, netmask: str) -> None:
    """Give an interface of the present network an IPv4 address, and switch it on."""
    for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, netmask)):
        packed = struct.pack("16sH2x4s8x", interface.encode(), socket.AF_INET, socket.inet_aton(value))
        _interface_call(request, packed)
    set_up(interface)


def set_up(interface: str) -> None:
    """Switch an interface of the present network on."""
    flags = _interface_call(_SIOCGIFFLAGS, struct.pack("16sh14x", interface.encode(), 0))
    (present,) = struct.unpack("16xh14x", flags)
    _interface_call(_SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), present | _IFF_UP))


def _interface_call(request: int, argument: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return fcntl.ioctl(sock, request, argument)
