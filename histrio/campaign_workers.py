"""Runs a campaign's trials in processes side by side, and tells of each row as it comes.

Here belong the processes: that one which dies or hangs is replaced, with the trial that it had counted as the harness's
failure; and that every hundredth row is made a second time, in another process with another hash seed, and compared.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import trio

from histrio.campaign import CampaignSpec, Row, spec_of_seed
from histrio.campaign_trial import failed_row
from histrio.trial import TrialSpec, spec_to_json

__all__ = ["RECHECK_EVERY", "Workers", "run_campaign"]

RECHECK_EVERY = 100
"""One trial in so many is run twice."""

TRIAL_LIMIT_S = 600.0
"""Wall time; the event budget ends a livelock long before."""
_ROW_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Workers:
    """How many processes, and what they run."""

    jobs: int
    packages: Path | None = None
    """Folder to import ours from (`histrio.compiled`); None: whence this process has them."""


@dataclass(slots=True)
class _Hands:
    """One process."""

    process: trio.Process
    buffered: bytearray = field(default_factory=bytearray)


class _Campaign:
    def __init__(self, spec: CampaignSpec, workers: Workers, on_row: Callable[[Row], bool]) -> None:
        self._spec, self._workers, self._on_row = spec, workers, on_row
        self._seeds: Iterator[int] = iter(range(spec.first, spec.last + 1))
        self._rechecking = trio.Lock()
        self._checker: _Hands | None = None
        self.rechecked = 0

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(self._workers.jobs):
                nursery.start_soon(self._work, number, nursery.cancel_scope)
        await self._dismiss(self._checker)

    async def _work(self, number: int, scope: trio.CancelScope) -> None:
        hands: _Hands | None = None
        try:
            for seed in self._seeds:
                hands = hands or await self._hire(number)
                spec = spec_of_seed(self._spec, seed)
                row = await self._ask(hands, spec)
                if row is None:
                    await self._dismiss(hands)
                    hands = None
                    row = failed_row(spec, "the process of the trial ended, or took longer than ten minutes")
                elif seed % RECHECK_EVERY == 0:
                    row = await self._recheck(spec, row)
                if not self._on_row(row):
                    scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await self._dismiss(hands)

    async def _recheck(self, spec: TrialSpec, row: Row) -> Row:
        """The same trial in a process with other hashes must leave the same row, trace hash included."""
        async with self._rechecking:
            self._checker = self._checker or await self._hire(self._workers.jobs)
            again = await self._ask(self._checker, spec)
            self.rechecked += 1
        if again == row:
            return row
        hashes = (row.trace_hash, None if again is None else again.trace_hash)
        return failed_row(spec, f"not deterministic: two runs of seed {spec.seed} differ, trace hashes {hashes}")

    async def _hire(self, number: int) -> _Hands:
        environ = {**os.environ, "PYTHONHASHSEED": str(number + 1)}
        if self._workers.packages is not None:
            environ["PYTHONPATH"] = str(self._workers.packages)
        command = [sys.executable, "-m", "histrio.campaign_worker"]
        # In the folder of the packages, for `-m` looks into the present one first.
        return _Hands(
            await trio.lowlevel.open_process(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, cwd=self._workers.packages
            )
        )

    async def _ask(self, hands: _Hands, spec: TrialSpec) -> Row | None:
        """None: no answer came, or none will."""
        process = hands.process
        assert process.stdin is not None
        assert process.stdout is not None
        with trio.move_on_after(TRIAL_LIMIT_S):
            try:
                await process.stdin.send_all(msgspec.json.encode(spec_to_json(spec)) + b"\n")
            except trio.BrokenResourceError:
                return None
            while b"\n" not in hands.buffered:
                data = await process.stdout.receive_some(_ROW_BYTES)
                if not data:
                    return None
                hands.buffered += data
            line, _, rest = hands.buffered.partition(b"\n")
            hands.buffered = rest
            return msgspec.json.decode(line, type=Row)
        return None

    async def _dismiss(self, hands: _Hands | None) -> None:
        if hands is None:
            return
        if hands.process.returncode is None:
            hands.process.send_signal(signal.SIGKILL)
        await hands.process.wait()
        for pipe in (hands.process.stdin, hands.process.stdout):
            if pipe is not None:
                async with aclosing(pipe):
                    pass


def run_campaign(
    campaign: CampaignSpec, workers: Workers, on_row: Callable[[Row], bool], *, budget_s: float | None = None
) -> tuple[int, bool]:
    """All seeds, or as many as `budget_s` of wall time allows. on_row: takes each row; False ends the campaign.

    Returns how many rows were made twice, and whether the time ran out.
    """
    running = _Campaign(campaign, workers, on_row)

    async def bounded() -> bool:
        with trio.move_on_after(float("inf") if budget_s is None else budget_s) as scope:
            await running.run()
        return scope.cancelled_caught

    out_of_time = trio.run(bounded)
    return running.rechecked, out_of_time
