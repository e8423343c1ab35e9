"""`member`, `transfer`, `snapshot`: changing a cluster that runs, by asking its leader, or the node concerned.

Each step can be repeated: what is so already is no error. A newcomer must be running, with the members in its file and
`joins = true`: the members learn its address from its greeting.
"""

from __future__ import annotations

from raft_trio.client import RaftClient, ask_node
from raft_trio.errors import ChangeRefused, ConfigError
from raft_trio.messages import ChangeMembership, Done, TakeSnapshot, TransferLeadership
from raft_trio.shell.settings import Settings
from raft_trio.types import LogIndex, NodeId

__all__ = ["change", "snapshot", "transfer"]

_ATTEMPT_S = 10.0
"""A change is answered when it is committed, in joint consensus twice."""


async def change(settings: Settings, action: str, node: NodeId, *, learner: bool, timeout_s: float) -> str:
    """`add` (as a learner first, which gets a vote once it has caught up, unless `learner`), `promote`, `remove`.

    Returns what is so now. Raises ChangeRefused, NoLeader, RequestTimeout: what was asked for may still happen.
    """
    client = RaftClient(
        settings.members, cluster=settings.cluster, timeout_s=timeout_s, attempt_s=_ATTEMPT_S, tls=settings.tls
    )
    try:
        match action:
            case "add" if learner:
                await client.administer(ChangeMembership("add", add_learners=(node,)))
                return f"{node} is a learner"
            case "add":
                await _add_voter(client, node)
                return f"{node} is a member with a vote"
            case "promote":
                await client.administer(ChangeMembership("promote", promote=(node,)))
                return f"{node} is a member with a vote"
            case "remove":
                await client.administer(ChangeMembership("remove", remove=(node,)))
                return f"{node} is no member"
            case _:
                raise AssertionError(f"{action} is no change")
    finally:
        await client.aclose()


async def _add_voter(client: RaftClient, node: NodeId) -> None:
    """Asking for a learner that is a voter already is refused as impossible: then there is nothing to do."""
    try:
        await client.administer(ChangeMembership("add", add_learners=(node,)))
    except ChangeRefused as refused:
        try:
            await client.administer(ChangeMembership("promote", promote=(node,)))
        except ChangeRefused:
            raise refused from None
        return
    await client.administer(ChangeMembership("promote", promote=(node,)))


async def transfer(settings: Settings, target: NodeId, *, timeout_s: float) -> None:
    """Hands leadership to `target`, or to whom the leader likes where it is empty. Raises as `change` does."""
    client = RaftClient(
        settings.members, cluster=settings.cluster, timeout_s=timeout_s, attempt_s=_ATTEMPT_S, tls=settings.tls
    )
    try:
        await client.administer(TransferLeadership("transfer", target))
    finally:
        await client.aclose()


async def snapshot(settings: Settings, node: NodeId, *, timeout_s: float) -> LogIndex:
    """Has that node take a snapshot; returns up to where it reaches. Raises ConfigError, RequestTimeout."""
    if node not in settings.members:
        raise ConfigError(f"{node!r} is not in `members`", fix=f"name one of {', '.join(sorted(settings.members))}")
    address = settings.members[node]
    request = TakeSnapshot("snapshot")
    reply = await ask_node(node, address, request, cluster=settings.cluster, timeout_s=timeout_s, tls=settings.tls)
    assert isinstance(reply, Done), reply
    return reply.index
