"""The public names of `histrio`, and the README's examples, which run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import histrio

ROOT = Path(__file__).parent.parent
HEAVY = ("click", "docker", "jinja2", "matplotlib", "pandas", "trio")


def loaded_after(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(' '.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return {module.split(".")[0] for module in done.stdout.split()}


@pytest.mark.parametrize("name", histrio.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    """Style-anchors: users import from `histrio`, so that the generic folder names never matter to them."""
    assert getattr(histrio, name) is not None


def test_an_unknown_name_is_refused() -> None:
    """With the names that exist."""
    with pytest.raises(AttributeError, match="History"):
        histrio.Histroy  # noqa: B018


@pytest.mark.parametrize(
    "statement", ["import histrio", "from histrio import check_history, MODELS", "import raft_trio.node"]
)
def test_the_light_parts_do_not_load_the_heavy_libraries(statement: str) -> None:
    """Issue #2: nodes start without pandas, docker or the command line's libraries."""
    assert loaded_after(statement).isdisjoint(HEAVY)


def test_the_readmes_python_example_runs_and_finds_its_history_legal(capsys: pytest.CaptureFixture[str]) -> None:
    """Style-anchors rule 17."""
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("valid - ")
