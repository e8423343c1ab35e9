"""The process itself: what `histrio --help` loads, and what Python's own switches and exit codes must not do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAVY = ("docker", "jinja2", "matplotlib", "numpy", "pandas", "trio")


def python(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HISTRIO_")} | environ
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_help_loads_nothing_that_only_runs_and_reports_need() -> None:
    """Issue 2: `histrio --help` in 0.3 s. Time depends on the machine; what is imported does not."""
    program = f"""
import sys
sys.argv = ["histrio", "--help"]
from histrio.__main__ import main
code = main()
loaded = [name for name in {HEAVY!r} if name in sys.modules]
sys.exit(f"loaded: {{loaded}}" if loaded or code else 0)
"""
    done = python("-c", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert "demo" in done.stdout


def test_commands_are_shown_in_the_order_in_which_one_meets_them() -> None:
    done = python("-m", "histrio", "--help")
    shown = [line.split()[0] for line in done.stdout.split("Commands:")[1].strip().splitlines()]
    assert shown == ["demo", "run", "campaign", "check", "report", "replay", "bugs", "list", "doctor", "image"]


@pytest.mark.parametrize("switch", ["-O", "-OO"])
def test_python_without_assertions_is_refused(switch: str) -> None:
    """Style rule 15: our own mistakes assert; without assertions they would become verdicts."""
    done = python(switch, "-m", "histrio", "list")
    assert done.returncode == 64
    assert done.stdout == ""
    assert "without -O" in done.stderr


def test_a_library_that_cannot_be_imported_is_70_and_not_pythons_1(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ImportError('no click here')")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from histrio.__main__ import main; sys.exit(main())"
    done = python("-c", program)
    assert done.returncode == 70
    assert "no click here" in done.stderr
