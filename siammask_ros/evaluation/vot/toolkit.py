# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The VOT toolkit, an optional package: found or missed in one line, and made to run one target.

vot-toolkit 0.8 and 0.9 were rewritten for several targets at a time, and their experiments with
one do not run: the supervised ones hand a single status to a TraX side that wants lists, refuse
real-time runtimes, and the anchor-based ones ask for the start of a run at the anchor's number
instead of its first frame. What is here mends that from outside; nothing of the toolkit's
measures is touched.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_REMEDY = "pip install -r requirements/benchmarks.txt"
_DISTRIBUTIONS = {"vot": "vot-toolkit", "trax": "vot-trax"}
_WORKSPACE_MODULES = ("experiment", "analysis", "workspace")
"""Loaded together, as their classes find each other by name."""

Untyped: TypeAlias = Any
"""A module or an object of the toolkit, which has no types."""


def toolkit_module(name: str) -> Untyped:
    """A module of the toolkit: `vot`, or `vot.NAME`.

    Raises:
        ImportError: it is not installed, or not with packages that it runs with.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = (error.name or name).partition(".")[0]
        missing = _DISTRIBUTIONS.get(missing, missing)
        raise ImportError(f"VOT needs the package {missing}: {_REMEDY}") from error
    except (ImportError, TypeError, AttributeError, ValueError) as error:
        raise ImportError(
            f"vot-toolkit {_version('vot-toolkit')} does not import with attributee "
            f"{_version('attributee')} ({error}): {_REMEDY}"
        ) from error


def load_toolkit() -> None:
    """Import what workspaces are made of.

    Raises:
        ImportError: see `toolkit_module`.
    """
    for name in _WORKSPACE_MODULES:
        toolkit_module(f"vot.{name}")


def toolkit_version() -> str:
    """The version that is installed."""
    return _version("vot-toolkit")


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


@contextmanager
def toolkit_errors() -> Iterator[None]:
    """Turn the toolkit's errors into a RuntimeError, and keep it from writing to the output.

    Raises:
        RuntimeError: with the toolkit's message; the error itself is its cause.
    """
    toolkit = toolkit_module("vot")
    logger = logging.getLogger("vot")
    level = logger.level
    logger.setLevel(logging.WARNING)  # or it prints progress, a line a percent
    try:
        yield
    except toolkit.ToolkitException as error:
        raise RuntimeError(f"VOT toolkit: {error}") from error
    finally:
        logger.setLevel(level)


class SingleTargetRuntime:
    """The runtime of a tracker of one target, as all of the toolkit's experiments ask for it.

    Who gives one target gets one status; who gives a list gets a list.

    Args:
        runtime: the toolkit's TraX runtime.
        check: called after each answer; ends the run by raising.
    """

    multiobject = False

    def __init__(self, runtime: Untyped, check: Callable[[], None]) -> None:
        self._runtime = runtime
        self._check = check

    @property
    def tracker(self) -> Untyped:
        """The tracker that is run."""
        return self._runtime.tracker

    def initialize(self, frame: Untyped, new: Untyped = None) -> tuple[Untyped, float]:
        """Start on a target, or on a list of one."""
        listed = isinstance(new, list)
        status, elapsed = self._runtime.initialize(frame, new if listed else [new])
        self._check()
        return (status if listed else status[0]), elapsed

    def update(self, frame: Untyped, new: Untyped = None) -> tuple[Untyped, float]:
        """Find the target in the next frame; an empty list for `new` asks for a list."""
        status, elapsed = self._runtime.update(frame, [])
        self._check()
        return (status if isinstance(new, list) else status[0]), elapsed

    def run(self, frames: Untyped, queries: Untyped) -> Untyped:
        """Run through frames, as the toolkit does with any runtime."""
        return toolkit_module("vot.tracker").OnlineTrackerRuntime.run(self, frames, queries)

    def restart(self) -> None:
        """Start a new process."""
        self._runtime.restart()

    def stop(self) -> None:
        """End the process."""
        self._runtime.stop()

    def __enter__(self) -> SingleTargetRuntime:  # noqa: PYI034 - Self is of Python 3.11
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def with_single_target(tracker: Untyped, check: Callable[[], None]) -> Untyped:
    """The toolkit's tracker, its runtimes those of one target (`SingleTargetRuntime`)."""
    trackers = toolkit_module("vot.tracker")
    if hasattr(trackers, "SingleObjectTrackerRuntime"):
        return tracker  # up to 0.7 the toolkit does this itself
    for kind in (SingleTargetRuntime, trackers.RealtimeTrackerRuntime):
        trackers.OnlineTrackerRuntime.register(kind)
    start = tracker.runtime
    tracker.runtime = lambda log=False: SingleTargetRuntime(start(log), check)
    return tracker


def execute(
    experiment: Untyped,
    tracker: Untyped,
    sequence: Untyped,
    *,
    force: bool,
    on_progress: Callable[[float], None],
) -> None:
    """Run an experiment on a sequence; what has results already is left out unless `force`.

    Raises:
        ValueError: the experiment starts at anchors and the sequence has none.
    """
    multistart = toolkit_module("vot.experiment.multistart")
    if isinstance(experiment, multistart.MultiStartExperiment):
        starts = _anchored_runs(multistart, experiment, sequence)
        _run_from_anchors(
            experiment, tracker, sequence, starts, force=force, on_progress=on_progress
        )
    else:
        experiment.execute(tracker, sequence, force=force, callback=on_progress)


def _anchored_runs(
    multistart: Untyped, experiment: Untyped, sequence: Untyped
) -> list[tuple[int, range]]:
    """The anchors, and the frames of their runs: to the end, or back to the first frame."""
    forward, backward = multistart.find_anchors(sequence, experiment.anchor)
    if not forward and not backward:
        raise ValueError(
            f"sequence {sequence.name} has no anchors (file {experiment.anchor}.value), which "
            f"experiment {experiment.identifier} starts at"
        )
    return [(anchor, range(anchor, len(sequence))) for anchor in forward] + [
        (anchor, range(anchor, -1, -1)) for anchor in backward
    ]


def _run_from_anchors(
    experiment: Untyped,
    tracker: Untyped,
    sequence: Untyped,
    starts: Sequence[tuple[int, range]],
    *,
    force: bool,
    on_progress: Callable[[float], None],
) -> None:
    """The runs of an anchor-based experiment (VOT2020 and later), stored as the toolkit does."""
    trackers = toolkit_module("vot.tracker")
    proxy = toolkit_module("vot.dataset.proxy")
    special = toolkit_module("vot.region").Special
    results = experiment.results(tracker, sequence)
    with experiment._get_runtime(tracker, sequence) as runtime:  # noqa: SLF001 - real time is there
        for number, (anchor, frames) in enumerate(starts, start=1):
            name = f"{sequence.name}_{anchor:08d}"
            if force or not trackers.Trajectory.exists(results, name):
                part = proxy.FrameMapSequence(sequence, list(frames))
                trajectory = trackers.Trajectory(len(part))
                target = trackers.ObjectStatus(part.groundtruth(0), {})
                _, elapsed = runtime.initialize(part.frame(0), target)
                started = special(trackers.Trajectory.INITIALIZATION)
                trajectory.set(0, started, {"time": elapsed})
                for index in range(1, len(part)):
                    status, elapsed = runtime.update(part.frame(index))
                    said = {**status.properties, "time": elapsed}
                    trajectory.set(index, status.region, said)
                trajectory.write(results, name)
            on_progress(number / len(starts))
