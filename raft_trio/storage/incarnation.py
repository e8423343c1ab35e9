"""How often a node has started: a number on disk that is never used twice.

Message ids and request numbers contain it, so that nothing said to an earlier life of a node is taken for an answer to
this one.
"""

from __future__ import annotations

from raft_trio.errors import Corrupt
from raft_trio.files import FileExecutor, Pwrite, Read, Rename, Sync, SyncDir, Truncate

__all__ = ["next_incarnation"]

_PATH = "incarnation"
_NEW_PATH = "incarnation.new"


def next_incarnation(execute: FileExecutor) -> int:
    """Counts this start, durably, from 1. Raises Corrupt, OSError."""
    incarnation = _last(execute) + 1
    data = f"{incarnation}\n".encode()
    # The size first: the file may be a longer one that an interrupted start left behind.
    execute(Pwrite(_NEW_PATH, 0, data))
    execute(Truncate(_NEW_PATH, len(data)))
    execute(Sync(_NEW_PATH))
    execute(Rename(_NEW_PATH, _PATH))
    execute(SyncDir(""))
    return incarnation


def _last(execute: FileExecutor) -> int:
    try:
        data = execute(Read(_PATH))
    except FileNotFoundError:
        return 0
    assert isinstance(data, bytes)
    text = data.decode("ascii", errors="replace")
    if not text.endswith("\n") or not text[:-1].isdecimal():
        raise Corrupt(
            f"{_PATH} holds {text!r}",
            why="it counts the starts of this node and was written atomically",
            fix="write a number above any used before, followed by a newline",
        )
    return int(text)
