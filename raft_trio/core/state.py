"""Everything one node of Raft remembers, and the outputs collected since the last hand-over.

Belongs here: the variables (Raft Figure 2, State, and what the defences add) and the few operations every part of the
algorithm needs: send, note, draw a timeout. The algorithm itself is in `roles`, `election`, `replication`, `reads`.
"""

from __future__ import annotations

from collections import deque
from random import Random

from raft_trio.config import RaftNodeConfig
from raft_trio.core.configurations import configurations, configured, peers_of
from raft_trio.core.log import RaftLog
from raft_trio.core.progress import Progress
from raft_trio.core.ready import Outbound, ReadState, Recovered
from raft_trio.core.records import Incoming, PendingRead, ReadRound, Transfer, WriteMark
from raft_trio.errors import LogInconsistency
from raft_trio.messages import Message
from raft_trio.rules import Rules, VoteReply
from raft_trio.trace import Became, Committed, Restored, Snapshotted, TraceEvent
from raft_trio.types import HardState, LogIndex, NodeId, Role, Snapshot, Term

__all__ = ["CoreState", "Incoming", "PendingRead", "ReadRound", "Transfer", "WriteMark"]


class CoreState:
    """The variables of one node. Only the modules of `raft_trio.core` touch them."""

    __slots__ = (
        "after_sync",
        "asked",
        "ballot",
        "commit",
        "config",
        "config_unsettled",
        "configs",
        "election_due_ns",
        "electorates",
        "handed_hard_state",
        "handed_index",
        "heard_leader_ns",
        "heartbeat_due_ns",
        "incoming",
        "installed",
        "leader",
        "lease_is_void",
        "lease_rounds",
        "lease_start_ns",
        "log",
        "lost_leadership",
        "membership",
        "messages",
        "next_ask",
        "next_token",
        "node",
        "peers",
        "progress",
        "random",
        "read_rounds",
        "read_states",
        "role",
        "round_sent",
        "rules",
        "snapshot",
        "term",
        "trace",
        "transfer",
        "uncommitted_bytes",
        "voted_for",
        "waiting_reads",
        "write_marks",
    )

    def __init__(
        self, node: NodeId, config: RaftNodeConfig, recovered: Recovered, *, rules: Rules, random: Random, now_ns: int
    ) -> None:
        self.node = node
        self.config = config
        self.rules = rules
        self.random = random
        hard = recovered.hard_state
        # persistent (Figure 2)
        self.term: Term = hard.term
        self.voted_for: NodeId | None = hard.voted_for
        self.log = RaftLog(recovered.entries, base_index=recovered.base_index, base_term=recovered.base_term)
        self.snapshot = recovered.snapshot
        """The newest durable one, or one that is being made so in a hand-over: what a follower far behind is sent."""
        self.handed_hard_state = hard
        self._check(hard)
        # volatile
        covered = recovered.snapshot.index if recovered.snapshot else 0
        self.commit: LogIndex = max(hard.commit, covered)
        self.handed_index: LogIndex = covered
        """Last committed entry handed over for applying."""
        self.role = Role.FOLLOWER
        self.leader: NodeId | None = None
        self.heard_leader_ns = now_ns
        self.election_due_ns = 0
        self.heartbeat_due_ns = 0
        self.ballot: tuple[VoteReply, ...] = ()
        self.configs = configurations(config.cluster_members, recovered.snapshot, recovered.entries)
        """(index, configuration) of every one in the log, and the last one before it. The newest is in force."""
        self.membership = self.configs[-1][1]
        self.electorates = rules.electorates(self.membership)
        self.peers = peers_of(self.membership, node)
        self.config_unsettled = bool(self.membership.voters_outgoing) or node not in self.membership.voters
        """A leader must do something once the configuration is committed."""
        self.incoming: Incoming | None = None
        """A snapshot on its way here."""
        self.installed: Snapshot | None = None
        """Came in since the last hand-over."""
        # leader
        self.progress: dict[NodeId, Progress] = {}
        self.uncommitted_bytes = 0
        self.transfer: Transfer | None = None
        self.lease_is_void = False
        """Somebody was told to campaign at once in this term: a word that may arrive at any time."""
        # reads
        self.round_sent = 0
        """Number of the newest read round; never reused, whatever the term."""
        self.waiting_reads: list[PendingRead] = []
        self.read_rounds: deque[ReadRound] = deque()
        self.asked: dict[int, PendingRead] = {}
        """Asked of the leader, by wire context: the node's own read."""
        self.next_ask = now_ns
        """Wire contexts start at the clock, so that answers to an earlier incarnation of this node match nothing."""
        self.lease_rounds: deque[tuple[int, int]] = deque()
        """(round, when it began) of those that no quorum has answered; only where leases are on."""
        self.lease_start_ns: int | None = None
        """Since when a quorum gives no vote to others; None: no lease."""
        # outputs
        self.messages: list[Outbound] = []
        self.after_sync: list[Outbound] = []
        self.read_states: list[ReadState] = []
        self.trace: list[TraceEvent] = []
        self.lost_leadership = False
        self.next_token = 1
        self.write_marks: deque[WriteMark] = deque()
        self._note_start()
        self.reset_election_timer(now_ns)

    def _check(self, hard: HardState) -> None:
        if hard.commit > self.log.last_index or hard.term < self.log.last_term:
            raise LogInconsistency(
                f"hard state has term {hard.term} and commit {hard.commit}, but the log ends at entry "
                f"{self.log.last_index} of term {self.log.last_term}",
                why="entries are made durable before the state that speaks of them",
                fix="the data directory is damaged: remove it and let the node rejoin as a new member",
            )

    def _note_start(self) -> None:
        self.trace.append(Restored(self.term, self.voted_for, self.log.last_index, self.log.last_term))
        if self.snapshot is not None:
            snapshot = self.snapshot
            self.trace.append(Snapshotted(snapshot.index, snapshot.term, snapshot.digest, False))
        self.trace.append(configured(*self.configs[-1]))
        self.trace.append(Became(Role.FOLLOWER, self.term))
        if self.commit:
            self.trace.append(Committed(self.commit))

    # ── operations of every part ─────────────────────────────────────────────────────────────────────────────────────

    def send(self, to: NodeId, message: Message) -> None:
        """May leave at once: promises nothing."""
        self.messages.append((to, message))

    def send_after_sync(self, to: NodeId, message: Message) -> None:
        """Leaves when all that was handed over so far, and with this hand-over, is durable."""
        self.after_sync.append((to, message))

    def reset_election_timer(self, now_ns: int) -> None:
        """Draw a new timeout (Raft §5.2: a fresh one each time, or split votes repeat)."""
        config = self.config
        shortest = config.election_timeout_min_ns
        # random() is four times as fast as randint(), and this runs for every append a follower takes.
        drawn = shortest + int(self.random.random() * (config.election_timeout_max_ns - shortest + 1))
        self.election_due_ns = now_ns + self.rules.election_timeout_ns(drawn)
