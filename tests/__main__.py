"""The test command: every gate and every test, from one line of the README.

ruff (format, rules, banned clocks and randomness), import-linter (who may import whom) and mypy --strict, then pytest.
mypy runs beside pytest, because it is the slowest gate. Arguments go to pytest. Exits with 0 only if all passed.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["main"]

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable
BIN = Path(PYTHON).parent
GATES = {
    "ruff format": [PYTHON, "-m", "ruff", "format", "--check", "."],
    "ruff check": [PYTHON, "-m", "ruff", "check", "."],
    "import-linter": [str(BIN / "lint-imports"), "--no-cache"],
}
MYPY = [PYTHON, "-m", "mypy", "--no-error-summary"]
PYTEST = [PYTHON, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal"]


def main(arguments: list[str]) -> int:
    """Run everything and say at the end what failed."""
    if importlib.util.find_spec("ruff") is None:
        print("the test tools are missing: .venv/bin/pip install -e '.[dev]'", file=sys.stderr)
        return 64
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    failed = [name for name, command in GATES.items() if not _passes(name, command, environment)]
    with tempfile.TemporaryFile("w+") as output:
        mypy = subprocess.Popen(MYPY, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        tests = subprocess.run([*PYTEST, *arguments], cwd=ROOT, env=environment, check=False).returncode
        if mypy.wait() != 0:
            failed.append("mypy")
            output.seek(0)
            print(output.read())
    if tests != 0:
        failed.append(f"pytest (exit {tests})")
    print("gates: " + (f"FAILED: {', '.join(failed)}" if failed else "ruff, import-linter, mypy and pytest passed"))
    return 1 if failed else 0


def _passes(name: str, command: list[str], environment: dict[str, str]) -> bool:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"{name} failed:\n{done.stdout}{done.stderr}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
