"""How fast the linearizability checker is, on generated histories, and beside Porcupine on the same files.

    python -m benchmarks.checker [--engine c] [--porcupine PATH] [--largest 1000000] [--first] [--many 200]
                                 [--files FOLDER --model NAME …]

Prints a table: seconds from operations to the verdict (preparation included, reading files not), the most memory the
process has held, the engine. It fails if another engine ran than the one asked for. Every history is checked in a
process of its own, so that memory is its own.

PATH is an executable that calls Porcupine: `PATH MODEL LIMIT_SECONDS REPEATS FILE…`, MODEL being `cas-register` (files
in Jepsen's log text), `kv` or `fifo-queue` (Clojure-like maps, as in Porcupine's own test data; a queue's `get` is a
dequeue). It prints, per file, `{"file": …, "verdict": "ok|illegal|unknown", "seconds": …}`, timing Porcupine's check
alone, the median of REPEATS after one garbage collection, as on this side. Both run one after the other on the same
file; verdicts that contradict each other end the benchmark.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from time import perf_counter_ns, process_time_ns  # noqa: TID251  a benchmark measures the machine's time
from typing import Any

from benchmarks.checker_histories import Family, Kind, generate, spoil, write_text
from checker.engines import Engine, engine_for
from checker.formats import load_history
from checker.history import Operation
from checker.linearizability import judge_all, judge_until_illegal
from checker.model import Model
from checker.models import MODELS
from checker.partition import Budget, Decision, check_operations

__all__ = ["FAMILIES", "main"]

CONFIGURATIONS = 30_000_000
PORCUPINE_LIMIT_S = 10
_NS_PER_S = 1_000_000_000

FAMILIES = (
    *(Family("register", 2_000, clients) for clients in (5, 20, 50, 100)),
    *(Family("register", 2_000, clients, values=0) for clients in (5, 20, 50, 100)),
    *(Family("cas-register", 2_000, clients) for clients in (5, 20, 50, 100)),
    *(Family("cas-register", 400, 5, crashed=crashed) for crashed in (0.05, 0.1, 0.2, 0.4)),
    Family("register", 1_000, 10, values=0, crashed=0.01),
    *(Family("kv", 10_000, clients, keys=10) for clients in (10, 50)),
    *(Family("kv-append", 2_000, clients, keys=10) for clients in (10, 30, 50)),
    *(Family("fifo-queue", 1_000, clients) for clients in (4, 6, 10)),
    *(Family("cas-register", 10_000, 10, crashed=crashed) for crashed in (0.0, 0.01)),
    *(Family("cas-register", 100_000, 10, crashed=crashed) for crashed in (0.0, 0.01)),
    *(Family("register", 100_000, 10, values=values, crashed=0.01) for values in (5, 0)),
    Family("register", 100_000, 10, values=0),
    Family("cas-register", 1_000_000, 10),
    Family("register", 1_000_000, 10, values=0),
)
"""Each is measured as generated, which is legal, and with eight reads that say what others said."""

SPOILED = (0, 8)


def model_of(kind: str) -> Model[Any]:
    """The model of a family; key-value stores begin with the empty text, as Porcupine's do."""
    if kind in ("kv", "kv-append"):
        return MODELS["key-value"].starting_at("")
    return MODELS[kind]


def measure(
    operations: Sequence[Operation], model: Model[Any], engine: Engine, repeats: int, *, until_illegal: bool
) -> dict[str, Any]:
    """Check all keys, or until one is illegal; the median of `repeats`, fewer if it takes long."""
    keys: dict[Any, list[Operation]] = {}
    for one in operations:
        keys.setdefault(one.key, []).append(one)
    parts = [(key, tuple(part)) for key, part in keys.items()]
    judge = judge_until_illegal if until_illegal else judge_all
    seconds: list[float] = []
    gc.collect()
    gc.disable()
    while len(seconds) < repeats and sum(seconds) < 1:
        begin = perf_counter_ns()
        judged, _ = judge(parts, model, Budget(CONFIGURATIONS), engine)
        seconds.append((perf_counter_ns() - begin) / _NS_PER_S)
    gc.enable()
    results = [one.result for one in judged]
    if {result.engine for result in results} != {engine}:
        raise SystemExit(f"engine {engine} was asked for, but {results[0].engine} ran")
    decisions = {result.decision for result in results}
    verdict = next(one for one in (Decision.ILLEGAL, Decision.UNKNOWN, Decision.OK) if one in decisions)
    return {
        "verdict": verdict.value,
        "seconds": sorted(seconds)[len(seconds) // 2],
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "engine": "/".join(sorted({result.engine for result in results})),
        "pass": results[-1].phase,
    }


def measure_family(
    family: Family, spoiled: int, engine: Engine, text: Path | None, *, until_illegal: bool
) -> dict[str, Any]:
    """Generate and check; with `text`, write the history there too."""
    rng = Random(f"benchmark/{family.name}")
    operations = generate(rng, family)
    if spoiled:
        operations = spoil(rng, operations, spoiled, len(operations) // 2)
    if text is not None:
        write_text(text, family.kind, operations)
    return measure(operations, model_of(family.kind), engine, repeats=5, until_illegal=until_illegal)


def in_a_process(*arguments: str) -> dict[str, Any]:
    """Run this module in a process of its own and read what it prints."""
    command = [sys.executable, "-m", "benchmarks.checker", *arguments]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def ask_porcupine(driver: Path, kind: str, files: Sequence[Path]) -> list[dict[str, Any]]:
    """What Porcupine says about each file."""
    model = {"kv": "kv", "kv-append": "kv", "key-value": "kv", "fifo-queue": "fifo-queue"}.get(kind, "cas-register")
    command = [str(driver), model, str(PORCUPINE_LIMIT_S), "5", *map(str, files)]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    died = {"verdict": "died", "seconds": float("nan")}
    return [*answers, *[died] * (len(files) - len(answers))]


def row(name: str, ours: dict[str, Any], theirs: dict[str, Any] | None) -> str:
    """One line of the table."""
    text = f"{name:<50} {ours['verdict']:<8} {ours['seconds']:>9.4f} s {ours['memory_mb']:>6} MB  {ours['engine']:<7}"
    text += f"{ours['pass']:<24}"
    if theirs is None:
        return text
    decided = {"ok", "illegal"}
    if {ours["verdict"], theirs["verdict"]} == decided:
        raise SystemExit(f"{name}: this checker says {ours['verdict']}, Porcupine {theirs['verdict']}")
    at_least = "" if theirs["verdict"] in decided else "> "
    ratio = theirs["seconds"] / ours["seconds"]
    return f"{text} {theirs['verdict']:<8} {theirs['seconds']:>9.4f} s {at_least}{ratio:.1f}x"


def print_families(engine: str, porcupine: Path | None, sizes: range, *, until_illegal: bool) -> None:
    """The table of generated families."""
    with tempfile.TemporaryDirectory() as folder:
        for place, family in enumerate(FAMILIES):
            for spoiled in SPOILED if family.operations in sizes else ():
                file = Path(folder) / f"{place}-{spoiled}"
                asked = ["--first"] if until_illegal else []
                asked += ["--one", json.dumps(asdict(family)), "--spoiled", str(spoiled), "--engine", engine]
                ours = in_a_process(*asked, *(["--text", str(file)] if porcupine else []))
                theirs = ask_porcupine(porcupine, family.kind, [file])[0] if porcupine else None
                print(row(f"{family.name}{' spoiled' if spoiled else ''}", ours, theirs), flush=True)
                file.unlink(missing_ok=True)


def print_files(folder: Path, kind: str, engine: Engine, porcupine: Path | None, *, until_illegal: bool) -> None:
    """The table of recorded files: totals, and the slowest beside Porcupine."""
    files = sorted(file for file in folder.iterdir() if file.suffix in (".log", ".txt", ".edn") and file.stat().st_size)
    model = model_of("kv") if kind == "key-value" else MODELS[kind]
    histories = (load_history(file).history.operations for file in files)
    ours = [measure(operations, model, engine, repeats=5, until_illegal=until_illegal) for operations in histories]
    theirs = ask_porcupine(porcupine, kind, files) if porcupine else [None] * len(files)
    for file, mine, other in zip(files, ours, theirs, strict=True):
        print(row(file.name, mine, other))
    total = sum(one["seconds"] for one in ours)
    line = f"{len(files)} files: {total:.4f} s"
    if porcupine:
        ratios = [other["seconds"] / mine["seconds"] for mine, other in zip(ours, theirs, strict=True) if other]
        line += f"; Porcupine {sum(one['seconds'] for one in theirs if one) / total:.1f}x in total, "
        line += f"median {sorted(ratios)[len(ratios) // 2]:.2f}x, worst {min(ratios):.2f}x"
    print(line)


def print_many(many: int, engine: Engine) -> None:
    """2,000 operations by 20 to 100 clients on one key, and 400 of which 160 crashed; half of all are spoiled
    until they are no longer found legal. Prints the worst, in seconds of processor time."""
    for what, families in (
        ("20 to 100 clients", [Family(kind, 2_000, 20, values) for kind in _COMPARING for values in (5, 0)]),
        ("160 of 400 operations crashed", [Family("cas-register", 400, clients, crashed=0.4) for clients in (5, 10)]),
    ):
        rows = [one_of_many(seed, families, engine) for seed in range(many)]
        rows.sort(key=lambda one: one[0], reverse=True)
        for seconds, name, verdict, phase in rows[:5]:
            print(f"{name:<50} {verdict:<8} {seconds:>9.4f} s  {phase}")
        illegal = [one for one in rows if one[2] != "ok"]
        for label, some in (("all", rows), ("not legal", illegal)):
            quick = sum(one[0] <= 0.1 and one[2] != "unknown" for one in some)
            unknown = sum(one[2] == "unknown" for one in some)
            print(f"{what}, {label}: {quick} of {len(some)} decided within 0.1 s, {unknown} unknown", flush=True)


_COMPARING: tuple[Kind, ...] = ("register", "cas-register")
SPOILINGS_MAX = 60


def one_of_many(seed: int, families: Sequence[Family], engine: Engine) -> tuple[float, str, str, str]:
    """(seconds, name, verdict, pass) with the default budget."""
    rng = Random(f"benchmark/many/{seed}")
    family = families[seed // 2 % len(families)]
    if family.operations >= 2_000:
        family = replace(family, clients=rng.randrange(20, 101))
    operations, model = generate(rng, family), model_of(family.kind)
    for _ in range(SPOILINGS_MAX if seed % 2 else 1):
        operations = (
            spoil(rng, operations, 3, family.operations // 2 if not family.crashed else 0) if seed % 2 else operations
        )
        gc.collect()
        begin = process_time_ns()
        result = check_operations(tuple(operations), model, engine=engine)
        seconds = (process_time_ns() - begin) / _NS_PER_S
        if result.decision is not Decision.OK:
            break
    return seconds, f"{family.name}{' spoiled' if seed % 2 else ''}", result.decision.value, result.phase


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checker", description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=("auto", "c", "python"), default="auto")
    parser.add_argument("--porcupine", type=Path, metavar="PATH", help="a driver of Porcupine, see this module's text")
    parser.add_argument("--smallest", type=int, default=0, help="leave out families with fewer operations")
    parser.add_argument("--largest", type=int, default=1_000_000, help="leave out families with more operations")
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="recorded histories instead of generated ones")
    parser.add_argument("--model", choices=sorted(MODELS), default="cas-register", help="of the files")
    parser.add_argument("--first", action="store_true", help="end with the first illegal key, as Porcupine does")
    parser.add_argument("--many", type=int, metavar="N", help="N histories of many clients, and N of many crashes")
    for internal in ("--one", "--spoiled", "--text"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    engine = engine_for(options.engine)
    if options.one:
        text, family = None if options.text is None else Path(options.text), Family(**json.loads(options.one))
        print(json.dumps(measure_family(family, int(options.spoiled), engine, text, until_illegal=options.first)))
    elif options.many:
        print_many(options.many, engine)
    elif options.files:
        print_files(options.files, options.model, engine, options.porcupine, until_illegal=options.first)
    else:
        sizes = range(options.smallest, options.largest + 1)
        print_families(engine, options.porcupine, sizes, until_illegal=options.first)


if __name__ == "__main__":
    main()
