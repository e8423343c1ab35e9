"""docs/raft.md: its table of rules is the registry's, and what it names exists."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
from pathlib import Path

from raft_trio.config import RaftNodeConfig
from raft_trio.rules import RULES

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "raft.md"
SOURCE = re.compile(r"§|Figure \d|raft-dev|raft-rs|etcd|RedisLabs|\b[CELMPRST]\d+\b")
BEGIN, END = "<!-- rules -->\n", "<!-- end of rules -->\n"


def rules_table() -> str:
    """Every rule with its docstring, in the order of the record."""
    lines = ["| rule | what it decides |", "|---|---|"]
    for field in dataclasses.fields(RULES):
        text = inspect.getdoc(getattr(RULES, field.name)) or ""
        lines.append(f"| `{field.name}` | {' '.join(text.split())} |")
    return "\n".join(lines) + "\n"


def test_the_table_of_rules_is_that_of_the_registry() -> None:
    text = PAGE.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if os.environ.get("HISTRIO_REWRITE"):
        PAGE.write_text(text[:begin] + rules_table() + text[end:], encoding="utf-8")
        text = PAGE.read_text(encoding="utf-8")
        end = text.index(END)
    assert text[begin:end] == rules_table()


def test_every_rule_says_what_it_decides_and_where_that_is_from() -> None:
    """A rule without a source is an opinion."""
    for field in dataclasses.fields(RULES):
        text = inspect.getdoc(getattr(RULES, field.name)) or ""
        assert SOURCE.search(text), f"{field.name} names no section, no figure and no known mistake"


def test_modules_and_settings_that_the_page_names_exist() -> None:
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    modules = re.findall(r"`((?:core|storage)/\w+\.py)`", text) + re.findall(r"^   │ (\w+\.py)", text, re.MULTILINE)
    assert len(modules) >= 4
    assert [name for name in modules if not (ROOT / "raft_trio" / name).is_file()] == []
    settings = {field.name for field in dataclasses.fields(RaftNodeConfig)}
    named = set(re.findall(r"`((?:max|snapshot|trailing|election|cluster|lease)_\w+)`", text)) - {
        field.name for field in dataclasses.fields(RULES)
    }
    assert named <= settings
    assert len(named) >= 8
