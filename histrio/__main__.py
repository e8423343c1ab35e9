"""`histrio` and `python -m histrio`: the process around one call of the command line. Nothing else belongs here."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Carry out the command line of this process and give its exit code."""
    if not __debug__:
        print(
            "histrio: python -O removes the assertions that keep verdicts honest\n  fix: run without -O",
            file=sys.stderr,
        )
        return 64
    from histrio.cli_composition import real_services
    from histrio.cli_main import call_command, this_terminal

    return call_command(sys.argv[1:], real_services(), this_terminal())


if __name__ == "__main__":
    sys.exit(main())
