"""The plots, read back from their SVG: lanes, words, shading, and weight."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from matplotlib.figure import Figure

from checker.records import Became, NodeClock, RunEnd
from reports.canvas import Panel, drawing_style, family_colour, plain, text_colour_on, to_svg
from reports.frame import operations_frame
from reports.plots import PLOT_NAMES, draw_plots
from reports.run_record import read_run
from tests.reports.directories import (
    NODES,
    SECOND,
    HistoryBuilder,
    a_run,
    busy_trace,
    fault_lines,
    write_directory,
)


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def drawn(directory: Path, **files: Any) -> dict[str, str]:
    data = read_run(write_directory(directory, run=a_run(), **files))
    return {plot.name: plot.svg for plot in draw_plots(data, operations_frame(data))}


def a_few_operations(count: int) -> Any:
    builder = HistoryBuilder()
    for number in range(count):
        call_ns = number * 10_000_000
        builder.add(process=1, f="read", call_ns=call_ns, return_ns=call_ns + 1_000_000 + number)
    return builder.lines()


def test_leaders_are_drawn_by_node_with_their_terms(tmp_path: Path) -> None:
    words = texts(drawn(tmp_path, trace=busy_trace(500))["leaders"])
    assert [word for word in words if word in NODES] == list(NODES)
    assert {"1", "2", "3", "5", "6", "8"} <= set(words)


def test_a_node_that_is_down_leaves_a_gap_and_its_reign_ends(tmp_path: Path) -> None:
    write_directory(tmp_path, run=a_run(), trace=busy_trace(2_000))
    trace = read_run(tmp_path).trace
    assert trace is not None
    lives = [(life.node, life.number) for life in trace.incarnations]
    assert lives == [("n1", 0), ("n2", 0), ("n2", 1), ("n3", 0), ("n4", 0), ("n5", 0)]
    first, second = trace.incarnations[1:3]
    assert (round(first.last_ns / SECOND), round(second.first_ns / SECOND)) == (9, 13)
    assert [(change.role, change.term) for change in second.roles] == [
        ("follower", 2), ("pre-candidate", 5), ("candidate", 6), ("leader", 6), ("follower", 8)
    ]  # fmt: skip


def test_every_change_of_role_in_the_trace_is_read_and_nothing_else(tmp_path: Path) -> None:
    lines = busy_trace(1_000)
    write_directory(tmp_path, run=a_run(), trace=lines)
    trace = read_run(tmp_path).trace
    assert trace is not None
    assert trace.lines == len(lines)
    changes = sum(isinstance(line.event, Became) for line in lines)
    assert sum(len(life.roles) for life in trace.incarnations) == changes + len(trace.incarnations)


def test_a_trace_by_clocks_of_another_origin_is_not_put_on_the_time_axis(tmp_path: Path) -> None:
    end = RunEnd(time_ns=-1, reason="completed")
    data = read_run(write_directory(tmp_path, run=a_run(end=end), trace=busy_trace(100)))
    assert data.trace is None
    assert any("clocks do not start with the run" in absence for absence in data.absences)


def test_a_trace_whose_clocks_were_compared_with_the_runs_is_put_on_the_time_axis(tmp_path: Path) -> None:
    """Real nodes: each incarnation by its own offset; one that was never compared is left out."""
    lines = busy_trace(100)
    here = dict.fromkeys((line.node, line.incarnation) for line in lines)
    clocks = tuple(NodeClock(node=node, incarnation=life, offset_ns=-7 * SECOND) for node, life in here)
    shifted = [msgspec.structs.replace(line, local_ns=line.local_ns + 7 * SECOND) for line in lines]
    there = read_run(write_directory(tmp_path / "plain", run=a_run(), trace=lines)).trace
    moved = read_run(write_directory(tmp_path / "moved", run=a_run(clocks=clocks), trace=shifted)).trace
    assert there is not None
    assert moved == there
    lost = read_run(write_directory(tmp_path / "lost", run=a_run(clocks=clocks[1:]), trace=shifted)).trace
    assert lost is not None
    assert len(lost.incarnations) == len(there.incarnations) - 1


def test_faults_have_a_lane_by_kind_below_the_phases(tmp_path: Path) -> None:
    words = texts(drawn(tmp_path, faults=fault_lines())["faults"])
    lanes = [
        "phase",
        "kill",
        "partition-halves",
        "partition-leader",
        "partition-majority",
        "partition-one-way",
        "pause",
    ]
    assert [word for word in words if word in lanes] == lanes
    assert {"load", "n1 n4 n5"} <= set(words)


def test_a_fault_without_effect_is_hatched_and_only_that(tmp_path: Path) -> None:
    every = fault_lines()
    effective = tuple(line for line in every if line.id in ("f1", "f2"))
    assert "<pattern" in drawn(tmp_path / "a", faults=every)["faults"]
    assert "<pattern" not in drawn(tmp_path / "b", faults=effective)["faults"]


def test_faults_shade_the_other_plots_and_are_named_there(tmp_path: Path) -> None:
    plots = drawn(tmp_path, history=a_few_operations(60), faults=fault_lines(), trace=busy_trace(100))
    assert set(plots) == set(PLOT_NAMES)
    for name in set(PLOT_NAMES) - {"faults"}:
        words = texts(plots[name])
        assert "partition-halves" in words
        assert words.count("kill") == 3
        assert plots[name].count(f"fill: {family_colour('kill')}; opacity: 0.13") == 3


@pytest.mark.parametrize(("count", "images"), [(50, 0), (1_000, 1)])
def test_many_points_become_one_image_and_few_stay_sharp(tmp_path: Path, count: int, images: int) -> None:
    svg = drawn(tmp_path, history=a_few_operations(count))["latency"]
    assert svg.count("<image") == images
    assert len(svg) < 400_000


def test_labels_of_faults_that_crowd_are_left_out_rather_than_drawn_over_each_other() -> None:
    from checker.faults import FaultStatus, FaultSummary

    faults = [
        FaultSummary(
            id=f"f{number}", kind="partition-halves", family="partition", status=FaultStatus.EFFECTIVE, planned_ns=0,
            for_ns=1, applied_ns=number * SECOND, undone_ns=(number + 1) * SECOND,
        )
        for number in range(60)
    ]  # fmt: skip
    with drawing_style():
        panel = Panel(end_s=60.0, height_in=1.0, label="", faults=faults)
        svg = to_svg(panel.figure, "crowd")
    assert 6 < texts(svg).count("partition-halves") < 40


def test_names_with_dollar_signs_or_other_scripts_are_drawn_as_they_are() -> None:
    """A dollar sign would start a formula, and a missing glyph would warn on the terminal."""
    with drawing_style():
        panel = Panel(end_s=1.0, height_in=1.0, label=plain("$x_{1$ 漢"))
        svg = to_svg(panel.figure, "names")
    assert "$x_{1$ \\u6f22" in texts(svg)


def test_settings_of_the_user_change_nothing() -> None:
    import matplotlib as mpl

    def picture() -> str:
        with drawing_style():
            return to_svg(Panel(end_s=1.0, height_in=1.0, label="y").figure, "p")

    before = picture()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert picture() == before


def test_a_picture_carries_no_date_and_no_version() -> None:
    with drawing_style():
        svg = to_svg(Figure(figsize=(1, 1)), "empty")
    assert "<metadata" not in svg
    assert "atplotlib" not in svg
    assert not svg.startswith("<?xml")


@pytest.mark.parametrize(("colour", "ink"), [("#000000", "white"), ("#1f83c4", "white"), ("#e69f00", "black")])
def test_words_on_colours_are_legible(colour: str, ink: str) -> None:
    assert text_colour_on(colour) == ink
