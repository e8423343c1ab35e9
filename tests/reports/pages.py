"""Reading a page back: a strict little parser for what tests look at."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

__all__ = ["Page", "read_page"]

_VOID = {"meta", "br", "link", "img", "input", "hr"}


@dataclass
class Page:
    """What a page holds, by section id."""

    text: str
    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    """(tag, attribute, value)"""
    words: dict[str, list[str]] = field(default_factory=dict)
    """Section id -> pieces of text in order; `sentence`, `command` and such ids count as sections too."""
    rows: dict[str, list[list[str]]] = field(default_factory=dict)
    """Section id -> rows of its tables, without the header."""
    scripts: list[str] = field(default_factory=list)

    def said(self, section: str) -> str:
        """All text of a section, with single spaces."""
        return " ".join(" ".join(self.words.get(section, [])).split())

    @property
    def svgs(self) -> list[ET.Element]:
        """Inline pictures, parsed strictly as XML."""
        return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", self.text, flags=re.DOTALL)]


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._stack: list[tuple[str, str | None]] = []
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._page.tags.append(tag)
        values = {name: value or "" for name, value in attrs}
        self._page.attributes += [(tag, name, value) for name, value in values.items()]
        if tag not in _VOID:
            self._stack.append((tag, values.get("id")))
        if tag == "tr":
            self._page.rows.setdefault(self._section(), []).append([])
        if tag in ("td", "th"):
            self._cell = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._page.tags.append(tag)
        self._page.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._stack.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"
        if tag in ("td", "th") and self._cell is not None:
            row = self._page.rows[self._section()][-1]
            if tag == "td":
                row.append(" ".join("".join(self._cell).split()))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._stack and self._stack[-1][0] == "script":
            self._page.scripts.append(data)
            return
        for _, name in self._stack:
            if name:
                self._page.words.setdefault(name, []).append(data)
        if self._cell is not None:
            self._cell.append(data)

    def _section(self) -> str:
        return next((name for tag, name in reversed(self._stack) if tag == "section" and name), "")

    def close(self) -> None:
        super().close()
        assert not self._stack, f"never closed: {self._stack}"


def read_page(text: str) -> Page:
    """Parse a page. Fails when tags do not close in order."""
    page = Page(text)
    reader = _Reader(page)
    reader.feed(text)
    reader.close()
    for rows in page.rows.values():
        rows[:] = [row for row in rows if row]
    return page
