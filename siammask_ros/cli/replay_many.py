# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several bags replayed in a row or at the same time, with a table of what became of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from siammask_ros.cli.common import EXIT_FAILED, EXIT_INTERRUPTED, complain
from siammask_ros.cli.replay_job import Outcome, ReplayJob, run_job
from siammask_ros.cli.replay_progress import Bar, replay_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.synchronize import Event

    from siammask_ros.interruption import Interruption

POLL_S = 0.1
USER_ERRORS = (ValueError, OSError, RuntimeError, ImportError)
"""What one bag may fail of; the others go on."""
NOTHING = "-"

_queue: Any = None
"""In a worker: takes progress to the parent."""
_stop: Any = None
"""In a worker: set when the parent is interrupted."""


def run_many(jobs: Sequence[ReplayJob], workers: int, interruption: Interruption) -> int:
    """Replay bags, print a table, and return the exit status.

    Args:
        jobs: one a bag.
        workers: how many at the same time, each in a process of its own; 1: in this one.
        interruption: says when to end.
    """
    run = (
        _in_processes(jobs, workers, interruption) if workers > 1 else _in_a_row(jobs, interruption)
    )
    outcomes = dict(run)
    in_order = [outcomes[number] for number in sorted(outcomes)]
    for outcome in in_order:
        for text in outcome.notices:
            complain(f"siammask: {outcome.bag}: {text}")
        for text in outcome.warnings:
            complain(f"siammask: {outcome.bag}: warning: {text}")
    _print_table(in_order)
    if interruption.requested:
        complain(f"siammask: interrupted; {len(jobs) - len(in_order)} bags were not begun")
        return EXIT_INTERRUPTED
    return EXIT_FAILED if any(outcome.status == "failed" for outcome in in_order) else 0


def _in_a_row(
    jobs: Sequence[ReplayJob], interruption: Interruption
) -> Iterator[tuple[int, Outcome]]:
    with replay_progress() as progress:
        for number, job in enumerate(jobs):
            if interruption.requested:
                return
            yield number, _outcome(job, Bar(progress, job.bag.name, interruption))


def _in_processes(
    jobs: Sequence[ReplayJob], workers: int, interruption: Interruption
) -> Iterator[tuple[int, Outcome]]:
    # A fork would share the threads of torch, and CUDA.
    context = multiprocessing.get_context("spawn")
    queue, stop = context.Queue(), context.Event()
    share = max(len(os.sched_getaffinity(0)) // workers, 1)
    with replay_progress() as progress:
        bars = {
            number: Bar(progress, job.bag.name, interruption, visible=False)
            for number, job in enumerate(jobs)
        }
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(queue, bars, interruption, stop, done))
        watcher.start()
        try:
            with ProcessPoolExecutor(
                workers, mp_context=context, initializer=_begin_worker, initargs=(queue, stop)
            ) as pool:
                futures = {
                    pool.submit(_run_in_worker, number, _with_threads(job, share)): number
                    for number, job in enumerate(jobs)
                }
                for future in as_completed(futures):
                    outcome = future.result()
                    if outcome is not None:
                        yield futures[future], outcome
        finally:
            done.set()
            watcher.join()


def _watch(
    queue: Any,  # noqa: ANN401
    bars: dict[int, Bar],
    interruption: Interruption,
    stop: Event,
    done: threading.Event,
) -> None:
    """Show the workers' progress, and tell them to stop."""
    while not done.wait(POLL_S):
        if interruption.requested:
            stop.set()
        while not queue.empty():
            number, total, advanced = queue.get()
            bars[number].move(total, advanced)


def _begin_worker(queue: Any, stop: Event) -> None:  # noqa: ANN401
    global _queue, _stop
    _queue, _stop = queue, stop
    for number in (signal.SIGINT, signal.SIGTERM):  # come to the whole group; the parent decides
        signal.signal(number, signal.SIG_IGN)


def _run_in_worker(number: int, job: ReplayJob) -> Outcome | None:
    """One job in a worker; None if it was not begun."""
    if _stop.is_set():
        return None
    return _outcome(job, _FarBar(number))


class _FarBar:
    """A `Watcher` whose bar is in the parent."""

    def __init__(self, number: int) -> None:
        self._number = number

    def begin(self, total: int) -> None:
        _queue.put((self._number, total, 0))

    def advance(self) -> None:
        _queue.put((self._number, 0, 1))

    @staticmethod
    def is_stopped() -> bool:
        return bool(_stop.is_set())


def _outcome(job: ReplayJob, watcher: Any) -> Outcome:  # noqa: ANN401
    """What became of a job, failure included."""
    try:
        return run_job(job, watcher)
    except USER_ERRORS as error:
        reason = " ".join(str(error).split())
        return Outcome(job.bag, status="failed", reason=reason)


def _with_threads(job: ReplayJob, share: int) -> ReplayJob:
    """So that the workers do not take each other's cores."""
    placement = job.network.placement
    shared = placement._replace(threads=placement.threads or share)
    return replace(job, network=replace(job.network, placement=shared))


def _print_table(outcomes: Sequence[Outcome]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("bag", "result", "images", "not decoded", "images/s", "targets", "tracked")
    for outcome in outcomes:
        ran = outcome.status in {"done", "interrupted"}
        numbers = (
            str(outcome.images),
            str(outcome.passed_over),
            f"{outcome.rate:.1f}",
            str(len(outcome.targets)),
            f"{outcome.tracked / outcome.entries:.0%}" if outcome.entries else NOTHING,
        )
        shown = numbers if ran else (NOTHING,) * len(numbers)
        table.add_row(escape(str(outcome.bag)), outcome.status, *shown)
    Console().print(table)
    for outcome in outcomes:
        if outcome.reason:
            complain(f"siammask: {outcome.bag}: {outcome.reason}")
    done = sum(outcome.status == "done" for outcome in outcomes)
    typer.echo(f"{done} of {len(outcomes)} bags replayed")
