"""A tiny replicated log that writes legal traces, and, one bug at a time, illegal ones.

No messages and no time: the schedule is a `Random` that picks who votes, who hears a leader, what gets synced and who
crashes. A node's disk is kept naively, as the log after every single write, so that a crash can give back any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Literal

from checker.records import (
    Acknowledged,
    AnyTraceEvent,
    Appended,
    Applied,
    Became,
    Committed,
    Restored,
    Synced,
    TraceLine,
    Truncated,
    Voted,
)

__all__ = ["BUGS", "Bug", "Log", "broken_trace", "legal_trace"]

Log = tuple[tuple[int, int], ...]
"""(term, digest) of entries 1, 2, …"""

Bug = Literal[
    "votes for anybody",
    "forgets its vote in a crash",
    "votes without looking at the log",
    "commits entries of older terms by counting",
    "counts copies that are not synced",
    "loses what it synced",
    "removes entries that match",
    "keeps conflicting entries",
    "commits beyond what it compared",
    "acknowledges before commit",
    "applies another entry",
]


@dataclass(slots=True)
class _Node:
    name: str
    incarnation: int = 0
    seq: int = 0
    term: int = 0
    promise: tuple[int, str | None] = (0, None)
    """(term, vote) certainly on disk: a term that was only heard of may be forgotten in a crash."""
    vote: str | None = None
    role: str = "follower"
    log: Log = ()
    disk: list[Log] = field(default_factory=lambda: [()])
    """What a crash may give back: the log after each write from the last synced one on."""
    commit: int = 0
    applied: int = 0
    match: dict[str, int] = field(default_factory=dict)

    @property
    def up_to_date(self) -> tuple[int, int]:
        return (self.log[-1][0] if self.log else 0, len(self.log))


class Model:
    """Five steps, in random proportions: elect, propose, replicate, sync, crash."""

    def __init__(self, random: Random, size: int, bug: Bug | None) -> None:
        self.random, self.bug = random, bug
        self.lines: list[TraceLine] = []
        self.nodes = [_Node(f"n{number}") for number in range(1, size + 1)]
        self.majority = size // 2 + 1
        self.digest = 0
        self.operation = 0
        for node in self.nodes:
            self.restart(node, ())

    def run(self, steps: int) -> list[TraceLine]:
        kinds = (self.elect, self.propose, self.replicate, self.sync, self.crash)
        weights = [self.random.choice(of_kind) for of_kind in ((1, 2, 4), (1, 2, 4), (4, 8, 12), (2, 5), (0, 1, 2))]
        for step in self.random.choices(kinds, weights, k=steps):
            step()
        return self.lines

    def note(self, node: _Node, *events: AnyTraceEvent) -> None:
        for event in events:
            self.lines.append(
                TraceLine(node=node.name, incarnation=node.incarnation, seq=node.seq, local_ns=0, event=event)
            )
            node.seq += 1

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def elect(self) -> None:
        candidate = self.random.choice(self.nodes)
        if self.bug == "votes for anybody" and self.random.random() < 0.5 and candidate.term:
            term = candidate.term  # a second candidate of a term that may have a leader
        else:
            term = candidate.term + 1
        candidate.term, candidate.vote, candidate.role = term, candidate.name, "candidate"
        candidate.promise = (term, candidate.name)
        self.note(candidate, Became(role="candidate", term=term), Voted(term=term, candidate=candidate.name))
        votes = 1 + sum(self.votes(voter, candidate, term) for voter in self.nodes if voter is not candidate)
        if votes >= self.majority:
            candidate.role = "leader"
            candidate.match = {}
            self.note(candidate, Became(role="leader", term=term))
            self.append(candidate, term)

    def votes(self, voter: _Node, candidate: _Node, term: int) -> bool:
        if self.random.random() < 0.3 or voter.term > term:
            return False
        if voter.term < term:
            self.follow(voter, term)
        careless = self.bug == "votes without looking at the log"
        if voter.up_to_date > candidate.up_to_date and not careless:
            return False
        if voter.vote not in (None, candidate.name) and self.bug != "votes for anybody":
            return False
        voter.vote, voter.promise = candidate.name, (term, candidate.name)
        self.note(voter, Voted(term=term, candidate=candidate.name))
        return True

    def propose(self) -> None:
        leader = self.leader()
        if leader is not None:
            self.append(leader, leader.term)
            if self.bug == "acknowledges before commit":
                self.acknowledge(leader, len(leader.log))

    def replicate(self) -> None:
        leader = self.leader()
        follower = self.random.choice(self.nodes)
        if leader is None or follower is leader or follower.term > leader.term:
            return
        self.follow(follower, leader.term)
        last = self.random.randint(0, len(leader.log))
        sent = leader.log[:last]
        self.take(follower, sent)
        told = leader.commit if self.bug == "commits beyond what it compared" else min(leader.commit, last)
        self.commit(follower, min(told, len(follower.log)))
        if self.bug == "counts copies that are not synced" or self.random.random() < 0.6:
            if self.bug != "counts copies that are not synced":
                self.synced(follower)
            leader.match[follower.name] = max(last, leader.match.get(follower.name, 0))
        self.advance(leader)

    def sync(self) -> None:
        node = self.random.choice(self.nodes)
        self.synced(node)
        if node.role == "leader":
            self.advance(node)

    def crash(self) -> None:
        node = self.random.choice(self.nodes)
        if self.bug == "forgets its vote in a crash":
            node.promise = (node.promise[0], None)
        del node.disk[self.random.randint(1, len(node.disk)) :]
        if self.bug == "loses what it synced":
            node.disk.append(node.disk[-1][: self.random.randint(0, len(node.disk[-1]))])
        self.restart(node, node.disk[-1])

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def leader(self) -> _Node | None:
        leaders = [node for node in self.nodes if node.role == "leader"]
        return self.random.choice(leaders) if leaders else None

    def restart(self, node: _Node, survived: Log) -> None:
        node.incarnation, node.seq = node.incarnation + 1, 0
        node.role, node.commit, node.applied = "follower", 0, 0
        node.log = survived
        last_term = survived[-1][0] if survived else 0
        promised, vote = node.promise
        node.term = self.random.randint(max(promised, last_term), node.term)
        node.vote = vote if node.term == promised else None
        restored = Restored(term=node.term, voted_for=node.vote, last_index=len(survived), last_term=last_term)
        self.note(node, restored, Became(role="follower", term=node.term))

    def follow(self, node: _Node, term: int) -> None:
        if node.term < term:
            node.term, node.vote = term, None
        elif node.role == "follower":
            return
        node.role = "follower"
        self.note(node, Became(role="follower", term=term))

    def append(self, node: _Node, term: int) -> None:
        self.digest += 1
        self.write(node, (term, self.digest))

    def write(self, node: _Node, entry: tuple[int, int]) -> None:
        node.log = (*node.log, entry)
        node.disk.append(node.log)
        self.note(node, Appended(index=len(node.log), term=entry[0], digest=entry[1]))

    def take(self, node: _Node, sent: Log) -> None:
        for position, entry in enumerate(sent):
            if position < len(node.log) and node.log[position] != entry:
                if self.bug == "keeps conflicting entries":
                    continue
                self.truncate(node, position + 1)
            elif position < len(node.log) and self.bug == "removes entries that match":
                self.truncate(node, position + 1)
            if position == len(node.log):
                self.write(node, entry)

    def truncate(self, node: _Node, index: int) -> None:
        node.log = node.log[: index - 1]
        node.disk.append(node.log)
        self.note(node, Truncated(index=index))

    def synced(self, node: _Node) -> None:
        node.disk, node.promise = [node.log], (node.term, node.vote)
        if node.log:
            self.note(node, Synced(index=len(node.log), term=node.log[-1][0]))

    def advance(self, leader: _Node) -> None:
        own = len(leader.log) if len(leader.disk) == 1 or self.bug == "counts copies that are not synced" else 0
        copies = sorted([own, *(leader.match.get(node.name, 0) for node in self.nodes if node is not leader)])
        quorum = copies[len(copies) - self.majority]
        old = self.bug == "commits entries of older terms by counting"
        if quorum > leader.commit and (old or leader.log[quorum - 1][0] == leader.term):
            self.commit(leader, quorum)

    def commit(self, node: _Node, index: int) -> None:
        if index <= node.commit:
            return
        node.commit = index
        self.note(node, Committed(index=index))
        while node.applied < index:
            digest = node.log[node.applied][1]
            node.applied += 1
            if self.bug == "applies another entry" and self.random.random() < 0.02:
                digest += 1
            self.note(node, Applied(index=node.applied, digest=digest))
            if node.role == "leader":
                self.acknowledge(node, node.applied)

    def acknowledge(self, node: _Node, index: int) -> None:
        self.operation += 1
        self.note(node, Acknowledged(operation=f"op-{self.operation}", index=index))


BUGS: dict[Bug, frozenset[str]] = {
    "votes for anybody": frozenset({"one-vote-per-term", "election-safety"}),
    "forgets its vote in a crash": frozenset({"one-vote-per-term"}),
    "votes without looking at the log": frozenset({"leader-completeness", "committed-entries-durable"}),
    "commits entries of older terms by counting": frozenset({"leader-completeness"}),
    "counts copies that are not synced": frozenset({"quorum-durable", "leader-completeness"}),
    "loses what it synced": frozenset({"synced-durable"}),
    "removes entries that match": frozenset({"committed-entries-durable"}),
    "keeps conflicting entries": frozenset({"log-matching", "state-machine-safety"}),
    "commits beyond what it compared": frozenset({"committed-entries-durable", "state-machine-safety"}),
    "acknowledges before commit": frozenset({"acknowledged-durable"}),
    "applies another entry": frozenset({"state-machine-safety"}),
}
"""Bug -> the rules that must see it, all of them within the seeds that the test tries."""


def legal_trace(seed: int, *, size: int = 5, steps: int = 150) -> list[TraceLine]:
    """What correct nodes write."""
    return Model(Random(f"{seed}/model"), size, None).run(steps)


def broken_trace(seed: int, bug: Bug, *, size: int = 3, steps: int = 200) -> list[TraceLine]:
    """What nodes with one bug write; whether the bug shows depends on the seed."""
    return Model(Random(f"{seed}/model"), size, bug).run(steps)
