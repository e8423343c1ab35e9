"""What may have happened when an operation fails (one table), and what can be wrong with what a workload is given.

Here belongs the only place that says which errors are definite. An operation that failed with a definite error has
certainly had no effect and never will; any other error leaves the outcome open: `info`. An error that is not in the
table is indefinite, because calling an effect impossible that is possible makes a checker accuse a correct system, and
calling a missing effect possible only makes it slower.

WorkloadError
├── UnknownWorkload    no workload of that name
├── GeneratorStuck     a generator waits for an event that can never come
└── InvalidOptions     options no workload can run with
"""

from __future__ import annotations

from difflib import get_close_matches

from workloads.session import Outcome

__all__ = [
    "DEFINITE_ERRORS",
    "INDEFINITE_ERRORS",
    "GeneratorStuck",
    "InvalidOptions",
    "UnknownWorkload",
    "WorkloadError",
    "outcome_of",
]

DEFINITE_ERRORS: dict[str, str] = {
    "bad-request": "the node could not make sense of the request and did nothing",
    "cas-mismatch": "compare-and-set found another value than the expected one and changed nothing",
    "compacted": "the changes asked for are forgotten, and only a read asked for them",
    "connection-refused": "no connection came about, so no request left the client",
    "empty": "nothing was in the queue, so nothing was taken",
    "insufficient-funds": "the transfer would have overdrawn the account and was not made",
    "lock-held": "somebody else holds the lock",
    "lock-lost": "the lock is not held under that token (any more), so nothing was done or given back",
    "no-leader": "the node knows no leader and did not pass the request on",
    "not-found": "the key does not exist, so the conditional operation changed nothing",
    "not-leader": "the node does not lead and did not pass the request on",
    "overloaded": "the node refused the request before proposing it",
    "change-in-progress": "the leader refused a change of the membership while another one was open",
    "not-caught-up": "the leader refused to give a vote to a member that lacked too much of the log",
    "not-ready": "the leader had committed nothing in its term yet and did nothing",
    "transfer-in-progress": "the leader was handing over and refused the request before proposing it",
    "session-expired": "the system no longer knows the session and refuses its commands",
}
"""Error name -> why the operation certainly had no effect. Everything else is indefinite."""

INDEFINITE_ERRORS: dict[str, str] = {
    "connection-lost": "the request may have arrived before the connection broke",
    "leadership-lost": "the proposal is in a log that another leader may keep or drop",
    "outcome-unknown": "the system itself says that it does not know",
    "timeout": "no answer in time; the request may still be on its way",
}
"""Error name -> why the outcome is open. For people: names that stand in neither table count as indefinite too."""


def outcome_of(error: str) -> Outcome:
    """FAIL for a definite error, INFO for any other. `error` may carry detail after a colon (`timeout: 1 s`)."""
    name = error.split(":", 1)[0].strip()
    return Outcome.FAIL if name in DEFINITE_ERRORS else Outcome.INFO


class WorkloadError(Exception):
    """Base of all errors of this package."""


class UnknownWorkload(WorkloadError):
    """There is no workload called `name`; `suggestion` is the nearest one, if any is near."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name, self.known = name, known
        near = get_close_matches(name, known, n=1)
        self.suggestion = near[0] if near else None
        hint = f"did you mean {self.suggestion}?" if self.suggestion else f"known are {', '.join(known)}"
        super().__init__(f"there is no workload {name!r}; {hint}")


class GeneratorStuck(WorkloadError):
    """Nothing is open, nothing is timed, and yet the generator says that it is not done."""

    def __init__(self, now_ns: int, generator: object) -> None:
        self.now_ns = now_ns
        super().__init__(
            f"the generator waits at {now_ns} ns, but no operation is open and it asked for no wake-up, so nothing "
            f"can move it again: {type(generator).__name__} (let it return Done, or Pending with a time)"
        )


class InvalidOptions(WorkloadError):
    """An option is outside of what can be run."""

    def __init__(self, option: str, value: object, problem: str) -> None:
        self.option, self.value = option, value
        super().__init__(f"{option} = {value!r}: {problem}")
