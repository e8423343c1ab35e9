"""What is loaded into a node's process before its program: a shim around the C library's clocks, disk and limits.

C sources, how they are compiled where a C compiler is, the page of memory by which harness and shim talk, and the
undo journal that says what a node's disk would have lost. What is ordered through the page, and when, is the
mechanisms' affair. Programs that do not call the C library (static ones, and what Go compiles) escape it all.
"""

from __future__ import annotations
