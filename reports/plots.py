"""The plots of a report: one function each, from a run's figures to SVG text.

Matplotlib's object interface only, no global figure. Faults are shaded windows in all plots over time. What the plots
have in common is `reports.canvas`; the timeline of a violation is `reports.timeline`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from checker.faults import FaultStatus, FaultSummary
from reports.canvas import (
    GRID,
    INK,
    OUTCOME_COLOURS,
    Panel,
    drawing_style,
    family_colour,
    fault_span_s,
    plain,
    text_colour_on,
    to_svg,
)
from reports.run_record import Incarnation, RunData
from reports.statistics import Availability, Recovery, availability, latency_quantiles, recoveries, throughput
from reports.wording import duration

__all__ = ["PLOT_NAMES", "Plot", "draw_plots"]

PLOT_NAMES = ("latency", "quantiles", "throughput", "availability", "leaders", "faults")
"""Every plot there may be; the stems of the files in plots/."""
VECTOR_POINTS_MAX = 800
"""Above this the points of a scatter become one image: 12,000 vector markers would weigh more than a megabyte."""
LIFE_COLOUR = "#8b949e"
ROLE_COLOURS = {"candidate": "#d55e00", "pre-candidate": "#e69f00"}
LEADER_COLOURS = ("#1f83c4", "#009e73", "#cc79a7", "#e69f00")
"""Taken in turn by term, so that a change of leader is a change of colour."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A finished plot. `alt`: what it shows, for those who do not see it."""

    name: str
    title: str
    alt: str
    svg: str


def draw_plots(data: RunData, frame: pd.DataFrame) -> tuple[Plot, ...]:
    """All plots for which the run has anything to show."""
    with drawing_style():
        return _draw(data, frame)


def _draw(data: RunData, frame: pd.DataFrame) -> tuple[Plot, ...]:
    end_s = data.end_ns / 1e9
    plots: list[Plot] = []
    if frame["latency_s"].notna().any():
        plots.append(_latency(frame, data.faults, end_s))
    if (frame["outcome"] == "ok").any():
        plots.append(_quantiles(frame, data.faults, end_s))
    if len(frame):
        found = availability(frame)
        plots.append(_throughput(frame, data.faults, end_s))
        plots.append(_availability(found, recoveries(frame, data.faults), data.faults, end_s))
    if data.trace is not None:
        plots.append(_leaders(data.trace.incarnations, data.faults, end_s))
    if data.faults:
        plots.append(_faults(data, end_s))
    return tuple(plots)


def _plot(figure: Figure, name: str, title: str, alt: str) -> Plot:
    return Plot(name, title, alt, to_svg(figure, name))


# ── latency ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _latency(frame: pd.DataFrame, faults: Sequence[FaultSummary], end_s: float) -> Plot:
    panel = Panel(end_s=end_s, height_in=2.4, label="latency", faults=faults)
    markers = {"ok": "o", "fail": "x", "info": "^"}
    many = len(frame) > VECTOR_POINTS_MAX
    for outcome in ("ok", "fail", "info"):
        rows = frame[(frame["outcome"] == outcome) & frame["latency_s"].notna()]
        if rows.empty:
            continue
        panel.axes.scatter(
            rows["call_s"],
            rows["latency_s"].clip(lower=1e-7),
            s=5 if outcome == "ok" else 14,
            alpha=0.5 if outcome == "ok" else 0.9,
            marker=markers[outcome],
            color=OUTCOME_COLOURS[outcome],
            linewidths=0 if outcome == "ok" else 0.7,
            label=f"{outcome} ({len(rows):,})",
            rasterized=many,
        )
    _log_latency(panel.axes)
    panel.legend()
    alt = "Scatter of every operation: time of invocation against latency on a logarithmic axis, by outcome."
    return _plot(panel.figure, "latency", "Latency of every operation, by outcome", alt)


def _quantiles(frame: pd.DataFrame, faults: Sequence[FaultSummary], end_s: float) -> Plot:
    quantiles = latency_quantiles(frame)
    panel = Panel(end_s=end_s, height_in=1.8, label="latency, ok only", faults=faults)
    lines = (
        ("median", quantiles.p50_s, "#1f83c4", "-"),
        ("95 %", quantiles.p95_s, "#009e73", "--"),
        ("99 %", quantiles.p99_s, "#e69f00", "-."),
        ("max", quantiles.max_s, "#cc79a7", ":"),
    )
    for label, values, colour, style in lines:
        panel.axes.plot(
            quantiles.time_s, values.clip(min=1e-7), style, color=colour, label=label, linewidth=1.3, marker="."
        )
    _log_latency(panel.axes)
    panel.legend()
    title = f"Latency quantiles of ok operations ({quantiles.bucket_operations:,} operations to a point)"
    return _plot(panel.figure, "quantiles", title, "Median, 95th, 99th percentile and maximum of latency over time.")


def _log_latency(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high / low < 30:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axes.yaxis.set_minor_locator(NullLocator())


# ── throughput and availability ──────────────────────────────────────────────────────────────────────────────────────


def _throughput(frame: pd.DataFrame, faults: Sequence[FaultSummary], end_s: float) -> Plot:
    rates = throughput(frame, end_s=end_s)
    panel = Panel(end_s=end_s, height_in=1.5, label="operations / s", faults=faults)
    base = np.zeros(len(rates.time_s))
    for outcome in ("ok", "fail", "info"):
        rate = rates.rate_hz[outcome]
        if not rate.any():
            continue
        panel.axes.stairs(
            base + rate,
            np.append(rates.time_s, rates.time_s[-1] + rates.width_s),
            baseline=base,
            fill=True,
            color=OUTCOME_COLOURS[outcome],
            alpha=0.8,
            label=outcome,
        )
        base = base + rate
    panel.axes.set_ylim(bottom=0)
    panel.legend()
    title = f"Completed operations per second, stacked by outcome (buckets of {duration(rates.width_s)})"
    return _plot(panel.figure, "throughput", title, "Stacked rate of ok, fail and info completions over time.")


def _availability(
    found: Availability, recovered: Sequence[Recovery], faults: Sequence[FaultSummary], end_s: float
) -> Plot:
    panel = Panel(end_s=end_s, height_in=0.42, label="", faults=faults)
    axes = panel.axes
    axes.broken_barh([(0, end_s)], (0, 1), facecolor="#009e73", alpha=0.25, label="served")
    silent = [(window.begin_s, window.length_s) for window in found.windows]
    if silent:
        axes.broken_barh(
            silent, (0, 1), facecolor="#d55e00", edgecolor=INK, hatch="////", linewidth=0, label="nothing succeeded"
        )
    served = [
        fault.undone_ns / 1e9 + recovery.after_heal_s
        for fault, recovery in zip(faults, recovered, strict=True)
        if fault.undone_ns is not None and recovery.after_heal_s is not None
    ]
    if served:
        axes.plot(served, [0.5] * len(served), "|", color=INK, markersize=9, label="first ok after a heal")
    axes.set_ylim(0, 1)
    axes.set_yticks([0.5], ["available"])
    axes.grid(visible=False)
    panel.legend()
    return _plot(panel.figure, "availability", "Availability", "Stretches in which operations waited and none was ok.")


# ── leaders and terms ────────────────────────────────────────────────────────────────────────────────────────────────


def _leaders(lives: Sequence[Incarnation], faults: Sequence[FaultSummary], end_s: float) -> Plot:
    nodes = sorted({life.node for life in lives})
    panel = Panel(end_s=end_s, height_in=0.3 * len(nodes) + 0.1, label="", faults=faults, legend_in=0.0)
    for life in lives:
        _draw_life(panel.axes, life, nodes.index(life.node), end_s)
    panel.axes.set_ylim(len(nodes) - 0.4, -0.6)
    panel.axes.set_yticks(range(len(nodes)), [plain(node) for node in nodes])
    panel.axes.grid(visible=False, axis="y")
    title = "Leaders and terms by node (box: leader, with its term; thin box: candidate; line: follower; gap: down)"
    return _plot(panel.figure, "leaders", title, "For each node the stretches in which it led, by term.")


def _draw_life(axes: Axes, life: Incarnation, lane: int, end_s: float) -> None:
    axes.hlines(lane, life.first_ns / 1e9, life.last_ns / 1e9, color=LIFE_COLOUR, linewidth=2, zorder=1)
    ends = [change.time_ns for change in life.roles[1:]] + [life.last_ns]
    for change, end_ns in zip(life.roles, ends, strict=True):
        begin_s, length_s = change.time_ns / 1e9, (end_ns - change.time_ns) / 1e9
        if change.role == "leader":
            colour = LEADER_COLOURS[change.term % len(LEADER_COLOURS)]
            axes.broken_barh([(begin_s, length_s)], (lane - 0.36, 0.72), facecolor=colour, zorder=2)
            if length_s > 0.03 * end_s:
                axes.text(
                    begin_s + length_s / 2,
                    lane,
                    f"{change.term}",
                    color=text_colour_on(colour),
                    ha="center",
                    va="center_baseline",
                )
        elif change.role in ROLE_COLOURS:
            colour = ROLE_COLOURS[change.role]
            axes.broken_barh([(begin_s, max(length_s, 0.001 * end_s))], (lane - 0.18, 0.36), facecolor=colour, zorder=2)


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _faults(data: RunData, end_s: float) -> Plot:
    kinds = list(dict.fromkeys(fault.kind for fault in sorted(data.faults, key=lambda f: (f.family, f.kind))))
    lanes = [*(["phase"] if data.run.phases else []), *kinds]
    panel = Panel(end_s=end_s, height_in=0.3 * len(lanes) + 0.1, label="", legend_in=0.0)
    for phase in data.run.phases:
        _draw_phase(
            panel.axes, phase.name, phase.begin_ns / 1e9, end_s if phase.end_ns is None else phase.end_ns / 1e9, end_s
        )
    for fault in data.faults:
        _draw_fault(panel.axes, fault, lanes.index(fault.kind), end_s)
    panel.axes.set_ylim(len(lanes) - 0.4, -0.6)
    panel.axes.set_yticks(range(len(lanes)), [plain(lane) for lane in lanes])
    panel.axes.grid(visible=False, axis="y")
    title = "Faults by kind (filled: effect counted; hatched: no effect; dotted: unverified; line: until healed)"
    return _plot(panel.figure, "faults", title, "For each kind of fault the stretches in which one was on.")


def _draw_phase(axes: Axes, name: str, begin_s: float, stop_s: float, end_s: float) -> None:
    axes.broken_barh([(begin_s, stop_s - begin_s)], (-0.3, 0.6), facecolor=GRID, edgecolor=INK, linewidth=0.4)
    if stop_s - begin_s > (0.008 * len(name) + 0.01) * end_s:
        axes.text((begin_s + stop_s) / 2, 0, plain(name), ha="center", va="center_baseline", fontsize=7)


def _draw_fault(axes: Axes, fault: FaultSummary, lane: int, end_s: float) -> None:
    span = fault_span_s(fault, end_s)
    if span is None:
        return
    begin_s, stop_s = span
    colour = family_colour(fault.family)
    face, hatch, line = {
        FaultStatus.EFFECTIVE: (colour, None, "-"),
        FaultStatus.NO_EFFECT: ("none", "////", "-"),
        FaultStatus.UNVERIFIED: ("none", None, ":"),
    }[fault.status]
    length_s = max(stop_s - begin_s, 0.003 * end_s)
    axes.broken_barh(
        [(begin_s, length_s)],
        (lane - 0.3, 0.6),
        facecolor=face,
        edgecolor=colour,
        hatch=hatch,
        linestyle=line,
        zorder=2,
    )
    if fault.healed_ns is not None:
        axes.hlines(lane, stop_s, fault.healed_ns / 1e9, color=colour, linewidth=1.5, zorder=1)
    label = plain(" ".join(fault.resolved))
    if length_s > (0.0075 * len(label) + 0.005) * end_s and label:
        ink = text_colour_on(colour) if fault.status is FaultStatus.EFFECTIVE else INK
        axes.text(begin_s + length_s / 2, lane, label, color=ink, ha="center", va="center_baseline", fontsize=7)
