"""Adapters of systems under test. Nothing outside this package knows one system from another."""
