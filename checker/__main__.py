"""`python -m checker FILE --model cas-register`: judge history files, without the rest of histrio.

Exit codes: 0 all valid, 1 one is invalid, 2 one is unknown (and none invalid), 64 usage or unreadable input, 70 an
error of ours.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import msgspec

from checker.errors import CheckerError, IllFormedHistory, ModelError
from checker.formats import implied_start, load_history, locate
from checker.linearizability import check_history
from checker.models import ALIASES, MODELS
from checker.partition import DEFAULT_BUDGET, Budget
from checker.records import CheckResult, Validity

__all__ = ["main"]

USAGE_ERROR, HARNESS_ERROR = 64, 70
_EXIT = {Validity.VALID: 0, Validity.INVALID: 1, Validity.UNKNOWN: 2}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE_ERROR, f"{self.prog}: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m checker", description="Is this history linearizable?")
    parser.add_argument(
        "files", metavar="FILE", nargs="+", type=Path, help="history.jsonl, Jepsen log text or EDN, Porcupine text"
    )
    parser.add_argument(
        "--model", required=True, choices=sorted([*MODELS, *ALIASES]), help="the sequential specification"
    )
    parser.add_argument("--initial", metavar="JSON", help="start state, such as 0; without it the model's own")
    parser.add_argument(
        "--budget", metavar="N", type=int, help="configurations; by default a million, and 30 per operation"
    )
    parser.add_argument("--seconds", metavar="S", type=float, help="wall-clock limit per file; none by default")
    parser.add_argument("--brief", action="store_true", help="do not look for the smallest contradiction")
    parser.add_argument("--first", action="store_true", help="end with the first key that is invalid")
    parser.add_argument("--json", action="store_true", help="one JSON object per file on stdout")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Judge every file named in `argv`; returns the exit code."""
    options = _parser().parse_args(argv)
    model = MODELS[ALIASES.get(options.model, options.model)]
    budget = replace(DEFAULT_BUDGET if options.budget is None else Budget(options.budget), seconds=options.seconds)
    worst = Validity.VALID
    try:
        if options.initial is not None:
            model = model.starting_at(json.loads(options.initial))
        for path in options.files:
            loaded = load_history(path)
            for warning in loaded.warnings:
                print(f"warning: {warning}", file=sys.stderr)
            start = implied_start(loaded, model) if options.initial is None else model
            try:
                result = check_history(
                    loaded.history, start, budget=budget, explain=not options.brief, every_key=not options.first
                )
            except IllFormedHistory as error:
                raise locate(path, loaded, error) from error
            _print(path, result, as_json=options.json)
            worst = max(worst, result.validity, key=lambda validity: validity.severity)
    except json.JSONDecodeError as error:
        print(f"--initial is not JSON: {error}", file=sys.stderr)
        return USAGE_ERROR
    except ModelError as error:
        print(f"error: {error}", file=sys.stderr)
        return HARNESS_ERROR
    except CheckerError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE_ERROR
    except Exception:
        traceback.print_exc()
        return HARNESS_ERROR
    return _EXIT[worst]


def _print(path: Path, result: CheckResult, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"file": str(path)} | msgspec.to_builtins(result), ensure_ascii=False))
        return
    print(f"{path}: {result.validity}" + (f" ({result.anomaly})" if result.anomaly else ""))
    print(f"  {result.evidence.summary}")
    for line in result.evidence.details:
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
