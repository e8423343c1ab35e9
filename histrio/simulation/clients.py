"""Connections of clients: reliable and in order while both ends live, and not cut by partitions between nodes.

A connection is made by its first request and then leads to that incarnation of the node. It breaks when that
incarnation ends; the client hears of it after what was sent before has arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from histrio.simulation.agenda import Agenda
from histrio.simulation.node import Address
from histrio.simulation.process import Host, Process
from histrio.simulation.profile import ClientProfile

__all__ = ["Connection", "OnDisconnect", "OnPayload"]

OnPayload = Callable[[Any], None]

OnDisconnect = Callable[[bool], None]
"""Called once. False: the newest request certainly never reached the node, and none that did is unanswered."""


class Connection:
    """One client's connection to one node."""

    __slots__ = (
        "_agenda",
        "_answered",
        "_arrived",
        "_breaking",
        "_client",
        "_closed",
        "_host",
        "_labels",
        "_last_down",
        "_last_up",
        "_on_broken",
        "_on_disconnect",
        "_on_payload",
        "_process",
        "_profile",
        "_random_down",
        "_random_up",
        "_sent",
    )

    def __init__(
        self,
        client: Address,
        host: Host,
        *,
        agenda: Agenda,
        profile: ClientProfile,
        stream: str,
        on_payload: OnPayload,
        on_disconnect: OnDisconnect,
        on_broken: Callable[[Address], None],
    ) -> None:
        self._client, self._host, self._agenda, self._profile = client, host, agenda, profile
        self._on_payload, self._on_disconnect, self._on_broken = on_payload, on_disconnect, on_broken
        self._random_up = Random(f"{stream}/up").random
        self._random_down = Random(f"{stream}/down").random
        self._process: Process | None = None
        self._closed = self._breaking = False
        self._sent = self._arrived = self._answered = 0
        self._last_up = self._last_down = 0
        self._labels: dict[str, str] = {}

    def request(self, payload: Any) -> None:
        """Send to the node."""
        self._sent += 1
        self._push_up(
            f"request {self._client}>{self._host.name} {type(payload).__name__}", self._request_arrived, payload
        )

    def close(self) -> None:
        """The client goes. Requests on their way still arrive, and then the node hears of it."""
        self._closed = True
        self._push_up(f"close {self._client}>{self._host.name}", self._close_arrived, None)

    def reply(self, payload: Any, kind: str) -> None:
        """Send to the client."""
        label = self._labels.get(kind)
        if label is None:
            label = self._labels[kind] = f"reply {self._host.name}>{self._client} {kind}"
        self._push_down(label, self._reply_arrived, payload)

    def lost_node(self) -> None:
        """The node's end is gone; the client hears of it behind the replies that are on their way."""
        if not self._breaking:
            self._breaking = True
            self._push_down(f"break {self._host.name}>{self._client}", self._break_arrived, None)

    def _push_up(self, label: str, handler: Callable[[Any, Any], None], payload: Any) -> None:
        self._last_up = due = max(self._last_up, self._agenda.now_ns + self._latency(self._random_up()))
        self._agenda.push(due, label, handler, payload, None)

    def _push_down(self, label: str, handler: Callable[[Any, Any], None], payload: Any) -> None:
        self._last_down = due = max(self._last_down, self._agenda.now_ns + self._latency(self._random_down()))
        self._agenda.push(due, label, handler, payload, None)

    def _latency(self, draw: float) -> int:
        profile = self._profile
        return profile.latency_min_ns + int(draw * (profile.latency_max_ns - profile.latency_min_ns))

    def _request_arrived(self, payload: Any, _: None) -> None:
        if self._breaking:
            return
        if self._process is None:
            self._process = self._host.process
            if self._process is None:
                self.lost_node()
                return
            self._process.connections[self._client] = self
        self._arrived += 1
        self._process.receive(self._client, payload)

    def _close_arrived(self, _first: None, _second: None) -> None:
        if self._process is not None and not self._breaking:
            self._process.client_left(self._client, self)

    def _reply_arrived(self, payload: Any, _: None) -> None:
        if not self._closed:
            self._answered += 1
            self._on_payload(payload)

    def _break_arrived(self, _first: None, _second: None) -> None:
        if not self._closed:
            self._closed = True
            self._on_broken(self._client)
            self._on_disconnect(self._arrived > 0 and (self._arrived == self._sent or self._arrived > self._answered))
