"""report.html: one file that opens anywhere, from the verdict down to the glossary.

Here belongs choosing and wording what each section shows; how it looks is templates/report.html.j2. Everything is
autoescaped, and a content security policy forbids whatever could still slip through: no network, one known script.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2
import pandas as pd
from markupsafe import Markup

from checker.faults import FaultStatus
from checker.records import CheckResult
from reports.checks_text import budget_text, check_title, concerned, detail_lines, story_lines
from reports.headline import banner, by_severity, fault_kinds, replay_command, worst_checks
from reports.plots import Plot
from reports.run_record import RunData
from reports.statistics import UNAVAILABLE_S, Availability, function_table, recoveries
from reports.timeline import OPERATIONS_MAX, timeline_svg
from reports.wording import clock, counted, duration, percent, printable, value_text

__all__ = ["render_page"]

CHECKS_MAX = 200
FAULTS_MAX = 400
FAULTS_OPEN_MAX = 25
"""A longer table is folded: what became of each kind stands above it."""
STORIES_MAX = 5
PLAN_LENGTH_MAX = 100_000

_COPY_SCRIPT = """
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "copied";
  });
}
"""


def render_page(
    data: RunData, frame: pd.DataFrame, found: Availability, plots: Sequence[Plot], sentence: str, gaps: Sequence[str]
) -> str:
    """The page's text. `sentence`: the run in one sentence; `gaps`: what was not tested."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    checks = by_severity(data.verdict)
    return environment.get_template("report.html.j2").render(
        banner=banner(data.validity),
        sentence=sentence,
        name=printable(data.run.name),
        run=data.run,
        command=replay_command(data),
        facts=_facts(data),
        plan=data.plan,
        plan_text=printable_plan(data),
        notes=[printable(note) for note in data.notes],
        stories=[_story(data, check) for check in worst_checks(data.verdict)[:STORIES_MAX]],
        stories_left=max(0, len(worst_checks(data.verdict)) - STORIES_MAX),
        checks=[_check_row(check) for check in checks[:CHECKS_MAX]],
        checks_left=max(0, len(checks) - CHECKS_MAX),
        signature=printable(data.verdict.signature or "") if data.verdict else "",
        faults=_fault_rows(data, frame)[:FAULTS_MAX],
        faults_left=max(0, len(data.faults) - FAULTS_MAX),
        fault_kinds=fault_kinds(data),
        faults_fold=len(data.faults) > FAULTS_OPEN_MAX,
        plots=[(plot, Markup(plot.svg)) for plot in plots],
        availability=_availability_text(found),
        functions=_function_rows(frame),
        gaps=gaps,
        script=Markup(_COPY_SCRIPT),
        script_hash=base64.b64encode(hashlib.sha256(_COPY_SCRIPT.encode()).digest()).decode(),
    )


def printable_plan(data: RunData) -> str:
    """plan.json for the page; cut, visibly, when it is very long."""
    if data.plan is None:
        return ""
    text = data.plan.text
    lines = "\n".join(printable(line) for line in text[:PLAN_LENGTH_MAX].split("\n"))
    return lines if len(text) <= PLAN_LENGTH_MAX else f"{lines}\n… cut; all of it is in plan.json"


def _facts(data: RunData) -> list[tuple[str, str]]:
    run = data.run
    facts = [
        ("Seed", str(run.seed)),
        ("System", " ".join([run.system, *(f"{name}={value}" for name, value in sorted(run.system_options.items()))])),
        ("Nodes", " ".join(run.nodes)),
        ("Environment", run.environment),
        ("Workload", run.workload),
        ("Clients", f"{run.concurrency}, together at most {run.rate_hz:g} operations per second"),
        ("Faults asked for", ", ".join(run.nemesis) or "none"),
        ("Time limit", duration(run.time_limit_ns / 1e9)),
        ("Started", run.started_at),
        ("Ended", _end_text(data)),
        ("Versions", f"histrio {run.histrio_version}, Python {run.python_version}"),
    ]
    if run.bug:
        facts.insert(2, ("Planted bug", run.bug))
    if run.end and run.end.events is not None:
        facts.append(("Simulated events", f"{run.end.events:,}"))
    if run.end and run.end.trace_hash:
        facts.append(("Trace hash", run.end.trace_hash))
    if data.trace:
        facts.append(("Trace", counted(data.trace.lines, "event")))
    if data.plan:
        facts.append(("Plan", f"{counted(len(data.faults), 'fault')}, sha256 {data.plan.sha256[:16]}"))
    return [(name, printable(value)) for name, value in facts]


def _end_text(data: RunData) -> str:
    if data.run.end is None:
        return "no end mark: the harness was killed"
    return f"{data.run.end.reason} at {clock(data.run.end.time_ns)}"


# ── the failure story and the checks ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Story:
    title: str
    anomaly: str
    summary: str
    timeline: Markup
    undrawn: int
    lines: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]


def _story(data: RunData, check: CheckResult) -> _Story:
    operations = concerned(data, check)
    drawn = Markup(timeline_svg(operations, data.faults, end_ns=data.end_ns)) if operations else Markup("")
    return _Story(
        title=check_title(check),
        anomaly=printable(check.anomaly or ""),
        summary=printable(check.evidence.summary),
        timeline=drawn,
        undrawn=max(0, len(operations) - OPERATIONS_MAX),
        lines=story_lines(data, check),
        figures=_figures(check),
    )


def _figures(check: CheckResult) -> tuple[tuple[str, str], ...]:
    figures = check.evidence.figures.items()
    return tuple((printable(name.replace("_", " ")), value_text(value, length_max=200)) for name, value in figures)


@dataclass(frozen=True, slots=True)
class _CheckRow:
    title: str
    verdict: str
    sign: str
    tone: str
    anomaly: str
    summary: str
    details: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]
    budget: str


def _check_row(check: CheckResult) -> _CheckRow:
    look = banner(check.validity)
    return _CheckRow(
        title=check_title(check),
        verdict=str(check.validity),
        sign=look.sign,
        tone=look.tone,
        anomaly=printable(check.anomaly or ""),
        summary=printable(check.evidence.summary),
        details=detail_lines(check),
        figures=_figures(check),
        budget=budget_text(check),
    )


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _FaultRow:
    id: str
    kind: str
    when: str
    nodes: str
    rule: str
    counts: str
    status: str
    sign: str
    after_fault: str
    after_heal: str
    tone: str


_FAULT_SIGNS = {FaultStatus.EFFECTIVE: "✓", FaultStatus.NO_EFFECT: "∅", FaultStatus.UNVERIFIED: "?"}
_FAULT_TONES = {FaultStatus.EFFECTIVE: "valid", FaultStatus.NO_EFFECT: "vacuous", FaultStatus.UNVERIFIED: "unknown"}


def _fault_rows(data: RunData, frame: pd.DataFrame) -> list[_FaultRow]:
    rows = []
    for fault, recovery in zip(data.faults, recoveries(frame, data.faults), strict=True):
        if fault.applied_ns is None:
            when = "never began"
        elif fault.undone_ns is None:
            when = f"{clock(fault.applied_ns)} to the end"
        else:
            when = f"{clock(fault.applied_ns)} to {clock(fault.undone_ns)}"
        counts = ", ".join(f"{name} {count:,}" for name, count in sorted(fault.counts.items())) or fault.cause
        rows.append(
            _FaultRow(
                id=printable(fault.id),
                kind=printable(fault.kind),
                when=when,
                nodes=printable(" ".join(fault.resolved)),
                rule=printable(fault.rule),
                counts=printable(counts),
                status=fault.status,
                sign=_FAULT_SIGNS[fault.status],
                after_fault=_seconds(recovery.after_fault_s),
                after_heal=_seconds(recovery.after_heal_s),
                tone=_FAULT_TONES[fault.status],
            )
        )
    return rows


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None or math.isnan(seconds) else duration(seconds)


# ── figures ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _FunctionRow:
    f: str
    outcome: str
    count: str
    share: str
    latencies: tuple[str, ...]


def _function_rows(frame: pd.DataFrame) -> list[_FunctionRow]:
    return [
        _FunctionRow(
            f=printable(row.f),
            outcome=row.outcome,
            count=f"{row.count:,}",
            share=percent(row.count, len(frame)),
            latencies=tuple(_seconds(value) for value in (row.p50_s, row.p95_s, row.p99_s, row.max_s)),
        )
        for row in function_table(frame)
    ]


def _availability_text(found: Availability) -> str:
    if found.longest is None:
        return "No operation was invoked, so nothing can be said about availability."
    share = percent(found.span_s - found.unavailable_s, found.span_s)
    where = f"from {clock(round(found.longest.begin_s * 1e9))} to {clock(round(found.longest.end_s * 1e9))}"
    silences = counted(len(found.windows), "silence") if found.windows else "No silence"
    return (
        f"Served {share} of the time in which operations ran. {silences} of at least {duration(UNAVAILABLE_S)}; "
        f"the longest lasted {duration(found.longest.length_s)} ({where})."
    )
