"""Writing a report: every file of it, atomically, and equal bytes for equal inputs.

Here belongs the order of the work and the files' names; contents come from the other modules.
"""

from __future__ import annotations

import os
from pathlib import Path

from reports.checks_text import concerned
from reports.frame import operations_frame
from reports.headline import sentence, worst_checks
from reports.html import render_page
from reports.junit import junit_xml
from reports.plots import PLOT_NAMES, draw_plots
from reports.run_record import RunData, read_run
from reports.statistics import availability
from reports.summary import summary_markdown
from reports.timeline import timeline_svg
from reports.untested import untested

__all__ = ["write_report"]

CONTRADICTION = "contradiction"


def write_report(directory: Path) -> Path:
    """Write report.html, junit.xml, summary.md and plots/*.svg into a run directory; the path of report.html.

    Works for runs that were cut off, failed or were not judged yet: the page says so. Files appear whole or not at all,
    and equal inputs give equal bytes. Raises checker.errors.MalformedInput for a directory that is no run's.
    """
    data = read_run(directory)
    frame = operations_frame(data)
    found = availability(frame)
    line = sentence(data, frame, found)
    gaps = untested(data, frame)
    plots = draw_plots(data, frame)
    svgs = {plot.name: plot.svg for plot in plots} | _contradiction(data)
    (directory / "plots").mkdir(exist_ok=True)
    for name in (*PLOT_NAMES, CONTRADICTION):
        path = directory / "plots" / f"{name}.svg"
        if name in svgs:
            _write(path, svgs[name])
        else:
            path.unlink(missing_ok=True)  # left by a report on an earlier state of the directory
    _write(directory / "junit.xml", junit_xml(data, line))
    _write(directory / "summary.md", summary_markdown(data, line, gaps))
    page = directory / "report.html"
    _write(page, render_page(data, frame, found, plots, line, gaps))
    return page


def _contradiction(data: RunData) -> dict[str, str]:
    """The timeline of the first violation that names operations."""
    for check in worst_checks(data.verdict):
        operations = concerned(data, check)
        if operations:
            return {CONTRADICTION: timeline_svg(operations, data.faults, end_ns=data.end_ns)}
    return {}


def _write(path: Path, text: str) -> None:
    """Readers see the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
