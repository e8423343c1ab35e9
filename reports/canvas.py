"""Drawing on one common time axis: figure size, margins, colours, fault shading, and figure to SVG text.

Here belongs what all plots share; each plot is in `reports.plots`. Ink and grid lines are drawn in two reserved colours
that become `currentColor` and a style variable, so that a page can show the same SVG in light and dark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from checker.faults import FaultSummary
from reports.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "FAMILY_COLOURS",
    "GRID",
    "INK",
    "OUTCOME_COLOURS",
    "Panel",
    "drawing_style",
    "family_colour",
    "fault_span_s",
    "plain",
    "text_colour_on",
    "to_svg",
]

INK = "#010203"
GRID = "#040506"
WIDTH_IN = 10.5
LEFT_IN, RIGHT_IN, BOTTOM_IN = 1.3, 0.15, 0.45
TOP_IN, LEGEND_IN = 0.05, 0.23
RASTER_DPI = 160
LABEL_ROWS = 3
LABEL_ROW_IN = 0.15
LABEL_CHARACTER_IN = 0.065

# After Okabe and Ito: told apart with any common colour blindness; shifted to be legible on white and on black.
OUTCOME_COLOURS: Mapping[str, str] = {"ok": "#1f83c4", "info": "#e69f00", "fail": "#cc79a7"}
FAMILY_COLOURS: Mapping[str, str] = {
    "partition": "#1f83c4",
    "kill": "#d55e00",
    "pause": "#c98500",
    "power-loss": "#cc79a7",
    "net": "#3d9fd6",
    "clock": "#009e73",
    "disk": "#9467bd",
    "resources": "#9a8700",
    "membership": "#8c564b",
    "transfer": "#17a2a2",
    "snapshot": "#7f7f7f",
}

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # shipped with matplotlib: the layout is the same on every machine
    "font.size": 8.5,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.image_inline": True,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}


def drawing_style() -> AbstractContextManager[None]:
    """The style in which all panels are made and written; they need it from beginning to end.

    Built on matplotlib's defaults, so that a user's own settings change nothing.
    """
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
    return mpl.rc_context({**defaults, **_STYLE})


def plain(text: str) -> str:
    """`text` in ASCII: the layout's font knows few other characters, and would warn of each."""
    return printable(text).encode("ascii", "backslashreplace").decode()


def family_colour(family: str) -> str:
    """The colour of a nemesis family; grey for one that is not known here."""
    return FAMILY_COLOURS.get(family, "#7f7f7f")


def text_colour_on(colour: str) -> str:
    """Black or white, whichever is easier to read on `colour`."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 135 else "black"


def fault_span_s(fault: FaultSummary, end_s: float) -> tuple[float, float] | None:
    """When the fault was on, in seconds; until the end of the run if it was never undone. None: never applied."""
    if fault.applied_ns is None:
        return None
    return fault.applied_ns / 1e9, end_s if fault.undone_ns is None else fault.undone_ns / 1e9


class Panel:
    """A figure of the common width whose time axis starts and ends where all others do."""

    def __init__(
        self,
        *,
        end_s: float,
        height_in: float,
        label: str,
        faults: Sequence[FaultSummary] = (),
        legend_in: float = LEGEND_IN,
    ) -> None:
        self._end_s = max(end_s, 1e-9)
        labels = _label_rows(faults, self._end_s)
        rows = 1 + max(labels.values(), default=-1)
        top_in = TOP_IN + legend_in + rows * LABEL_ROW_IN
        total_in = height_in + BOTTOM_IN + top_in
        self.figure = Figure(figsize=(WIDTH_IN, total_in))
        width = (WIDTH_IN - LEFT_IN - RIGHT_IN) / WIDTH_IN
        box = (LEFT_IN / WIDTH_IN, BOTTOM_IN / total_in, width, height_in / total_in)
        self.axes: Axes = self.figure.add_axes(box)
        self._rows_fraction = rows * LABEL_ROW_IN / height_in
        self.axes.set_xlim(0, self._end_s)
        self.axes.set_xlabel("seconds since the start of the run", labelpad=2)
        self.axes.set_ylabel(label)
        self._shade(faults, labels, height_in)

    def legend(self) -> None:
        """Put the legend on one line above the plot, at the right."""
        entries = len(self.axes.get_legend_handles_labels()[1])
        if not entries:
            return
        self.axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0 + self._rows_fraction),
            ncols=entries,
            borderpad=0.2,
            markerscale=1.6,
        )

    def _shade(self, faults: Sequence[FaultSummary], labels: Mapping[str, int], height_in: float) -> None:
        for fault in faults:
            span = fault_span_s(fault, self._end_s)
            if span is None:
                continue
            colour = family_colour(fault.family)
            self.axes.axvspan(*span, facecolor=colour, alpha=0.13, linewidth=0, zorder=0)
            if fault.id in labels:
                self.axes.annotate(
                    plain(fault.kind),
                    (span[0], 1.0 + (labels[fault.id] * LABEL_ROW_IN + 0.03) / height_in),
                    xycoords=("data", "axes fraction"),
                    color=colour,
                    fontsize=7,
                    annotation_clip=False,
                )


def _label_rows(faults: Sequence[FaultSummary], end_s: float) -> dict[str, int]:
    """Row above the plot for each fault's label; faults whose label would cover another's get none."""
    inch_per_s = (WIDTH_IN - LEFT_IN - RIGHT_IN) / end_s
    free_from = [0.0] * LABEL_ROWS
    rows: dict[str, int] = {}
    spans = [(span[0], fault) for fault in faults if (span := fault_span_s(fault, end_s)) is not None]
    for begin_s, fault in sorted(spans, key=lambda pair: (pair[0], pair[1].id)):
        begin_in = begin_s * inch_per_s
        end_in = begin_in + len(fault.kind) * LABEL_CHARACTER_IN + 0.08
        row = next((row for row in range(LABEL_ROWS) if free_from[row] <= begin_in), None)
        if row is not None and end_in <= end_s * inch_per_s + RIGHT_IN:
            free_from[row], rows[fault.id] = end_in, row
    return rows


def to_svg(figure: Figure, name: str) -> str:
    """The figure as one `<svg>` element: no prologue, no date, ids that start with `name`, themeable ink."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": f"histrio/{name}"}):
        FigureCanvasSVG(figure)
        figure.savefig(buffer, format="svg", dpi=RASTER_DPI, transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace(INK, "currentColor").replace(GRID, "var(--grid, #d0d7de)")
    return text.replace("DejaVu Sans", "sans-serif").strip() + "\n"
