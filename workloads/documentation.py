"""The tables of docs/workloads.md, made from the registries so that the page cannot say anything else."""

from __future__ import annotations

from workloads.errors import DEFINITE_ERRORS, INDEFINITE_ERRORS
from workloads.registry import WORKLOADS

__all__ = ["errors_table", "workloads_table"]


def workloads_table() -> str:
    """All workloads as a Markdown table, in the registry's order."""
    rows = ["| workload | operations | judged by model | what clients do |", "|---|---|---|---|"]
    for workload in WORKLOADS.values():
        functions = ", ".join(f"`{function}`" for function in workload.functions)
        model = "none" if workload.model is None else f"`{workload.model}`"
        rows.append(f"| `{workload.name}` | {functions} | {model} | {workload.description} |")
    return "\n".join(rows) + "\n"


def errors_table() -> str:
    """Errors and what they say about the operation, as a Markdown table; definite ones first."""
    rows = ["| error | outcome | why |", "|---|---|---|"]
    rows += [f"| `{name}` | fail | {why} |" for name, why in DEFINITE_ERRORS.items()]
    rows += [f"| `{name}` | info | {why} |" for name, why in INDEFINITE_ERRORS.items()]
    rows.append("| any other | info | an error that nobody has thought about proves nothing |")
    return "\n".join(rows) + "\n"
