"""Run as a program: one line for each seed with the digests of what a short run recorded. For the determinism test."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

import msgspec

from histrio.clocks import utc_now
from histrio.planning import plan_trial
from histrio.run import execute
from histrio.store import RunDirectory
from histrio.trial import TrialSpec

__all__ = ["main"]


def main(first: int, last: int) -> None:
    """Runs seeds `first` to `last`, with every kind of fault there is."""
    for seed in range(first, last + 1):
        with tempfile.TemporaryDirectory() as store:
            spec = TrialSpec(nodes=3, time_limit_s=2.0, concurrency=6, nemesis=("all",), seed=seed, store=Path(store))
            directory = RunDirectory.create(Path(store), "digest", started_at=utc_now(), seed=seed)
            execute(plan_trial(msgspec.structs.replace(spec, seed=seed)), directory)
            end = directory.read_run().end
            assert end is not None
            files = [directory.history, directory.faults, directory.trace, directory.plan_json]
            print(seed, end.trace_hash, *(hashlib.blake2b(file.read_bytes()).hexdigest()[:16] for file in files))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
