"""Runs many seeds of one trial and prints what became of them: the figures of docs/track-record.md.

    python -m benchmarks.seeds 1 200
    python -m benchmarks.seeds 1 50 --bug leader_local_read --black-box --until-found

Each run lies in a temporary directory that is removed unless the verdict is invalid without a planted bug. Exits with 0
if every run of a correct build was valid or vacuous, or the planted bug was found; else with 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec

from checker.faults import FaultStatus, summarize_faults
from checker.records import Validity
from histrio.clocks import utc_now
from histrio.judge import judge
from histrio.planning import plan_trial
from histrio.run import execute
from histrio.store import RunDirectory
from histrio.trial import TrialSpec

__all__ = ["Row", "main", "run_seed"]


@dataclass(frozen=True)
class Row:
    """What one seed left."""

    seed: int
    validity: Validity
    signature: str | None
    why: str
    """Summaries of the checks that were not valid."""
    operations: int
    ok_share: float
    events: int
    faults: Counter[tuple[str, FaultStatus]]


def run_seed(spec: TrialSpec) -> Row:
    """Run, judge and forget one seed."""
    spec.store.mkdir(parents=True, exist_ok=True)
    directory = RunDirectory.create(spec.store, f"seed-{spec.seed}", started_at=utc_now(), seed=spec.seed)
    execute(plan_trial(spec), directory)
    verdict = judge(directory.path)
    figures = next(check.evidence.figures for check in verdict.checks if check.name == "statistics")
    end = directory.read_run().end
    row = Row(
        seed=spec.seed,
        validity=verdict.validity,
        signature=verdict.signature,
        why="; ".join(check.evidence.summary for check in verdict.checks if check.validity is not Validity.VALID),
        operations=sum(sum(by_type.values()) for by_type in figures["counts"].values()),
        ok_share=figures["ok_share"],
        events=end.events or 0 if end else 0,
        faults=Counter((fault.kind, fault.status) for fault in summarize_faults(directory.read_faults().records)),
    )
    if spec.bug or row.validity is not Validity.INVALID:
        shutil.rmtree(directory.path.parent)
    return row


def _rows(specs: list[TrialSpec], jobs: int) -> Iterable[Row]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context)
    try:
        yield from pool.map(run_seed, specs)
    finally:
        pool.shutdown(cancel_futures=True)


def _print_tables(rows: list[Row]) -> None:
    verdicts = Counter(str(row.validity) for row in rows)
    print(f"\n{len(rows)} seeds: " + ", ".join(f"{count} {name}" for name, count in sorted(verdicts.items())))
    operations = sum(row.operations for row in rows)
    share = sum(row.ok_share * row.operations for row in rows) / max(1, operations)
    lowest = min(rows, key=lambda row: row.ok_share)
    print(f"{operations:,} operations, {share:.1%} ok; lowest share {lowest.ok_share:.1%} (seed {lowest.seed})")
    effective = [sum(n for (_, status), n in row.faults.items() if status is FaultStatus.EFFECTIVE) for row in rows]
    print(f"effective faults a run: {min(effective)} to {max(effective)}")
    faults: Counter[tuple[str, FaultStatus]] = sum((row.faults for row in rows), Counter())
    print(f"\n{'kind':<22}" + "".join(f"{status:>12}" for status in FaultStatus))
    for kind in sorted({kind for kind, _ in faults}):
        print(f"{kind:<22}" + "".join(f"{faults[kind, status]:>12}" for status in FaultStatus))


def main(arguments: list[str]) -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds")
    parser.add_argument("--nemesis", default="partition,kill")
    parser.add_argument("--workload", default="register")
    parser.add_argument("--bug")
    parser.add_argument("--client", choices=("harness", "retrying"), help="which client of raft_trio")
    parser.add_argument("--black-box", action="store_true", help="without the rules over the trace")
    parser.add_argument("--until-found", action="store_true", help="stop at the first violation")
    parser.add_argument("--store", type=Path, default=Path("runs/seeds"))
    given = parser.parse_args(arguments)
    base = TrialSpec(
        time_limit_s=given.time_limit,
        nemesis=tuple(given.nemesis.split(",")),
        workload=given.workload,
        bug=given.bug,
        system_options={"client": given.client} if given.client else {},
        white_box=not given.black_box,
        store=given.store,
    )
    rows: list[Row] = []
    for row in _rows([msgspec.structs.replace(base, seed=n) for n in range(given.first, given.last + 1)], given.jobs):
        rows.append(row)
        if row.validity is not Validity.VALID:
            print(f"seed {row.seed}: {row.validity}  {row.signature}  {row.why[:200]}", flush=True)
        if given.until_found and row.validity is Validity.INVALID:
            break
    _print_tables(rows)
    invalid = sum(row.validity is Validity.INVALID for row in rows)
    wrong = [row for row in rows if row.validity not in (Validity.VALID, Validity.VACUOUS)]
    return (0 if invalid else 1) if given.bug else (1 if wrong else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
