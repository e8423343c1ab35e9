"""`python -m histrio.systems.raft_trio_node --bug NAME --config FILE`: a node of raft_trio with a planted bug.

What `python -m raft_trio serve` is for the build that users get.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from histrio.systems.raft_trio_modes import BUGS, build_of
from raft_trio.__main__ import run

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit codes are those of `raft_trio`."""
    parser = argparse.ArgumentParser(prog="python -m histrio.systems.raft_trio_node", description=__doc__)
    parser.add_argument("--bug", required=True, choices=BUGS, metavar="NAME", help="histrio list shows all")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="as for raft_trio")
    parsed = parser.parse_args(arguments)
    return run(parsed.config, build=build_of(parsed.bug))


if __name__ == "__main__":
    sys.exit(main())
