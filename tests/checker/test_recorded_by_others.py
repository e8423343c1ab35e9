"""Histories recorded by others get their known verdicts, from both commands, by exit code (issue 4, acceptance)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from checker.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


def questions(shared_data: Path) -> list[tuple[Path, str, str | None, bool]]:
    """(file, model, --initial, valid)."""
    etcd, knossos = shared_data / "porcupine-etcd", shared_data / "knossos"
    asked: list[tuple[Path, str, str | None, bool]] = [
        (etcd / name, "cas-register", None, valid)
        for name, valid in json.loads((etcd / "expected.json").read_text()).items()
    ]
    known: dict[str, dict[str, Any]] = json.loads((knossos / "expected.json").read_text())
    asked += [(knossos / name, one["model"], json.dumps(one["initial"]), one["valid"]) for name, one in known.items()]
    kv = sorted((shared_data / "porcupine-kv").glob("*.txt"))
    asked += [(file, "key-value", '""', file.stem.endswith("-ok")) for file in kv]
    asked.append((kv[0], "kv", None, kv[0].stem.endswith("-ok")))
    return asked


def test_the_command_of_the_library_exits_with_their_known_verdicts(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = questions(shared_data)
    assert len(asked) == 52 + 60 + 4 + 1
    wrong = []
    for file, model, initial, valid in asked:
        given = [] if initial is None else ["--initial", initial]
        if main([str(file), "--model", model, *given, "--brief"]) != (0 if valid else 1):
            wrong.append(file.name)
    capsys.readouterr()
    assert wrong == []


@pytest.mark.parametrize(
    ("file", "model", "initial", "code"),
    [
        ("porcupine-kv/c10-ok.txt", "kv", None, 0),
        ("knossos/multi-register__good__multi-register.edn", "multi-register", '{"x": 0, "y": 7}', 1),
    ],
)
def test_histrio_check_exits_with_their_known_verdicts(
    shared_data: Path, file: str, model: str, initial: str | None, code: int
) -> None:
    given = [] if initial is None else ["--initial", initial]
    command = [sys.executable, "-m", "histrio", "check", str(shared_data / file), "--model", model, *given]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
