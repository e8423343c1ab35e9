"""A Jepsen-style verification harness: starts a replicated system, breaks it, and judges what clients saw."""
