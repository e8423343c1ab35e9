"""An etcd of one node in memory, behind httpx: as much of the gateway as the client uses, in etcd's own words.

The shapes are those that etcd 3.4.23 gave over curl: 64-bit numbers as text, and nothing that is empty, 0 or false.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import httpx

__all__ = ["FakeEtcd", "refusal"]

HEADER = {"cluster_id": "324952591200643719", "member_id": "3319814642761637952", "revision": "2", "raft_term": "2"}


def refusal(status: int, said: str) -> httpx.Response:
    """What etcd answers when it does not do as asked."""
    return httpx.Response(status, json={"error": said, "message": said, "code": 14})


class FakeEtcd:
    """Call it with a request. `requests`: all of them, path and body."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.requests.append((request.url.path, body))
        match request.url.path:
            case "/v3/kv/range":
                return self._range(body["key"])
            case "/v3/kv/put":
                self.values[body["key"]] = body["value"]
                return httpx.Response(200, json={"header": HEADER})
            case "/v3/kv/txn":
                return self._transaction(body)
            case _:
                return httpx.Response(404, text="Not Found")

    def _range(self, key: str) -> httpx.Response:
        if key not in self.values:
            return httpx.Response(200, json={"header": HEADER})
        found = {"key": key, "version": "1", "value": self.values[key]}
        return httpx.Response(200, json={"header": HEADER, "kvs": [found], "count": "1"})

    def _transaction(self, body: dict[str, Any]) -> httpx.Response:
        (compare,) = body["compare"]
        key = compare["key"]
        if compare["target"] == "VERSION":
            holds = key not in self.values and compare["version"] == 0
        else:
            holds = self.values.get(key) == compare["value"]
        if not holds:
            return httpx.Response(200, json={"header": HEADER})
        for step in body["success"]:
            self.values[step["request_put"]["key"]] = step["request_put"]["value"]
        return httpx.Response(200, json={"header": HEADER, "succeeded": True, "responses": [{"response_put": {}}]})

    def value(self, key: str) -> Any:
        """What is stored under a key."""
        return json.loads(b64decode(self.values[b64encode(key.encode()).decode()]))
