"""The examples of docs/checker.md run as they stand, one after another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def test_the_examples_of_the_checkers_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "checker.md"
    examples = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "documentation"}
    for example in examples:
        exec(compile(example, str(page), "exec"), names)
    assert len(examples) == 4
