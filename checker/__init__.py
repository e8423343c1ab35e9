"""A Porcupine-like library: a history in, a verdict out. Imports the standard library and msgspec only."""
