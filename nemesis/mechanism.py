"""What an environment must be able to do so that faults can be carried out.

A mechanism obeys; it draws nothing and decides nothing. It counts consequences, because a switch that was turned on
proves nothing. Both calls return at once: an environment that needs time starts the work and reports when it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from nemesis.injector import Apply, Undo

__all__ = ["Mechanism"]


class Mechanism(Protocol):
    """Carries out the kinds of one mechanism of `nemesis.kinds.MECHANISMS`. Both calls may be repeated harmlessly."""

    def apply(self, action: Apply) -> str:
        """Switch the fault on; returns the rule for people (`drop n1 -> n2 n3`, `SIGKILL n2`).

        A node that is already as the fault wants it is left alone, and then counts nothing for this fault.
        """
        ...

    def undo(self, action: Undo) -> Mapping[str, int]:
        """Switch it off; returns the counted consequences, under the names of the kind's evidence and others.

        For process faults only `action.nodes` return: others are held by faults that still last.
        """
        ...
