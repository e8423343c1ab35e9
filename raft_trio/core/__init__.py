"""The Raft algorithm as a deterministic function of events: no clock, no I/O, no randomness of its own."""
