"""A complete Raft on trio: a deterministic core without I/O and a thin shell around it. Knows nothing of testing."""
