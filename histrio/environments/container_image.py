"""The image that nodes run from: a base with this Python, and on top of it this checkout's packages. No network needed.

Here belongs finding a base, gathering what goes into the image, and building it. The build runs nothing (the Dockerfile
has no RUN), so nothing in it can reach for a network; whether the result works is found out by importing the node's
packages in it. What containers are made of it, is `container_cluster`'s affair.
"""

from __future__ import annotations

import compileall
import hashlib
import importlib.metadata
import importlib.util
import os
import py_compile
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from histrio.environments import container_base
from histrio.errors import EnvironmentUnavailable

__all__ = ["BASE_VARIABLE", "LABEL", "NodeImage", "build_image", "connect"]

LABEL = "histrio"
"""On everything that is ours: images, containers, networks. What carries it may be removed by us."""
BASE_VARIABLE = "HISTRIO_BASE_IMAGE"
"""Environment variable that names the base image, before any other is looked for."""

PACKAGES = ("checker", "histrio", "nemesis", "raft_trio", "workloads")
"""Ours that the node's command imports."""
LIBRARIES = ("msgspec", "trio")
"""Of others; what they need comes along."""

_SITE = "/histrio/site"
_PULL_LIMIT_S = 20.0
_CALL_LIMIT_S = 60
_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_CHECK = (
    "import sys; import raft_trio.__main__, histrio.systems.raft_trio; "
    f"sys.exit(sys.version_info[:2] != ({sys.version_info.major}, {sys.version_info.minor}))"
)

_DOCKERFILE = f"""\
ARG BASE_IMAGE=python:{_VERSION}-slim
FROM ${{BASE_IMAGE}}
COPY site {_SITE}
ENV PYTHONPATH={_SITE} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
"""

_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9._-]+)")


@dataclass(frozen=True, slots=True)
class NodeImage:
    """An image that nodes can be started from."""

    tag: str
    base: str
    """Name of the image below it."""
    built: bool
    """False: it was there already, with the same content."""


def connect() -> docker.DockerClient:
    """A client of the engine that the environment names. Raises EnvironmentUnavailable when none answers."""
    try:
        client = docker.from_env(timeout=_CALL_LIMIT_S, max_pool_size=32)
        client.ping()
    except DockerException as error:
        raise EnvironmentUnavailable(
            "no Docker Engine answers",
            why=str(error).splitlines()[0],
            fix="start dockerd, or set DOCKER_HOST; `docker info` must work for this user",
        ) from error
    return client


def build_image(client: docker.DockerClient, tell: Callable[[str], None] = lambda text: None) -> NodeImage:
    """The image of this checkout: reused where one of the same content exists, else built and tried.

    tell: progress, for people. Raises EnvironmentUnavailable when there is no base or the result does not work.
    """
    base = _base(client, tell)
    with tempfile.TemporaryDirectory(prefix="histrio-image-") as folder:
        context = Path(folder)
        digest = _gather(context, base_id=client.images.get(base).id)
        tag = f"histrio-node:{digest}"
        if _has(client, tag):
            return NodeImage(tag, base, built=False)
        tell(f"building {tag} on {base}")
        _build(client, context, tag, base)
    _try(client, tag, base)
    return NodeImage(tag, base, built=True)


# ── the base ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _base(client: docker.DockerClient, tell: Callable[[str], None]) -> str:
    """The first that can be had: the one asked for, the official one, one made of this machine's Python."""
    asked = os.environ.get(BASE_VARIABLE)
    if asked:
        if not _has(client, asked) and not _pull(client, asked):
            raise EnvironmentUnavailable(
                f"{BASE_VARIABLE}={asked}: there is no such image here, and it cannot be pulled",
                fix=f"docker pull {asked}, or unset {BASE_VARIABLE}",
            )
        return asked
    official = f"python:{_VERSION}-slim"
    if _has(client, official):
        return official
    own = f"histrio-base:{container_base.recipe()}"
    if _has(client, own):
        return own
    tell(f"looking for {official} in the registry")
    if _pull(client, official):
        return official
    tell(f"no registry: making {own} of this machine's Python {_VERSION}")
    _import_base(client, own)
    return own


def _has(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _pull(client: docker.DockerClient, name: str) -> bool:
    """Whether the image came within the limit; a pull that hangs is left to itself."""
    repository, _, tag = name.rpartition(":")
    done: list[bool] = []

    def pull() -> None:
        try:
            client.images.pull(repository or name, tag=tag if repository else None)
            done.append(True)
        except DockerException:
            done.append(False)

    thread = threading.Thread(target=pull, name="pull", daemon=True)
    thread.start()
    thread.join(_PULL_LIMIT_S)
    return done == [True]


def _import_base(client: docker.DockerClient, name: str) -> None:
    repository, _, tag = name.partition(":")
    with tempfile.TemporaryDirectory(prefix="histrio-base-") as folder:
        archive = Path(folder) / "base.tar"
        container_base.write_base(archive)
        changes = [f"LABEL {LABEL}=base", f"LABEL {LABEL}.made-of={container_base.interpreter()}"]
        client.api.import_image_from_file(str(archive), repository=repository, tag=tag, changes=changes)


# ── what goes on top ─────────────────────────────────────────────────────────────────────────────────────────────────


def _gather(context: Path, *, base_id: str) -> str:
    """Writes the build's context; returns a digest of everything in it and of the base."""
    site = context / "site"
    for package in PACKAGES:
        _copy_package(package, site)
    for library in _closure(LIBRARIES):
        _copy_distribution(library, site)
    (context / "Dockerfile").write_text(_DOCKERFILE, encoding="utf-8")
    digest = hashlib.blake2b(base_id.encode(), digest_size=8)
    for path in sorted(path for path in context.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(context)).encode() + b"\0")
        digest.update(hashlib.blake2b(path.read_bytes()).digest())
    return digest.hexdigest()


def _copy_package(name: str, site: Path) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None, f"{name} is one of our packages"
    for place in spec.submodule_search_locations or ():
        shutil.copytree(place, site / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "*.o"))


def _closure(names: tuple[str, ...]) -> list[str]:
    """The distributions and all that they need here, by name and in order."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name in found:
            continue
        found[name] = None
        for requirement in importlib.metadata.requires(name) or ():
            match = _REQUIREMENT.match(requirement)
            if match is not None and _is_installed(match.group(1)) and "extra ==" not in requirement:
                waiting.append(match.group(1))
    return sorted(found)


def _is_installed(name: str) -> bool:
    """Requirements with a marker for other machines are not, and need not be."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _copy_distribution(name: str, site: Path) -> None:
    for file in importlib.metadata.files(name) or ():
        inside = ".." not in file.parts and "__pycache__" not in file.parts
        if inside and (source := Path(str(file.locate()))).is_file():
            target = site / Path(*file.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


# ── building ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _build(client: docker.DockerClient, context: Path, tag: str, base: str) -> None:
    # Compiled here, for good: in a container it would happen at every start, for all nodes at once.
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(
        context / "site", stripdir=str(context), prependdir="/histrio", quiet=2, invalidation_mode=unchecked
    )
    labels = {LABEL: "node", f"{LABEL}.base": base, f"{LABEL}.python": _VERSION}
    try:
        client.images.build(
            path=str(context), tag=tag, buildargs={"BASE_IMAGE": base}, labels=labels, rm=True, forcerm=True
        )
    except DockerException as error:
        raise EnvironmentUnavailable(f"the image {tag} cannot be built", why=str(error)) from error


def _try(client: docker.DockerClient, tag: str, base: str) -> None:
    """Import what a node imports; an image in which that fails is removed, so that nobody takes it for good."""
    command: list[Any] = ["python3", "-c", _CHECK]
    try:
        client.containers.run(tag, command, remove=True, network_mode="none", labels={LABEL: "check"})
    except DockerException as error:
        client.images.remove(tag, force=True)
        raise EnvironmentUnavailable(
            f"raft_trio cannot be imported in an image on {base}",
            why=_last_line(error),
            fix=f"the base must have Python {_VERSION}, for which msgspec is compiled here: set {BASE_VARIABLE}",
        ) from error


def _last_line(error: DockerException) -> str:
    text = getattr(error, "stderr", None) or (error.explanation if isinstance(error, APIError) else None) or str(error)
    lines = (text.decode(errors="replace") if isinstance(text, bytes) else str(text)).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
