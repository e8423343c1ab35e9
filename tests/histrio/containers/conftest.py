"""An engine, where one answers."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from histrio.environments.container_image import connect
from histrio.errors import EnvironmentUnavailable
from tests.conftest import missing


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """Skips the test where no Docker Engine answers, unless HISTRIO_REQUIRE names docker."""
    try:
        client = connect()
    except EnvironmentUnavailable as error:
        missing("docker", f"no Docker Engine answers: {error.why}")
    yield client
    client.close()
