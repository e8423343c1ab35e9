"""Reads EDN, the data notation of Clojure, as far as histories use it: nil, booleans, numbers, strings, characters,
keywords, symbols, lists, vectors, sets, maps, tags, comments and discards.

Knows nothing of histories. Lists, vectors and sets become tuples, maps dicts, tags are dropped from their values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["EdnError", "Keyword", "Located", "read_edn"]

DEPTH_MAX = 64
"""Nesting that a history may have; deeper input is refused, not recursed into."""

DIGITS_MAX = 1_000
"""Python refuses to read integers of more than 4,300 digits."""

_TOKEN = re.compile(
    r"""[\s,]+ | ;[^\n]*
    | (?P<open>\#\{|[(\[{]) | (?P<close>[)\]}])
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<discard>\#_)
    | (?P<tag>\#[A-Za-z][^\s,;"()\[\]{}]*)
    | (?P<char>\\[^\s]\w*)
    | (?P<atom>[^\s,;"()\[\]{}\#\\][^\s,;"()\[\]{}]*)""",
    re.VERBOSE | re.DOTALL,
)
_INTEGER = re.compile(r"[+-]?\d+N?")
_FLOAT = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M?")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_CHARACTERS = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r"}
_CLOSING = {"(": ")", "[": "]", "{": "}", "#{": "}"}


@dataclass(frozen=True, slots=True)
class Keyword:
    """`:name` or a bare symbol, without the colon."""

    name: str


@dataclass(frozen=True, slots=True)
class Located:
    """A value at the top level, or one element of a list or vector there, and the line (from 1) on which it begins."""

    value: Any
    line: int


class EdnError(Exception):
    """`problem` at `line`, counted from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line, self.problem = line, problem


def read_edn(text: str) -> Iterator[Located]:
    """The values of `text`, one after another; of a list or vector at the top, its elements. Raises EdnError."""
    reader = _Reader(text)
    while reader.kind != "end":
        if reader.kind == "open" and reader.token in ("(", "["):
            yield from reader.elements()
            continue
        line = reader.line
        for value in reader.value(0):
            yield Located(value, line)


class _Reader:
    """One token of look-ahead over the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self.line = 1
        self.kind = ""
        self.token = ""
        self._next()

    def value(self, depth: int) -> list[Any]:
        """The value that begins here, or nothing if it is discarded."""
        kind, token, line = self.kind, self.token, self.line
        if kind == "end":
            raise EdnError(line, "the text ends in the middle of a value")
        if depth > DEPTH_MAX:
            raise EdnError(line, f"nested more than {DEPTH_MAX} deep")
        self._next()
        match kind:
            case "open":
                return [self._collection(token, line, depth)]
            case "close":
                raise EdnError(line, f"{token} closes nothing")
            case "discard" | "tag":
                following: list[Any] = []
                while not following:
                    following = self.value(depth + 1)
                return [] if kind == "discard" else following
            case _:
                return [_atom(kind, token, line)]

    def elements(self) -> Iterator[Located]:
        """The elements of the list or vector that begins here, as they are read."""
        opening, opened = self.token, self.line
        self._next()
        while self.kind != "close":
            if self.kind == "end":
                raise EdnError(opened, f"{opening} is never closed")
            line = self.line
            for value in self.value(1):
                yield Located(value, line)
        self._close(opening, opened)

    def _close(self, opening: str, line: int) -> None:
        if self.token != _CLOSING[opening]:
            raise EdnError(self.line, f"{self.token} closes the {opening} of line {line}")
        self._next()

    def _collection(self, opening: str, line: int, depth: int) -> Any:
        items: list[Any] = []
        while self.kind != "close":
            if self.kind == "end":
                raise EdnError(line, f"{opening} is never closed")
            items.extend(self.value(depth + 1))
        self._close(opening, line)
        if opening != "{":
            return tuple(items)
        if len(items) % 2:
            raise EdnError(line, "a map with a key but no value")
        try:
            return dict(zip(items[::2], items[1::2], strict=True))
        except TypeError:
            raise EdnError(line, "a map whose key is itself a map") from None

    def _next(self) -> None:
        while True:
            self.line = self._line
            if self._at == len(self._text):
                self.kind = "end"
                return
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                raise EdnError(self._line, f"not EDN: {self._text[self._at : self._at + 20]!r}")
            self._at = found.end()
            self._line += found.group().count("\n")
            if found.lastgroup is not None:
                self.kind, self.token = found.lastgroup, found.group()
                return


def _atom(kind: str, token: str, line: int) -> Any:
    if kind == "string":
        return _ESCAPE.sub(_unescape, token[1:-1])
    if kind == "char":
        return _CHARACTERS.get(token[1:], token[1:])
    if token in ("nil", "true", "false"):
        return {"nil": None, "true": True, "false": False}[token]
    if _INTEGER.fullmatch(token):
        if len(token) > DIGITS_MAX:
            raise EdnError(line, f"a number of {len(token)} digits")
        return int(token.rstrip("N"))
    if _FLOAT.fullmatch(token):
        return float(token.rstrip("M"))
    if token[0].isdigit():
        raise EdnError(line, f"not a number: {token}")
    return Keyword(token.removeprefix(":"))


def _unescape(found: re.Match[str]) -> str:
    escape = found.group(1)
    if len(escape) > 1:
        code = int(escape[1:], 16)
        return chr(code) if not 0xD800 <= code < 0xE000 else "\N{REPLACEMENT CHARACTER}"
    return _ESCAPES.get(escape, escape)
