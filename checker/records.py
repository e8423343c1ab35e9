"""The records of a run on disk: what every line of history, faults, trace, verdict and run.json says.

Here belongs: the shape of the files, and nothing else. Reading and pairing history is `checker.history`; judging is
elsewhere. Each `.jsonl` file starts with one `Header` line; every further line is one record. The records are frozen
and versioned: a field is added with a default, never changed in meaning (docs/run-directory.md, issue #2).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec

__all__ = [
    "CheckResult",
    "Evidence",
    "FaultLine",
    "Header",
    "HistoryLine",
    "LineType",
    "NodeClock",
    "NodeExit",
    "Phase",
    "RunEnd",
    "RunRecord",
    "TraceEvent",
    "TraceLine",
    "Validity",
    "Verdict",
]

FORMAT_VERSION = 1


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """First line of every `.jsonl` file of a run."""

    format: Literal["histrio/history", "histrio/faults", "histrio/trace"]
    version: int = FORMAT_VERSION
    clock: Literal["virtual", "monotonic"] = "virtual"
    """`virtual`: simulated nanoseconds since the start of the run. `monotonic`: the harness's clock, same origin."""


# ── history.jsonl ────────────────────────────────────────────────────────────────────────────────────────────────────


class LineType(StrEnum):
    """What a history line reports; the last three are the outcomes of an operation."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    """Certainly did not happen."""
    INFO = "info"
    """May or may not have happened, now or later: the operation stays open for ever and its process ends."""


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One invocation or completion, in the order in which the harness recorded them."""

    index: int
    """Position in the file, from 0, without the header."""
    time_ns: int
    process: int
    """A logical client: at most one open operation; after `info` it is never used again."""
    type: LineType
    f: str
    key: Any = None
    value: Any = None
    """An invocation's argument; in a completion of type `ok` the result (a read's value, a write's argument)."""
    error: str | None = None
    node: str | None = None
    """The node the client was bound to."""
    position: tuple[int, int] | None = None
    """(term, index) in the replicated log at which the system says the operation took effect, where it says so."""


# ── faults.jsonl ─────────────────────────────────────────────────────────────────────────────────────────────────────


class FaultPlanned(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="planned"):
    """Written for each fault of the plan before the first operation; `at`, `target`, `params` as in plan.json."""

    id: str
    time_ns: int
    kind: str
    family: str
    at: dict[str, Any]
    for_ns: int
    target: Any = None
    params: dict[str, Any] = {}
    evidence: tuple[str, ...] = ()
    """Counts any of which above zero shows an effect; empty: any count does."""


class FaultApplied(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="applied"):
    """The mechanism was switched on. Proves nothing yet: see `FaultObserved`."""

    id: str
    time_ns: int
    resolved: tuple[str, ...]
    """The nodes hit, by name."""
    rule: str
    """The rule or call, for people: `drop n1 -> n2 n3`, `SIGKILL n2`."""


class FaultObserved(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="observed"):
    """The evidence: counted consequences (packets dropped, unsynced bytes lost, refused pings). All zero: no effect."""

    id: str
    time_ns: int
    counts: dict[str, int]


class FaultUndone(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="undone"):
    """The mechanism was switched off."""

    id: str
    time_ns: int


class FaultHealed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="healed"):
    """A probe saw the consequence end."""

    id: str
    time_ns: int
    probe: str


FaultLine = FaultPlanned | FaultApplied | FaultObserved | FaultUndone | FaultHealed


# ── trace.jsonl ──────────────────────────────────────────────────────────────────────────────────────────────────────


class TraceEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type"):
    """What a node of a replicated log did. The subclasses are the closed vocabulary of traces."""


class Restored(TraceEvent, frozen=True, gc=False, tag="restored"):
    """First event of every incarnation: what the disk gave back."""

    term: int
    voted_for: str | None
    last_index: int
    last_term: int


class Became(TraceEvent, frozen=True, gc=False, tag="became"):
    role: Literal["follower", "pre-candidate", "candidate", "leader"]
    term: int


class Voted(TraceEvent, frozen=True, gc=False, tag="voted"):
    """A real vote (pre-votes promise nothing and are not traced), also a candidate's for itself."""

    term: int
    candidate: str


class Appended(TraceEvent, frozen=True, gc=False, tag="appended"):
    """`digest`: of the entry's payload; equal index and term must mean equal digest on all nodes."""

    index: int
    term: int
    digest: int


class Truncated(TraceEvent, frozen=True, gc=False, tag="truncated"):
    """Entries from `index` on were removed."""

    index: int


class Synced(TraceEvent, frozen=True, gc=False, tag="synced"):
    """All entries up to `index` (whose term is `term`) are durable."""

    index: int
    term: int


class Committed(TraceEvent, frozen=True, gc=False, tag="committed"):
    index: int


class Applied(TraceEvent, frozen=True, gc=False, tag="applied"):
    """`digest`: of the applied entry, as in `Appended`."""

    index: int
    digest: int


class Snapshot(TraceEvent, frozen=True, gc=False, tag="snapshot"):
    """`installed`: received from a leader; else taken here, or found on disk by an incarnation that begins."""

    index: int
    term: int
    digest: int
    installed: bool


class Configuration(TraceEvent, frozen=True, gc=False, tag="configuration"):
    """The configuration at log position `index` (0: that of the beginning) is in force on the node."""

    index: int
    voters: tuple[str, ...]
    learners: tuple[str, ...] = ()
    voters_outgoing: tuple[str, ...] = ()
    """Not empty in joint consensus only: a majority of them must agree as well as one of `voters`."""


class Acknowledged(TraceEvent, frozen=True, gc=False, tag="acknowledged"):
    """The node told a client that `operation` took effect, at log position `index` (0: the system does not say)."""

    operation: str
    index: int


class Sent(TraceEvent, frozen=True, gc=False, tag="sent", omit_defaults=True):
    """`cause`: the operation or message that made the node send it; empty when a timer did."""

    message: str
    kind: str
    to: str
    cause: str = ""
    term: int = 0
    """Of a message that promises something: the term in which it does; 0: it promises nothing."""
    match: int = 0
    """Of an acknowledgement to a leader: up to this index the log is durable here and equal to the leader's."""
    vote: bool = False
    """It grants the receiver a vote in `term`."""


class Received(TraceEvent, frozen=True, gc=False, tag="received"):
    message: str
    kind: str
    source: str


AnyTraceEvent = (
    Restored
    | Became
    | Voted
    | Appended
    | Truncated
    | Synced
    | Committed
    | Applied
    | Snapshot
    | Configuration
    | Acknowledged
    | Sent
    | Received
)


class TraceLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event of one node. Order within a node is `(incarnation, seq)`; `local_ns` is for drawing only."""

    node: str
    incarnation: int
    seq: int
    local_ns: int
    event: AnyTraceEvent


# ── verdict.json ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Validity(StrEnum):
    """Validity of a check or run. Ordered by severity: `invalid` masks everything, `valid` nothing."""

    VALID = "valid"
    UNKNOWN = "unknown"
    """A checker ran out of its stated budget."""
    VACUOUS = "vacuous"
    """The run tested nothing worth the name; the check says what was missing."""
    HARNESS_ERROR = "harness error"
    INVALID = "invalid"

    @property
    def severity(self) -> int:
        """0 for valid up to 4 for invalid."""
        return list(Validity).index(self)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Why a check decided as it did, for people (`summary`, `details`) and for tools (`indexes`, `figures`)."""

    summary: str
    """One sentence."""
    details: tuple[str, ...] = ()
    """Further lines of text, such as a text timeline; printed in a fixed-width font."""
    indexes: tuple[int, ...] = ()
    """History indexes of the operations concerned (of their invocations), the contradiction's last."""
    figures: dict[str, Any] = {}
    """Counts and other JSON values; keys are stable."""


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, rename={"anomaly": "class"}):
    """One check's verdict."""

    name: str
    """`linearizability`, `election-safety`, `liveness`, …"""
    validity: Validity
    anomaly: str | None = None
    """Class of what was found (`stale-read`, `two-leaders-in-a-term`); `class` in JSON. None when valid."""
    key: Any = None
    """The key (or node, term) concerned, where the check decides per key."""
    evidence: Evidence
    budget: dict[str, int | float] = {}
    """Limits and what was used of them: `configurations_max`, `configurations`, …"""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The run's verdict: the most severe validity of its checks."""

    validity: Validity
    signature: str | None
    """Check, anomaly class and operation kinds (for an invariant: rule and role) of the worst check; what shrinking
    and de-duplication hold constant. None when valid."""
    checks: tuple[CheckResult, ...]


# ── run.json ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the run: settle, load, heal, final-reads, liveness. `end_ns` None: the run was cut off in it."""

    name: str
    begin_ns: int
    end_ns: int | None = None


class NodeExit(msgspec.Struct, frozen=True, kw_only=True):
    """A node ended although no fault ended it."""

    node: str
    time_ns: int
    reason: str


class NodeClock(msgspec.Struct, frozen=True, kw_only=True):
    """What to add to `local_ns` of one incarnation to get about the run's time: for drawing only."""

    node: str
    incarnation: int
    offset_ns: int


class RunEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The run's end mark: without it the harness was killed."""

    time_ns: int
    reason: Literal["completed", "event-budget", "time-budget", "interrupted", "error"]
    error: str | None = None
    """What went wrong inside the harness, when `reason` is `error`."""
    events: int | None = None
    """Simulated events executed; None in real environments."""
    trace_hash: str | None = None
    """Digest of every simulated event; equal for equal seeds. None in real environments."""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """run.json: what was run, with what, and how it ended. Written before the start and replaced at the end."""

    version: int = FORMAT_VERSION
    name: str
    histrio_version: str
    python_version: str
    started_at: str
    """UTC, ISO 8601; the only wall-clock time in the directory."""
    seed: int
    environment: str
    system: str
    system_options: dict[str, Any] = {}
    bug: str | None = None
    nodes: tuple[str, ...]
    workload: str
    workload_options: dict[str, Any] = {}
    nemesis: tuple[str, ...]
    """Families or kinds asked for; every one must have taken effect, else the run is vacuous."""
    skipped: dict[str, str] = {}
    """Fault kind -> reason why this environment did not inject it (only when the user asked for `all`)."""
    time_limit_ns: int
    rate_hz: float
    concurrency: int
    checks: tuple[str, ...] = ()
    """Names of the checks this run is judged by."""
    command: str = ""
    """The command line that repeats the run."""
    spec: dict[str, Any] = {}
    """Everything that `histrio replay` needs, as JSON; its shape is the harness's own affair."""
    phases: tuple[Phase, ...] = ()
    exits: tuple[NodeExit, ...] = ()
    """Unplanned exits of nodes."""
    clocks: tuple[NodeClock, ...] = ()
    """Of real nodes, by incarnation; the simulator's begin with the run."""
    end: RunEnd | None = None
