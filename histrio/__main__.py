"""`histrio` and `python -m histrio`: the process around one call of the command line. Nothing else belongs here."""

from __future__ import annotations

import sys
import traceback

__all__ = ["main"]


def main() -> int:
    """Carry out the command line of this process and give its exit code.

    Python itself would exit with 1 for what is not caught, even for a missing library: here that is 70.
    """
    if not __debug__:
        print("histrio: python -O removes the assertions that keep verdicts honest", file=sys.stderr)
        print("  fix: run it without -O and without PYTHONOPTIMIZE", file=sys.stderr)
        return 64
    try:
        from histrio.cli_composition import real_services
        from histrio.cli_main import call_command, this_terminal

        return call_command(sys.argv[1:], real_services(), this_terminal())
    except Exception:
        traceback.print_exc()
        return 70


if __name__ == "__main__":
    sys.exit(main())
