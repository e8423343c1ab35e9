"""How real nodes are hurt: one implementation of each mechanism, for whatever `Cluster` the nodes are in.

A mechanism acts through the kernel where it can (queues, file systems, control groups), else through what is preloaded
into the nodes (`histrio.environments.preload`). It counts what it destroyed or held up; a switch proves nothing. Which
mechanisms can be had on a machine is found out by `needs`, all of them are listed in `registry`.
"""

from __future__ import annotations
