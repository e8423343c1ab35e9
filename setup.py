"""Builds the compiled search of the checker, where there is a compiler; without one the pure Python search does it all.

Everything else about the package is in pyproject.toml.
"""

from hashlib import blake2b
from pathlib import Path

from setuptools import Extension, setup

PARTS = ("module", "registers", "problem", "oracle", "texts", "open", "search", "witness")
HEADERS = ("engine", "antichain", "python")

NATIVE = Path(__file__).parent / "checker" / "native"


def digest() -> str:
    """Of the sources, as `checker.native` takes it: an engine built from others is not used."""
    hashed = blake2b(digest_size=8)
    for path in sorted([*NATIVE.glob("*.c"), *NATIVE.glob("*.h")]):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


setup(
    ext_modules=[
        Extension(
            "checker.native._engine",
            sources=[f"checker/native/{part}.c" for part in PARTS],
            depends=[f"checker/native/{header}.h" for header in HEADERS],
            define_macros=[("Py_LIMITED_API", "0x030b0000"), ("SOURCES", f'"{digest()}"')],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
