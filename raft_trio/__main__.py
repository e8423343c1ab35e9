"""`python -m raft_trio`: see `raft_trio.tools.command`."""

from __future__ import annotations

import sys

from raft_trio.tools.command import main, run

__all__ = ["main", "run"]

if __name__ == "__main__":
    sys.exit(main())
