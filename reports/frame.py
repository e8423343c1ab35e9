"""The operations of a run as a table: one row each, times in seconds.

Here belongs the translation into pandas; what is computed from it is `reports.statistics`.
"""

from __future__ import annotations

import pandas as pd

from reports.run_record import RunData

__all__ = ["OUTCOMES", "operations_frame"]

OUTCOMES = ("ok", "fail", "info")


def operations_frame(data: RunData) -> pd.DataFrame:
    """Columns: index, process, f, outcome, call_s, return_s, latency_s; in the order of the invocations.

    An operation still open at the end of the run has return_s = the end and latency_s = NaN.
    """
    operations, end_s = data.operations, data.end_ns / 1e9
    call_s = [operation.call_ns / 1e9 for operation in operations]
    return_s = [end_s if operation.return_ns is None else operation.return_ns / 1e9 for operation in operations]
    latency_s = [
        float("nan") if operation.return_ns is None else (operation.return_ns - operation.call_ns) / 1e9
        for operation in operations
    ]
    columns = {
        "index": pd.Series([operation.index for operation in operations], dtype="int64"),
        "process": pd.Series([operation.process for operation in operations], dtype="int64"),
        "f": pd.Series([operation.f for operation in operations], dtype="object"),
        "outcome": pd.Series([operation.outcome for operation in operations], dtype="object"),
        "call_s": pd.Series(call_s, dtype="float64"),
        "return_s": pd.Series(return_s, dtype="float64"),
        "latency_s": pd.Series(latency_s, dtype="float64"),
    }
    return pd.DataFrame(columns)
