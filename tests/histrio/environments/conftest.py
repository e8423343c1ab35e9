"""What the tests of real worlds need of the machine."""

from __future__ import annotations

import pytest

from tests.conftest import missing


@pytest.fixture(scope="session")
def etcd() -> None:
    """The program that the second system runs."""
    from histrio.systems.etcd import ETCD

    if ETCD.obstacle is not None:
        missing("etcd", str(ETCD.obstacle))


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Network namespaces, and the tools to make and to break them."""
    from histrio.environments.local import LOCAL

    if LOCAL.obstacle is not None:
        missing("namespaces", str(LOCAL.obstacle))
    for mechanism, obstacle in LOCAL.mechanisms.items():
        if obstacle is not None and mechanism == "network.block":
            missing("namespaces", obstacle)
