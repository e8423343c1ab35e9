"""Commands and sockets in the network of the cluster's bridge, with an end to every wait."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import trio

from histrio.environments.namespaces import inside, tool
from histrio.errors import HarnessFailure

__all__ = ["in_network", "run", "run_in_network"]

_LIMIT_S = 20.0

_Made = TypeVar("_Made")


async def run(*command: str, stdin: str = "") -> str:
    """Its standard output. Raises HarnessFailure when it fails or does not end in 20 s."""
    program = tool(command[0])
    if program is None:
        raise HarnessFailure(f"the command {command[0]} is not installed", why="a fault needs it")
    with trio.move_on_after(_LIMIT_S):
        done = await trio.run_process(
            [program, *command[1:]], stdin=stdin.encode(), capture_stdout=True, capture_stderr=True, check=False
        )
        if done.returncode == 0:
            return done.stdout.decode(errors="replace")
        why = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise HarnessFailure(f"{' '.join(command)} failed", why=why)
    raise HarnessFailure(f"{' '.join(command)} did not end in {_LIMIT_S:g} s")


async def run_in_network(namespace: Path | None, *command: str, stdin: str = "") -> str:
    """The same in a network namespace; None: in this one."""
    if namespace is None:
        return await run(*command, stdin=stdin)
    program = tool(command[0])  # what `nsenter` would not find
    return await run("nsenter", f"--net={namespace}", program or command[0], *command[1:], stdin=stdin)


def in_network(namespace: Path | None, make: Callable[[], _Made]) -> _Made:
    """What `make` makes in a network namespace: sockets stay where they were made. Raises what it raises, OSError."""
    if namespace is None:
        return make()
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with inside(descriptor):
            return make()
    finally:
        os.close(descriptor)
