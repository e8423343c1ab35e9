"""The node around the core: durability before speech, honest answers, reads, sessions, failure."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import msgspec

from raft_trio import kv
from raft_trio.build import BUILD, NODE_RULES
from raft_trio.core.ready import Ready
from raft_trio.files import FileBatch, Sync
from raft_trio.machine import StateMachine
from raft_trio.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    ClientReply,
    Done,
    Forward,
    ForwardReply,
    OpenSession,
    OutcomeUnknown,
    PeerFrame,
    Query,
    Refusal,
    Refused,
    RequestVoteResponse,
    SessionOpened,
    Submit,
)
from raft_trio.service import COMMAND_BYTES_MAX
from raft_trio.trace import Acknowledged, Applied, Committed, Received, Restored, Sent, Synced
from raft_trio.types import EntryType, LogEntry, NodeId
from tests.raft_trio.cluster import Cluster


def session(cluster: Cluster, node: NodeId) -> int:
    reply = cluster.ask(node, OpenSession("open"))
    assert isinstance(reply, SessionOpened)
    return reply.session


def put(session: int, sequence: int, value: object, operation: str = "put") -> Submit:
    return Submit(operation, session, sequence, kv.encode(kv.Put("k", value)))


def append(session: int, sequence: int, value: object, operation: str = "append") -> Submit:
    return Submit(operation, session, sequence, kv.encode(kv.Append("k", value)))


GET = Query("get", kv.encode(kv.Get("k")))


def read(reply: ClientReply) -> object:
    assert isinstance(reply, Done), reply
    found = kv.decode_result(reply.result)
    assert isinstance(found, kv.Found), found
    return found.value


def test_a_put_at_the_leader_is_read_at_every_node() -> None:
    """Linearizable reads through ReadIndex (thesis §6.4), with the position that was read."""
    cluster = Cluster()
    leader = cluster.leader()
    done = cluster.ask(leader, put(session(cluster, leader), 1, 7))
    assert isinstance(done, Done)
    for node in cluster.ids:
        reply = cluster.ask(node, GET)
        assert read(reply) == 7
        assert isinstance(reply, Done)
        assert (reply.term, reply.index) == (done.term, done.index)


def test_a_follower_forwards_commands_under_the_same_operation_id() -> None:
    cluster = Cluster()
    follower = cluster.followers()[0]
    reply = cluster.ask(follower, put(session(cluster, follower), 1, 8, "op-8"))
    assert isinstance(reply, Done)
    assert reply.operation == "op-8"
    causes = {event.cause for _, event in cluster.trace if isinstance(event, Sent)}
    assert "op-8" in causes
    assert read(cluster.ask(follower, GET)) == 8


def test_a_command_is_answered_only_after_commit_and_apply() -> None:
    """Raft §5.3; mutant C3, seed crate fault 1. A leader without followers acknowledges nothing."""
    cluster = Cluster()
    leader = cluster.leader()
    number = session(cluster, leader)
    cluster.isolate(leader)
    cluster.request(leader, "c", put(number, 1, 1))
    cluster.run(100)
    assert "c" not in cluster.replies


def test_an_acknowledgement_follows_the_application_of_its_entry_in_the_trace() -> None:
    """raft.md §3.3 C3: also the trace of one node alone shows it."""
    cluster = Cluster()
    leader = cluster.leader()
    cluster.ask(leader, put(session(cluster, leader), 1, 1, "op"))
    events = [event for node, event in cluster.trace if node == leader]
    acknowledged = next(event for event in events if event == Acknowledged("op", 3))
    before = events[: events.index(acknowledged)]
    assert any(isinstance(event, Applied) and event.index == 3 for event in before)
    assert any(isinstance(event, Committed) and event.index == 3 for event in before)
    assert isinstance(events[0], Restored)


def test_what_promises_durability_leaves_only_after_the_sync() -> None:
    """Raft Figure 2; mutants P2, P4. A node whose disk never finishes sends no vote and no acknowledgement."""
    cluster = Cluster()
    leader = cluster.leader()
    number = session(cluster, leader)
    slow = next(node for node in cluster.ids if node != leader)
    cluster.slow_disks.add(slow)
    cluster.trace.clear()
    cluster.ask(leader, put(number, 1, 1))
    acknowledged = [e for node, e in cluster.trace if node == slow and isinstance(e, Sent) and e.kind == "appended"]
    assert acknowledged == []
    assert not any(isinstance(event, Synced) for node, event in cluster.trace if node == slow)


def test_messages_held_for_the_disk_leave_when_their_batch_is_done() -> None:
    sent: list[type] = []

    def note(to: NodeId, frame: PeerFrame) -> int:
        sent.extend(type(message) for message in frame.messages)
        return 1

    cluster = Cluster()
    cluster.intercept = note
    cluster.followers()
    assert RequestVoteResponse in sent
    assert AppendEntriesResponse in sent


def test_without_a_leader_the_refusal_is_definite() -> None:
    cluster = Cluster()
    assert cluster.ask("n1", OpenSession("o"), wait_ms=1) == Refused("o", Refusal.NO_LEADER)
    assert cluster.ask("n1", GET, wait_ms=1) == Refused("get", Refusal.NO_LEADER)


def test_a_leader_that_is_deposed_leaves_what_is_in_flight_unknown() -> None:
    """raft.md §3.3 C8: waiters must not hang; the entry may still be committed, so the outcome is not definite."""
    cluster = Cluster()
    leader = cluster.leader()
    number = session(cluster, leader)
    cluster.isolate(leader)
    reply = cluster.ask(leader, put(number, 1, 1, "lost"), wait_ms=2000)
    assert reply == OutcomeUnknown("lost", "leadership-lost")


def test_a_proposal_in_whose_place_another_was_committed_is_refused() -> None:
    """State Machine Safety (Raft §5.4.3): what lost its index to a committed entry can never be committed."""
    cluster = Cluster()
    leader = cluster.leader()
    number = session(cluster, leader)
    cluster.isolate(leader)
    cluster.request(leader, "c", put(number, 1, 1, "lost"))
    cluster.run(10)
    node, other = cluster.nodes[leader], next(peer for peer in cluster.ids if peer != leader)
    entry = LogEntry(3, node.term + 1, EntryType.NOOP)
    message = AppendEntriesRequest(node.term + 1, other, 2, node.term, (entry,), commit=3)
    node.frame(cluster.now, PeerFrame(other, 1, 1000, (message,)))
    assert node.flush(cluster.now).replies == (("c", Refused("lost", Refusal.NOT_LEADER, other)),)


def test_a_read_waits_until_its_index_is_applied() -> None:
    """Thesis §6.4, step 4. The application of what is committed is held back for a while."""
    held: list[LogEntry] = []
    holding = False

    def slow(ready: Ready) -> Ready:
        held.extend(ready.committed)
        if holding:
            return msgspec.structs.replace(ready, committed=())
        committed = tuple(held)
        held.clear()
        return msgspec.structs.replace(ready, committed=committed)

    cluster = Cluster(1, build=replace(BUILD, ready_filter=slow))
    number = session(cluster, cluster.leader())
    holding = True
    cluster.request("n1", "write", put(number, 1, 1))
    cluster.run(20)
    cluster.request("n1", "read", GET)
    cluster.run(20)
    assert "read" not in cluster.replies
    holding = False
    cluster.run(100)
    assert read(cluster.replies["read"][0]) == 1


def test_a_forwarded_command_that_nobody_answers_is_unknown_after_an_election_timeout() -> None:
    cluster = Cluster()
    follower = cluster.followers()[0]
    number = session(cluster, follower)
    cluster.intercept = lambda to, frame: 0
    begun = cluster.now
    assert cluster.ask(follower, put(number, 1, 1, "lost")) == OutcomeUnknown("lost", "timeout")
    assert cluster.now - begun == 300_000_000


def test_a_read_that_nobody_confirms_is_refused() -> None:
    """Mutant R2: a leader that answers from its own state alone may have been replaced."""
    cluster = Cluster()
    leader = cluster.leader()
    cluster.ask(leader, put(session(cluster, leader), 1, 1))
    cluster.isolate(leader)
    reply = cluster.ask(leader, GET, wait_ms=2000)
    assert isinstance(reply, Refused)


def test_repeated_frames_apply_a_forwarded_command_once_and_answer_it_once() -> None:
    """raft.md §3.8 K1, K9: at most once, under duplication of everything on the wire."""
    cluster = Cluster()
    follower = cluster.followers()[0]
    number = session(cluster, follower)
    cluster.intercept = lambda to, frame: 3
    assert isinstance(cluster.ask(follower, append(number, 1, "a")), Done)
    assert isinstance(cluster.ask(follower, append(number, 2, "b")), Done)
    cluster.run(500)
    assert read(cluster.ask(follower, GET)) == ["a", "b"]
    assert all(len(replies) == 1 for replies in cluster.replies.values())


def test_a_retry_gets_the_first_reply_and_position() -> None:
    """Thesis §6.3: the reply is cached, the command is not executed again."""
    cluster = Cluster()
    leader = cluster.leader()
    number = session(cluster, leader)
    first = cluster.ask(leader, append(number, 1, "a"))
    again = cluster.ask(leader, append(number, 1, "a"))
    assert again == first
    assert read(cluster.ask(leader, GET)) == ["a"]


def test_a_command_of_an_unknown_session_is_refused_after_it_went_through_the_log() -> None:
    cluster = Cluster()
    leader = cluster.leader()
    assert cluster.ask(leader, put(4711, 1, 1)) == Refused("put", Refusal.SESSION_EXPIRED, leader)
    missing = cluster.ask(leader, GET)
    assert isinstance(missing, Done)
    assert kv.decode_result(missing.result) == kv.Missing()


def test_a_command_behind_a_later_one_of_its_session_is_not_applied_and_not_called_failed() -> None:
    cluster = Cluster()
    leader = cluster.leader()
    number = session(cluster, leader)
    cluster.ask(leader, put(number, 5, "late"))
    assert cluster.ask(leader, put(number, 4, "early")) == OutcomeUnknown("put", "superseded")
    assert read(cluster.ask(leader, GET)) == "late"


def test_impossible_commands_are_refused_at_the_door() -> None:
    cluster = Cluster()
    leader = cluster.leader()
    for request in (put(0, 1, 1), put(1, 0, 1), Submit("put", 1, 1, bytes(COMMAND_BYTES_MAX + 1))):
        assert cluster.ask(leader, request) == Refused("put", Refusal.BAD_REQUEST, leader)


def test_a_forwarded_copy_that_comes_after_the_first_was_proposed_is_not_refused() -> None:
    """A refusal is definite: it must not be given for a request of which another copy is in the log."""
    cluster = Cluster()
    follower = cluster.followers()[0]
    leader = cluster.leader()
    number = session(cluster, follower)
    copies: list[PeerFrame] = []

    def record(to: NodeId, frame: PeerFrame) -> int:
        copies.extend([frame] if any(isinstance(m, Forward) for m in frame.messages) else [])
        return 1

    cluster.intercept = record
    cluster.ask(follower, put(number, 1, 1))
    cluster.intercept = lambda to, frame: 0
    node = cluster.nodes[leader]
    cluster.run(2000, until=lambda: node.leader is None)
    node.frame(cluster.now, copies[0])
    replies = [m for _, f in node.flush(cluster.now).frames for m in f.messages if isinstance(m, ForwardReply)]
    assert replies == []


def test_a_restarted_node_stays_silent_about_requests_sent_to_its_earlier_life() -> None:
    """The earlier incarnation may have proposed another copy: neither "not leader" nor anything else is certain."""
    cluster = Cluster()
    follower = cluster.followers()[0]
    leader = cluster.leader()
    term = cluster.nodes[leader].term
    copy = PeerFrame(follower, 1, 10_000, (Forward(term, (1 << 40) + 77, OpenSession("o")),))
    cluster.kill(leader)
    cluster.start(leader)
    node = cluster.nodes[leader]
    node.frame(cluster.now, copy)
    effects = node.flush(cluster.now)
    assert not any(isinstance(m, ForwardReply) for _, frame in effects.frames for m in frame.messages)


def test_answers_to_an_earlier_incarnation_are_not_taken_for_answers_to_this_one() -> None:
    """Request numbers are never used twice, also across restarts (etcd #20418: reused ids gave stale reads)."""
    cluster = Cluster()
    follower = cluster.followers()[0]
    number = session(cluster, cluster.leader())
    stale: list[PeerFrame] = []

    def keep(to: NodeId, frame: PeerFrame) -> int:
        answers = [m for m in frame.messages if isinstance(m, ForwardReply)]
        stale.extend([frame] if answers else [])
        return 0 if answers else 1

    cluster.intercept = keep
    cluster.request(follower, "old", put(number, 1, "old"))
    cluster.run(100)
    cluster.kill(follower)
    cluster.start(follower)
    cluster.run(200)
    cluster.request(follower, "new", put(number, 2, "new", "new-op"))
    cluster.run(0)
    cluster.nodes[follower].frame(cluster.now, stale[0])
    cluster.run(100)
    assert cluster.replies.get("new", []) == []


def test_acknowledged_commands_survive_the_power_loss_of_every_node() -> None:
    """Durability, raft.md §3.4: nothing a client was told may be lost."""
    cluster = Cluster()
    leader = cluster.leader()
    number = session(cluster, leader)
    for sequence in range(1, 20):
        assert isinstance(cluster.ask(leader, append(number, sequence, sequence)), Done)
    for node in cluster.ids:
        cluster.kill(node, power=True)
    for node in cluster.ids:
        cluster.start(node)
    assert read(cluster.ask(cluster.leader(), GET)) == list(range(1, 20))


def test_a_failed_sync_ends_the_node() -> None:
    """Mutant P9: after a failed fsync the page cache may call lost data clean (fsyncgate)."""
    cluster = Cluster()
    node = cluster.nodes["n1"]
    node.io_done(cluster.now, 1, OSError(5, "Input/output error"))
    effects = node.flush(cluster.now)
    assert effects.failed is not None
    assert "Input/output error" in effects.failed
    assert effects.frames == ()
    node.wake(cluster.now + 10**12)
    assert node.flush(cluster.now + 10**12).failed == effects.failed


def test_a_damaged_log_ends_the_node_at_its_start() -> None:
    cluster = Cluster()
    cluster.leader()
    cluster.kill("n1")
    (path,) = cluster.disks["n1"].files
    data = bytearray(cluster.disks["n1"].files[path])
    data[30] ^= 1
    cluster.disks["n1"].files[path] = bytes(data)
    cluster.start("n1")
    assert "refuses to start" in cluster.failed["n1"]


def test_a_client_that_is_gone_gets_no_reply() -> None:
    cluster = Cluster()
    leader = cluster.leader()
    number = session(cluster, leader)
    cluster.request(leader, "gone", put(number, 1, 1))
    cluster.request(leader, "gone", GET)
    cluster.run(0)
    cluster.nodes[leader].disconnected(cluster.now, "gone")
    cluster.run(300)
    assert "gone" not in cluster.replies


def test_trace_events_name_every_message_once() -> None:
    """Message ids in `Sent` and `Received` agree, so that a message can be followed between traces."""
    cluster = Cluster()
    cluster.ask(cluster.leader(), OpenSession("o"))
    sent = [event.message for _, event in cluster.trace if isinstance(event, Sent)]
    received = [event.message for _, event in cluster.trace if isinstance(event, Received)]
    assert len(set(sent)) == len(sent)
    assert set(received) <= set(sent)


def test_the_same_seed_gives_the_same_trace() -> None:
    def trace(seed: int) -> bytes:
        cluster = Cluster(seed=seed)
        leader = cluster.leader()
        number = session(cluster, leader)
        for sequence in range(1, 5):
            cluster.ask(leader, append(number, sequence, sequence))
        return msgspec.json.encode(cluster.trace)

    assert trace(3) == trace(3)
    assert len({trace(seed) for seed in range(6)}) > 1


def test_the_node_runs_without_trio() -> None:
    """The simulator and the checker's machines import the node; the shell alone needs trio."""
    code = "import raft_trio.node, sys; sys.exit('trio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ── planted bugs: each exchanged part must be seen ───────────────────────────────────────────────────────────────────


def speculative(machine: StateMachine, command: bytes) -> bytes | None:
    state = machine.snapshot()
    result = machine.apply(command)
    machine.restore(state)
    return result


def test_planted_result_at_append_acknowledges_before_commit() -> None:
    """Mutant C3 `ack_on_append` is a rule of the node."""
    cluster = Cluster(build=replace(BUILD, node_rules=replace(NODE_RULES, result_at_append=speculative)))
    leader = cluster.leader()
    number = session(cluster, leader)
    cluster.isolate(leader)
    assert isinstance(cluster.ask(leader, put(number, 1, 1), wait_ms=50), Done)


def test_planted_loss_of_deduplication_applies_a_retry_twice() -> None:
    """Mutant K1 `no_dedup` is a rule of the node."""
    build = replace(BUILD, node_rules=replace(NODE_RULES, is_new_command=lambda last, sequence: True))
    cluster = Cluster(build=build)
    leader = cluster.leader()
    number = session(cluster, leader)
    cluster.ask(leader, append(number, 1, "a"))
    cluster.ask(leader, append(number, 1, "a"))
    assert read(cluster.ask(leader, GET)) == ["a", "a"]


def test_planted_drop_of_syncs_reaches_every_batch() -> None:
    """Mutant P4 `ack_before_fsync` is a filter of file batches."""

    def without_sync(batch: FileBatch) -> FileBatch:
        return FileBatch(batch.token, tuple(op for op in batch.ops if not isinstance(op, Sync)))

    cluster = Cluster(build=replace(BUILD, files=without_sync))
    cluster.disks["n1"].ops.clear()
    cluster.ask(cluster.leader(), OpenSession("o"))
    assert cluster.disks["n1"].ops
    assert not any(isinstance(op, Sync) for op in cluster.disks["n1"].ops)


def test_planted_ready_filter_sees_what_the_core_asks_for() -> None:
    def mute(ready: Ready) -> Ready:
        return msgspec.structs.replace(ready, messages=(), messages_after_sync=())

    cluster = Cluster(build=replace(BUILD, ready_filter=mute))
    cluster.run(2000)
    assert not any(isinstance(event, Sent) for _, event in cluster.trace)
