"""PySyncObj 0.3.17 as `benchmarks.raft` measures it: a process that is a member, and with `--connections` its callers.

PySyncObj has no protocol for clients: callers are threads in the process of a member, and reads are local and stale, so
only puts can be compared. It never syncs what it writes. The settings are its fastest ones at few callers
(`appendEntriesUseBatch=False`, in memory): its defaults take 100 ms for every call.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from resource import RUSAGE_SELF, getrusage
from threading import Event, Thread
from time import perf_counter_ns, sleep  # noqa: TID251  a benchmark measures the machine's time
from typing import Any

import msgspec

from benchmarks.raft_load import Measured

__all__ = ["main"]

_NS = 1_000_000_000


class _Caller(Thread):
    """One closed loop with `depth` calls under way."""

    def __init__(self, table: Any, options: Namespace, number: int, begin_ns: int, end_ns: int) -> None:
        super().__init__(daemon=True)
        self._table, self._options, self._number = table, options, number
        self._begin_ns, self._end_ns = begin_ns, end_ns
        self.latencies: list[int] = []
        self.errors = 0
        self._over = Event()

    def run(self) -> None:
        for slot in range(self._options.depth):
            self._call(slot)
        self._over.wait()

    def _call(self, slot: int) -> None:
        started = perf_counter_ns()
        if started >= self._end_ns:
            self._over.set()
            return
        key = f"k{(self._number * 7919 + slot + started) % 1000:06}"

        def done(result: object, error: int) -> None:
            now = perf_counter_ns()
            if self._begin_ns <= now <= self._end_ns:
                if error:
                    self.errors += 1
                else:
                    self.latencies.append(now - started)
            self._call(slot)

        self._table.set(key, "v" * 256, callback=done)


def main() -> None:
    """Serves until killed, or measures and prints."""
    from pysyncobj import SyncObj, SyncObjConf  # type: ignore[import-not-found]  # only where asked for
    from pysyncobj.batteries import ReplDict  # type: ignore[import-not-found]

    options = _options()
    table = ReplDict()
    conf = SyncObjConf(appendEntriesUseBatch=False, dynamicMembershipChange=False)
    node = SyncObj(options.own, options.other, conf=conf, consumers=[table])
    if options.connections is None:
        while True:
            sleep(1)
    while not node.isReady():
        sleep(0.05)
    begin = perf_counter_ns() + int(options.warmup * _NS)
    end = begin + int(options.seconds * _NS)
    callers = [_Caller(table, options, number, begin, end) for number in range(options.connections)]
    for caller in callers:
        caller.start()
    sleep(max(0.0, (begin - perf_counter_ns()) / _NS))
    cpu_s = _cpu_seconds()
    sleep(options.seconds)
    cpu_s = _cpu_seconds() - cpu_s
    ranked = sorted(latency for caller in callers for latency in caller.latencies)
    errors = sum(caller.errors for caller in callers)
    at = {
        name: ranked[int(q * (len(ranked) - 1))] / 1000 if ranked else 0.0 for name, q in (("p50", 0.5), ("p99", 0.99))
    }
    print(msgspec.json.encode(Measured(len(ranked), errors, options.seconds, at, cpu_s)).decode(), flush=True)


def _cpu_seconds() -> float:
    usage = getrusage(RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.pysyncobj_load")
    parser.add_argument("--self", dest="own", required=True)
    parser.add_argument("--other", action="append", default=[])
    parser.add_argument("--connections", type=int, default=None)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--operation", choices=("put",), default="put")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warmup", type=float, default=1.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
