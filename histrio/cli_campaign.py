"""`histrio campaign`: many seeds of a trial, a row each; what failed is run again with everything recorded.

The order is the promise: a row is counted when it came, the table is printed also when the campaign was cut short, and
every signature of a violation gets a run directory with a report before the command ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from checker.records import Validity
from histrio.campaign import CampaignSpec, Mix, Row, spec_of_seed
from histrio.campaign_summary import Summary, campaign_exit_code, summarize, summary_text
from histrio.catalogue import check_names
from histrio.cli_call import Call
from histrio.cli_print import json_text
from histrio.cli_run import record_and_report
from histrio.clocks import utc_now
from histrio.errors import EX_HARNESS, UsageProblem
from histrio.settings import Expectation
from histrio.trial import TrialSpec

__all__ = ["CampaignOptions", "campaign", "durations", "seed_range"]

RECORDED_MAX = 5
"""Signatures that get a run directory: the first so many."""
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_MIX = re.compile(r"(\d+(?:\.\d+)?)s:(\d+)")


class CampaignOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says beyond a trial's settings."""

    seeds: tuple[int, int]
    jobs: int = 1
    budget_s: float | None = None
    durations: tuple[Mix, ...] = ()
    small_percent: int = 0
    until_found: bool = False
    interpreted: bool = False
    rows: bool = False
    """The answer as JSON has every row."""


class CampaignAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """With --json."""

    summary: Summary
    rows: tuple[Row, ...] = ()


def seed_range(text: str) -> tuple[int, int]:
    """`1-2000`, or one seed. Raises UsageProblem."""
    match = _RANGE.fullmatch(text.strip())
    first = int(match[1]) if match else 1
    last = int(match[2] or match[1]) if match else 0
    if last < first:
        raise UsageProblem(f"--seeds {text}: no range of seeds", fix="write the first and the last, as in 1-2000")
    return first, last


def durations(text: str) -> tuple[Mix, ...]:
    """`4s:50,10s:40,60s:10`: lengths with percentages. Raises UsageProblem."""
    mixes = []
    for part in text.split(","):
        match = _MIX.fullmatch(part.strip())
        if match is None:
            raise UsageProblem(f"--durations {text}: {part!r} is not of the form 10s:40", fix="4s:50,10s:40,60s:10")
        mixes.append(Mix(float(match[1]), int(match[2])))
    if sum(mix.percent for mix in mixes) != 100:
        raise UsageProblem(f"--durations {text}: the percentages do not add up to 100", fix="4s:50,10s:40,60s:10")
    return tuple(mixes)


def campaign(
    call: Call, base: TrialSpec, options: CampaignOptions, *, expect: Expectation | None, as_json: bool
) -> int:
    """Run all seeds, print what they come to. Gives the exit code."""
    spec = _spec(call, base, options)
    call.stage = "running the campaign"
    rows: list[Row] = []
    rechecked, out_of_time = call.services.run_campaign(
        spec,
        options.jobs,
        options.interpreted,
        options.budget_s,
        _taker(call, rows, until_found=options.until_found),
        call.say,
    )
    summary = summarize(rows, rechecked=rechecked, out_of_time=out_of_time)
    kept = tuple(sorted(rows, key=lambda row: row.seed)) if options.rows else ()
    call.answer(json_text(CampaignAnswer(summary=summary, rows=kept)) if as_json else summary_text(summary))
    for signature, seeds in list(summary.signatures.items())[:RECORDED_MAX]:
        call.say(f"recording seed {seeds[0]}: {signature}")
        call.say(f"  {record_and_report(call, spec_of_seed(spec, seeds[0]))}")
    return _exit_code(rows, expect)


def _spec(call: Call, base: TrialSpec, options: CampaignOptions) -> CampaignSpec:
    """Names are refused here, once, and not by every worker."""
    catalogue = call.services.catalogue()
    known = tuple(entry.name for entry in catalogue.workloads)
    workloads = known if base.workload == "all" else tuple(base.workload.split(","))
    for workload in workloads:
        check_names(msgspec.structs.replace(base, workload=workload), catalogue)
    if base.environment != "sim":
        raise UsageProblem(
            f"--env {base.environment} has no campaigns",
            why="their trials run side by side in processes, and real clusters would disturb each other",
            fix=f"histrio run --env {base.environment}, once for each seed",
        )
    first, last = options.seeds
    return CampaignSpec(
        base=base,
        first=first,
        last=last,
        workloads=workloads,
        durations=options.durations,
        small_percent=options.small_percent,
    )


def _taker(call: Call, rows: list[Row], *, until_found: bool) -> Callable[[Row], bool]:
    """Takes a row; False once nothing more is wanted. Says what is not valid, and from time to time how far it is."""
    shown_at = utc_now()

    def take(row: Row) -> bool:
        nonlocal shown_at
        rows.append(row)
        if row.validity is not Validity.VALID:
            call.say(f"seed {row.seed}: {row.validity}  {row.signature or ''}  {row.why[:200]}")
        if (utc_now() - shown_at).total_seconds() >= 10:
            shown_at = utc_now()
            call.say(f"{len(rows):,} trials")
        return not (until_found and row.validity is Validity.INVALID)

    return take


def _exit_code(rows: list[Row], expect: Expectation | None) -> int:
    """As for one trial (docs/command-line.md): an expected violation that no row shows is 1, a broken harness 70."""
    own = campaign_exit_code(rows)
    if expect is None:
        return own
    if any(row.validity is Validity.HARNESS_ERROR for row in rows):
        return EX_HARNESS
    met = any(
        row.validity is expect.validity and (row.signature or "").startswith(expect.signature or "") for row in rows
    )
    if met:
        return 0
    return 1 if expect.validity is Validity.INVALID else own or 1
