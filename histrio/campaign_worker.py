"""One process of a campaign: trials in, rows out, a line each, until its input ends.

    python -m histrio.campaign_worker

Spoken to by `histrio.campaign_workers` only. A process of its own, because trials are independent of each other,
because one that dies must take no other with it, and because it may run a compiled copy of the packages
(`histrio.compiled`).
"""

from __future__ import annotations

import gc
import sys

import msgspec

from histrio.campaign_trial import failed_row, run_trial
from histrio.trial import spec_from_json

__all__ = ["main"]


def main() -> None:
    """Serve until the input ends."""
    gc.freeze()  # what was imported stays: looking at it again and again finds nothing
    encoder = msgspec.json.Encoder()
    for line in sys.stdin.buffer:
        spec = spec_from_json(msgspec.json.decode(line))
        try:
            row = run_trial(spec)
        except Exception as error:  # the harness's own failure is a result, too: it is counted and shown, never lost
            row = failed_row(spec, f"{type(error).__name__}: {error}")
        sys.stdout.buffer.write(encoder.encode(row) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
