"""Builds the compiled search of the checker, where there is a compiler; without one the pure Python search does it all.

Everything else about the package is in pyproject.toml.
"""

from setuptools import Extension, setup

PARTS = ("module", "registers", "problem", "oracle", "texts", "open", "search", "witness")

setup(
    ext_modules=[
        Extension(
            "checker.native._engine",
            sources=[f"checker/native/{part}.c" for part in PARTS],
            depends=[f"checker/native/{header}.h" for header in ("engine", "antichain", "python")],
            define_macros=[("Py_LIMITED_API", "0x030b0000")],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
