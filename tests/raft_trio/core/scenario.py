"""Scenarios as text: commands, a line of dashes, what happened. Diffs are reviewed (as in etcd's raft).

Belongs here: the commands and how events are written. `run_scenario` returns the same text with what happened now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from raft_trio.config import RaftNodeConfig
from raft_trio.core.ready import Ready
from raft_trio.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
    Message,
    ReadIndexRequest,
    ReadIndexResponse,
    Refusal,
    RequestVoteRequest,
    RequestVoteResponse,
    TimeoutNow,
)
from raft_trio.trace import (
    Appended,
    Became,
    Committed,
    Configured,
    Restored,
    Snapshotted,
    Synced,
    TraceEvent,
    Truncated,
    Voted,
)
from raft_trio.types import Config, NodeId
from tests.raft_trio.core.cluster import Cluster

__all__ = ["run_scenario"]

RULE = "----"


def run_scenario(text: str) -> str:
    """Execute every block's commands; the text with each block's outcome as it is now. Raises what the cores raise."""
    stage = Stage()
    return "\n\n".join(stage.block(block) for block in text.strip().split("\n\n")) + "\n"


class Stage:
    """The cluster of one scenario and the lines of the block at work."""

    def __init__(self) -> None:
        self.cluster = Cluster(1)
        self.lines: list[str] = []
        self.held: dict[str, tuple[NodeId, NodeId, Message]] = {}
        """Messages under way for long, by name; they can be released more than once."""

    def block(self, block: str) -> str:
        head = block.split(f"\n{RULE}")[0]
        commands = [line for line in head.splitlines() if line and not line.startswith("#")]
        if not commands:
            return head
        self.lines = []
        for command in commands:
            self.command(*command.split())
        return "\n".join([head, RULE, *(self.lines or ["nothing"])])

    def command(self, verb: str, *words: str) -> None:
        cluster = self.cluster
        match verb, words:
            case "cluster", (size, *profile):
                self.cluster = new_cluster(int(size), profile)
                self.cluster.observe = self.note
            case "propose", (node, *data):
                index = cluster.propose(node, " ".join(data).encode())
                self.lines += [f"{node} does not take the proposal"] if index is None else []
            case "read", (node, context):
                cluster.read(node, int(context))
            case "change", (node, *wishes):
                begun = cluster.change(node, config_of(wishes))
                self.lines += [f"{node} refuses: {begun.value}"] if isinstance(begun, Refusal) else []
            case "transfer", (node, target):
                refusal = cluster.transfer(node, target)
                self.lines += [f"{node} refuses: {refusal.value}"] if refusal else []
            case "settle", among:
                cluster.settle(only=among or None)
            case (("deliver" | "drop"), (source, target)):
                message = cluster.pull(source, target)
                if verb == "deliver":
                    cluster.push(source, target, message)
            case (("hold" | "release"), (name, *link)):
                self.delay(name, *link)
            case "logs", _:
                self.lines += [self.log(node) for node in cluster.ids if cluster.members[node].core is not None]
            case _, (node,):
                steps = {
                    "timeout": cluster.timeout,
                    "beat": cluster.wake,
                    "sync": cluster.sync,
                    "compact": cluster.compact,
                    "crash": cluster.crash,
                    "restart": cluster.restart,
                }
                steps[verb](node)
            case _:
                raise AssertionError(f"no such command: {verb} {' '.join(words)}")

    def delay(self, name: str, *link: NodeId) -> None:
        """`hold`: a message that is under way stays so under a name. `release`, without a link: it arrives."""
        if link:
            source, target = link
            self.held[name] = (source, target, self.cluster.pull(source, target))
        else:
            self.cluster.push(*self.held[name])

    def log(self, node: NodeId) -> str:
        core = self.cluster.core(node)
        terms = " ".join(str(term) for term in self.cluster.log_of(node)) or "empty"
        return f"{node} {core.role.value} term {core.term}, log: {terms}, committed: {core.commit_index}"

    def note(self, node: NodeId, ready: Ready) -> None:
        self.lines += [f"{node} {event_text(event)}" for event in ready.trace]
        self.lines += [f"{node} -> {to} {message_text(message)}" for to, message in ready.messages]
        self.lines += [f"{node} -> {to} after sync: {message_text(m)}" for to, m in ready.messages_after_sync]
        self.lines += [
            f"{node} may not serve read {state.context}"
            if state.index is None
            else f"{node} may serve read {state.context} at {state.index}"
            for state in ready.read_states
        ]
        self.lines += [f"{node} lost leadership"] if ready.lost_leadership else []


def new_cluster(size: int, words: Sequence[str]) -> Cluster:
    """`paper`: without defences; `voters=3`: the others wait to be added; `chunk=40`: bytes of a snapshot at once."""
    numbers = {name: int(number) for name, _, number in (word.partition("=") for word in words) if number}
    profile = RaftNodeConfig.paper if "paper" in words else RaftNodeConfig

    def settings(node: NodeId, members: tuple[NodeId, ...]) -> RaftNodeConfig:
        return replace(profile(node, members), trailing_logs=0, snapshot_chunk_size=numbers.get("chunk", 65536))

    return Cluster(size, settings=settings, voters=numbers.get("voters", size))


def config_of(words: Sequence[str]) -> Config:
    """`voters=n1,n2 learners=n3`."""
    members = {kind: tuple(names.split(",")) for kind, _, names in (word.partition("=") for word in words)}
    return Config(members["voters"], (), members.get("learners", ()))


def event_text(event: TraceEvent) -> str:
    """One event as a phrase."""
    match event:
        case Restored(term, voted_for, last_index, last_term):
            return f"restored term {term}, vote {voted_for or 'none'}, log to {last_index}/{last_term}"
        case Became(role, term):
            return f"becomes {role.value} in term {term}"
        case Voted(term, candidate):
            return f"voted for {candidate} in term {term}"
        case Appended(index, term):
            return f"appends {index}/{term}"
        case Truncated(index):
            return f"truncates from {index}"
        case Synced(index, term):
            return f"synced to {index}/{term}"
        case Committed(index):
            return f"commits to {index}"
        case Configured(index, voters, learners, outgoing):
            parts = [("voters", voters), ("outgoing", outgoing), ("learners", learners)]
            return f"configuration {index}: " + ", ".join(f"{what} {' '.join(who)}" for what, who in parts if who)
        case Snapshotted(index, term, _, installed):
            return f"{'installed' if installed else 'has'} a snapshot to {index}/{term}"
        case _:
            raise AssertionError(f"the core does not emit {event}")


def message_text(message: Message) -> str:
    """One message as a phrase; positions are index/term."""
    match message:
        case RequestVoteRequest(term, _, last_index, last_term, pre_vote):
            return f"{'pre-vote' if pre_vote else 'vote'}? term {term}, log to {last_index}/{last_term}"
        case RequestVoteResponse(term, granted, pre_vote):
            return f"{'pre-vote' if pre_vote else 'vote'} {'granted' if granted else 'refused'}, term {term}"
        case AppendEntriesRequest(term, _, prev_index, prev_term, entries, commit, round_):
            what = "".join(f" {entry.index}/{entry.term}" for entry in entries) or " nothing"
            return f"append{what} after {prev_index}/{prev_term}, commit {commit}, term {term}, round {round_}"
        case AppendEntriesResponse(term, True, _, match_index, _, _, round_):
            return f"has it to {match_index}, term {term}, round {round_}"
        case AppendEntriesResponse(term, False, prev_index, _, conflict_index, conflict_term, round_):
            return f"refuses after {prev_index}, try {conflict_index}/{conflict_term}, term {term}, round {round_}"
        case InstallSnapshotRequest():
            end = message.offset + len(message.data)
            return (
                f"snapshot to {message.index}/{message.index_term}, bytes {message.offset}-{end} of {message.total}, "
                f"term {message.term}"
            )
        case InstallSnapshotResponse(term, index, _, _, next_offset, installed):
            return f"snapshot to {index}: {'installed' if installed else f'has {next_offset} bytes'}, term {term}"
        case TimeoutNow(term):
            return f"campaign at once, term {term}"
        case ReadIndexRequest(term):
            return f"read index? term {term}"
        case ReadIndexResponse(term, _, index):
            return f"read at {index}, term {term}"
        case _:
            raise AssertionError(f"the core does not send {message}")
