"""`status`: asks every member what it knows of itself. Members that do not answer are part of the answer."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from raft_trio.client import ask_status
from raft_trio.errors import RaftError
from raft_trio.messages import StatusReport
from raft_trio.shell.settings import Settings
from raft_trio.types import NodeId, Role

__all__ = ["ask_all", "table"]

Answer = StatusReport | RaftError

_TIMEOUT_S = 2.0


async def ask_all(settings: Settings) -> dict[NodeId, Answer]:
    """Every member's status, or why there is none, in the order of names; at most two seconds."""
    answers: dict[NodeId, Answer] = {}

    async def ask(node: NodeId, address: str) -> None:
        try:
            answers[node] = await ask_status(
                node, address, cluster=settings.cluster, timeout_s=_TIMEOUT_S, tls=settings.tls
            )
        except RaftError as error:
            answers[node] = error

    async with trio.open_nursery() as nursery:
        for node, address in settings.members.items():
            nursery.start_soon(ask, node, address)
    return dict(sorted(answers.items()))


def table(answers: Mapping[NodeId, Answer]) -> str:
    """For people: one line per member."""
    rows = [("node", "role", "vote", "term", "leader", "last", "commit", "applied", "behind")]
    last = {node: answer.last_index for node, answer in answers.items() if isinstance(answer, StatusReport)}
    matches = _matches_of_leader(answers)
    for node, answer in answers.items():
        if isinstance(answer, RaftError):
            rows.append((node, "no answer:", answer.what, "", "", "", "", "", ""))
            continue
        leader = answer.leader or "?"
        behind = str(max(last.values()) - matches[node]) if node in matches else "-"
        numbers = (str(answer.last_index), str(answer.commit_index), str(answer.applied_index), behind)
        rows.append((node, answer.role.value, _vote(answer), str(answer.term), leader, *numbers))
    widths = [max(len(row[column]) for row in rows if row[1] != "no answer:") for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _vote(report: StatusReport) -> str:
    """By the newest configuration the node itself has."""
    if report.node in report.config.voters:
        return "yes"
    return "learner" if report.node in report.config.learners else "no"


def _matches_of_leader(answers: Mapping[NodeId, Answer]) -> dict[NodeId, int]:
    """What the leader of the newest term knows of the others; a deposed one may still believe in itself."""
    leading = [answer for answer in answers.values() if isinstance(answer, StatusReport) and answer.role is Role.LEADER]
    newest = max(leading, key=lambda report: report.term, default=None)
    return {} if newest is None else {peer.node: peer.match_index for peer in newest.peers}
