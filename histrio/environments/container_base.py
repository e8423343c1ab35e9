"""A base image made of this machine's own Python, for machines that reach no registry.

The interpreter's standard library, the shared libraries that it and its extension modules need, and a shell, as a tar
archive that an engine imports. Consistent by construction: everything comes from the machine that built the packages
which are put on top of it (`container_image`). No pip, no package manager, no shell tools but those of `PROGRAMS`.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable
from pathlib import Path

__all__ = ["LAYOUT", "interpreter", "recipe", "write_base"]

LAYOUT = "3"
"""Changes whenever what is put into the archive does."""

PROGRAMS = ("sh", "ls", "cat", "kill")
"""For the nodes' start, and for people who look inside."""

_PARTS_OF_LIBC = ("libdl.so.2", "libm.so.6", "libpthread.so.0", "librt.so.1", "libutil.so.1")
"""Empty today, but wheels that were built for older systems are linked with them."""

_FOLDERS = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "var/tmp")
_LEFT_OUT = frozenset({"ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tests", "tkinter"})
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_LDD_LIMIT_S = 20.0


def interpreter() -> Path:
    """The interpreter itself, outside any virtual environment; the same path inside the image."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Path(sys.base_prefix).resolve() / "bin" / name


def recipe() -> str:
    """Names what an archive written now would hold: archives of one recipe are interchangeable."""
    parts = (LAYOUT, sys.version, str(interpreter()), sysconfig.get_config_var("SOABI") or "", *PROGRAMS)
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=6).hexdigest()


def write_base(target: Path) -> int:
    """Writes the archive; returns the number of files. Raises OSError."""
    files = _python_files()
    programs = {f"bin/{name}": Path(found) for name in PROGRAMS if (found := shutil.which(name)) is not None}
    binaries = [interpreter(), *programs.values(), *(file for file in files if file.suffix == ".so")]
    with tarfile.open(target, "w") as archive:
        for folder in (*_FOLDERS, "bin"):
            archive.addfile(_folder(folder))
        for name, text in _FILES.items():
            _add_text(archive, name, text)
        _add(archive, interpreter(), str(interpreter()))
        for link in ("usr/bin/python3", "usr/bin/python"):
            archive.addfile(_link(link, str(interpreter())))
        for file in (*files, *_libraries(binaries)):
            _add(archive, file, str(file))
        for name, path in programs.items():
            _add(archive, path, name)
        return len(archive.getmembers())


def _python_files() -> list[Path]:
    """The standard library without what no node needs."""
    roots = dict.fromkeys(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))
    found: dict[Path, None] = {}
    for root in roots:
        for path in sorted(root.rglob("*")):
            within = path.relative_to(root)
            skipped = _LEFT_OUT.intersection(within.parts) or within.parts[0].startswith("config-")
            if path.is_file() and not skipped and path.suffix != ".a" and ".opt-" not in path.name:
                found[path] = None  # compiled modules too: a node's start must not take seconds
    return list(found)


def _libraries(binaries: Iterable[Path]) -> list[Path]:
    """Shared libraries that any of them is linked with, the loader included, at the paths where they are looked for."""
    found: dict[Path, None] = {}
    answer = subprocess.run(
        ["ldd", *map(str, binaries)], capture_output=True, text=True, timeout=_LDD_LIMIT_S, check=False
    )
    for match in _LIBRARY.finditer(answer.stdout):
        found[Path(match.group(1))] = None
    for libc in [path for path in found if path.name == "libc.so.6"]:
        found.update((part, None) for name in _PARTS_OF_LIBC if (part := libc.parent / name).exists())
    return sorted(found)


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    """The file that `path` leads to, under `name`."""
    archive.add(path.resolve(), arcname=name.lstrip("/"), recursive=False)


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    data = text.encode()
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _folder(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE
    member.mode = 0o1777 if name.endswith("tmp") else 0o755
    return member


def _link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member
