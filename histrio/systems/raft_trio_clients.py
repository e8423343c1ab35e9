"""Broken clients: planted bugs on the client's side of raft_trio, selected by `--bug` as those of its nodes are.

A client that misjudges what happened, or repeats what may have happened, breaks a correct system's promises. Here
belong such clients and the node's rule that a retrying client relies on; broken machines are `raft_trio_machines`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from histrio.systems.raft_trio_hunts import BLIND_RETRIES, LEADER_CUT_OFF, RETRIES
from histrio.systems.system import Bug
from raft_trio.build import Build
from workloads.session import Operation, Outcome, Session, SessionStep

__all__ = ["BROKEN_CLIENTS", "BrokenClient", "ClientMode"]


def _unchanged_session(session: Session) -> Session:
    return session


@dataclass(frozen=True, slots=True)
class ClientMode:
    """How the clients of a run behave."""

    retrying: bool = False
    """The client of `raft_trio_retrying`, else the one that is bound to a node and never retries."""
    anew: bool = False
    """Every try takes a new sequence number."""
    spoil: Callable[[Session], Session] = _unchanged_session
    """What stands between a client that never retries and the harness."""


def _unchanged(build: Build) -> Build:
    return build


@dataclass(frozen=True, slots=True)
class BrokenClient:
    """A catalogue entry, the clients that have it, and the nodes they talk to."""

    bug: Bug
    client: ClientMode
    workload: str
    """The workload that shows it best."""
    plant: Callable[[Build], Build] = _unchanged


class _SilenceIsFailure:
    """Every outcome that is not known becomes a definite failure. Implements `workloads.session.Session`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def invoke(self, now_ns: int, operation: Operation, operation_id: str) -> SessionStep:
        return _definite(self._session.invoke(now_ns, operation, operation_id))

    def received(self, now_ns: int, payload: Any) -> SessionStep:
        return _definite(self._session.received(now_ns, payload))

    def disconnected(self, now_ns: int, *, delivered: bool) -> SessionStep:
        return _definite(self._session.disconnected(now_ns, delivered=delivered))

    def wake(self, now_ns: int) -> SessionStep:
        return _definite(self._session.wake(now_ns))


def _definite(step: SessionStep) -> SessionStep:
    completion = step.completion
    if completion is None or completion.outcome is not Outcome.INFO:
        return step
    return msgspec.structs.replace(step, completion=msgspec.structs.replace(completion, outcome=Outcome.FAIL))


def _every_copy_is_new(build: Build) -> Build:
    return replace(build, node_rules=replace(build.node_rules, is_new_command=lambda last, sequence: True))


_CATALOGUE = (
    BrokenClient(
        Bug(
            name="timeout_as_fail",
            reference="K8; etcd #14890, many of Jepsen's first clients",
            change="a client reports an operation that was not answered as failed, as if it had had no effect",
            detectors=("linearizability",),
            hunt=LEADER_CUT_OFF,
        ),
        ClientMode(spoil=_SilenceIsFailure),
        "register",
    ),
    BrokenClient(
        Bug(
            name="blind_retry",
            reference="K6; jetcd's retries found by Jepsen, etcd #14890",
            change="a client that got no answer sends its command again as a new one",
            detectors=("linearizability",),
            hunt=BLIND_RETRIES,
        ),
        ClientMode(retrying=True, anew=True),
        "counter",
    ),
    BrokenClient(
        Bug(
            name="no_dedup",
            reference="K1; thesis §6.3",
            change="nodes carry a command out again each time that a retrying client's copy of it is committed",
            detectors=("linearizability",),
            hunt=RETRIES,
        ),
        ClientMode(retrying=True),
        "append",
        _every_copy_is_new,
    ),
)

BROKEN_CLIENTS: Mapping[str, BrokenClient] = {broken.bug.name: broken for broken in _CATALOGUE}
