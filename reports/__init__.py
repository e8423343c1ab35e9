"""A run directory in, pictures and pages out. No judging, no running.

`write_report` is loaded when it is first asked for: matplotlib and pandas cost a second that `histrio --help` has not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.writer import write_report

__all__ = ["write_report"]


def __getattr__(name: str) -> object:
    if name == "write_report":
        from reports.writer import write_report

        return write_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
