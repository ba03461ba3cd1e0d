# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One bag that is replayed into a result bag and other files."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from siammask_ros.cli.common import Placement, Preset

if TYPE_CHECKING:
    from collections.abc import Callable

    from siammask_ros.backends import PreparedNetwork
    from siammask_ros.bags.reader import Bag
    from siammask_ros.bags.topics import BagTopic
    from siammask_ros.cues import CueSheet, ImageTimes
    from siammask_ros.longterm import LongTermTracker
    from siammask_ros.outputs import OutputPaths

RECORD = "replay.json"
"""In the folder of a result bag: what it was made of, and how."""
SAMPLE_BYTES = 1 << 16
"""Of a bag's files beginning and end are compared, of this size, and the length."""
AUTO, REQUESTS, DETECTIONS, BOTH = "auto", "requests", "detections", "both"
"""Values of `--from-bag`."""
NO_COMPRESSION = "none"
USUAL_COMPRESSION = {"mcap": "zstd", "sqlite3": None}
"""What `--compression auto` means: SQLite has none of its own, players need a plugin for it."""


@dataclass(frozen=True)
class NetworkChoice:
    """Which tracker is used, as the options of the command say it."""

    weights: str
    preset: Preset
    settings: tuple[str, ...]
    placement: Placement


@dataclass(frozen=True)
class TargetChoice:
    """Where targets come from.

    Attributes:
        boxes: in the first image, as `x,y,width,height`.
        labels: a word for each.
        targets: file with a list of targets.
        from_bag: what is read from the bag: requests, detections, both; auto: if no target is
            given, the requests, or else the detections.
        camera: whose recorded requests are taken.
        detections: topic with detections; empty: the only one.
        policy: which detections start targets; empty: `first` where nothing else starts one,
            otherwise `manual`.
        wanted_class, min_score, iou: see `HandoverConfig`.
    """

    boxes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    targets: Path | None = None
    from_bag: str = AUTO
    camera: str = ""
    detections: str = ""
    policy: str = ""
    wanted_class: str = ""
    min_score: float = 0.5
    iou: float = 0.5


@dataclass(frozen=True)
class ReplayJob:
    """One bag and all that is to be made of it.

    Attributes:
        bag: what is replayed.
        output: the folder of the result bag.
        files: other results.
        topic: its images; empty: the only ones.
        start, stop: first image, and the one before which to end; 0: the end.
        copy: topics whose messages come into the result bag.
        storage, overlay: of the result bag.
        compression: of the result bag: zstd, none, or auto, see `USUAL_COMPRESSION`.
        force: replace results that are there.
    """

    bag: Path
    output: Path
    files: OutputPaths
    network: NetworkChoice
    targets: TargetChoice
    topic: str = ""
    start: int = 0
    stop: int = 0
    copy: tuple[str, ...] = ()
    storage: str = "mcap"
    compression: str = AUTO
    overlay: bool = False
    force: bool = False


@dataclass
class Outcome:
    """What became of a job.

    Attributes:
        status: done, up to date, interrupted, or failed.
        images: that were processed.
        passed_over: that could not be decoded.
        seconds: for all images.
        targets: different ids.
        tracked: entries of targets that were TRACKING, of all.
        entries: of all targets in all images.
        written: files and folders that are there now.
        warnings, notices: what was said, a line each.
        reason: why it failed.
    """

    bag: Path
    status: str = "done"
    images: int = 0
    passed_over: int = 0
    seconds: float = 0.0
    targets: set[int] = field(default_factory=set)
    tracked: int = 0
    entries: int = 0
    written: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    reason: str = ""

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds if self.seconds else 0.0


class Watcher(Protocol):
    """Follows the progress of a job, and may end it."""

    def begin(self, total: int) -> None:
        """There are so many images; 0: not known."""

    def advance(self) -> None:
        """One more is done."""

    def is_stopped(self) -> bool:
        """Whether to end with what is done."""


class _Loaded(NamedTuple):
    network: PreparedNetwork
    tracker: LongTermTracker


def run_job(job: ReplayJob, watcher: Watcher) -> Outcome:
    """Replay a bag.

    Raises:
        ValueError, OSError, ImportError: it failed; nothing is left of it.
        KeyboardInterrupt: it was ended before the first image.
    """
    from siammask_ros.bags.reader import open_bag

    outcome = Outcome(job.bag)
    if job.output.exists() and job.bag.exists() and job.output.samefile(job.bag):
        raise ValueError(f"{job.output} is the bag itself, its results need another name")
    if not job.force and is_up_to_date(job):
        outcome.status = "up to date"
        return outcome
    with open_bag(job.bag) as bag:
        outcome.warnings = bag.warnings
        if not job.force:
            _refuse_existing(job)
        topic = bag.image_topic(job.topic)
        fingerprint = fingerprint_of(job)  # before, in case something changes meanwhile
        _replay(job, bag, topic, watcher, outcome)
        _write_record(job, fingerprint, topic, outcome)
    return outcome


def _replay(job: ReplayJob, bag: Bag, topic: BagTopic, watcher: Watcher, outcome: Outcome) -> None:
    from siammask_ros.bags.topics import BagMessage
    from siammask_ros.bags.writer import ResultBagWriter
    from siammask_ros.cli.outputs import run_settings
    from siammask_ros.outputs import Run, open_outputs
    from siammask_ros.replay import Replay, ReplayRange

    images = ReplayRange(job.start, job.stop or None)
    copied = [bag.topic(name) for name in job.copy]
    for copy in copied:
        if bag.types.is_ros1 or not copy.definition:
            bag.types.check(copy)
    sheet, handover = plan(job, bag, topic)
    choice = job.network
    loaded = _load(choice)
    replay = Replay(
        bag, topic, loaded.tracker, sheet,
        images=images, copied=copied, handover=handover, on_notice=outcome.notices.append,
    )  # fmt: skip
    outcome.notices += sheet.notes
    settings = run_settings(loaded.network, choice.weights, choice.preset, choice.settings)
    run = Run(bag.path.resolve().stem, _rate_of(bag, topic), settings)
    writer = ResultBagWriter(
        job.output, storage=job.storage, compression=_compression(job), overlay=job.overlay,
        overwrite=job.force,
    )  # fmt: skip
    outputs = open_outputs(job.files, run)
    stop = min(images.stop or topic.message_count, topic.message_count)
    watcher.begin(max(stop - images.start, 0))
    began = time.perf_counter()
    with outputs, writer, closing(replay.run()) as events:
        for event in events:
            if isinstance(event, BagMessage):
                writer.copy(event)
                continue
            writer.add(*event)
            outputs.add(event.tracked)
            _count(outcome, event.tracked.entries)
            watcher.advance()
            if watcher.is_stopped():
                outcome.status = "interrupted"
                break
    outcome.seconds = time.perf_counter() - began
    outcome.passed_over = replay.passed_over
    outcome.written = [job.output, *outputs.written]


def _compression(job: ReplayJob) -> str | None:
    if job.compression == AUTO:
        return USUAL_COMPRESSION[job.storage]
    return None if job.compression == NO_COMPRESSION else job.compression


def _count(outcome: Outcome, entries: Any) -> None:  # noqa: ANN401 - named in a module of torch
    from siammask_ros.target_status import TargetStatus

    outcome.images += 1
    outcome.entries += len(entries)
    outcome.targets |= {entry.target_id for entry in entries}
    outcome.tracked += sum(entry.result.status == TargetStatus.TRACKING for entry in entries)


@lru_cache(maxsize=1)
def _load(choice: NetworkChoice) -> _Loaded:
    """The tracker; several bags in a row share it."""
    from siammask_ros.cli.common import load_network, tracker_of
    from siammask_ros.longterm import LongTermTracker

    network = load_network(choice.weights, choice.placement)
    return _Loaded(network, LongTermTracker(tracker_of(network, choice.preset, choice.settings)))


def _rate_of(bag: Bag, topic: BagTopic) -> float:
    """About how many images a second there are."""
    from siammask_ros.frames import NANOSECONDS_PER_SECOND
    from siammask_ros.video import FOLDER_FPS

    if bag.span_ns is None or topic.message_count < 2 or bag.span_ns[0] == bag.span_ns[1]:
        return FOLDER_FPS
    seconds = (bag.span_ns[1] - bag.span_ns[0]) / NANOSECONDS_PER_SECOND
    return max((topic.message_count - 1) / seconds, 1.0)


# --- Targets


def plan(job: ReplayJob, bag: Bag, topic: BagTopic) -> tuple[CueSheet, Any]:
    """When which targets start, and what is done with detections.

    Raises:
        ValueError: a target cannot start, or there is none.
    """
    from siammask_ros.cues import CueSheet, ImageTimes
    from siammask_ros.geometry import parse_box_xywh
    from siammask_ros.target_list import read_targets

    choice, sheet = job.targets, CueSheet.empty()

    @lru_cache(maxsize=1)
    def times() -> ImageTimes:  # reads the whole topic, so only where it is needed
        return ImageTimes.of(bag, topic)

    if choice.boxes:
        boxes = [parse_box_xywh(text) for text in choice.boxes]
        sheet.add_boxes(job.start, boxes, choice.labels)
    if choice.targets is not None:
        listed = read_targets(choice.targets)
        sheet.add_list(listed, times(), job.start)
    sources = _bag_sources(choice)
    if REQUESTS in sources:
        _add_calls(choice, bag, sheet, times)
    has_detections = False
    if DETECTIONS in sources and (choice.from_bag != AUTO or not sheet.starts_targets):
        has_detections = _add_detections(choice, bag, sheet, times)
    if not sheet.starts_targets and not has_detections:
        raise ValueError(
            f"no target to follow in {bag.path}: give --box or --targets; the bag has no recorded "
            f"requests and no detections{''.join(f' ({note})' for note in sheet.notes)}"
        )
    return sheet, _handover(choice, starts_targets=sheet.starts_targets)


def _bag_sources(choice: TargetChoice) -> set[str]:
    if choice.from_bag == AUTO:
        return set() if choice.boxes or choice.targets else {REQUESTS, DETECTIONS}
    return {REQUESTS, DETECTIONS} if choice.from_bag == BOTH else {choice.from_bag}


def _add_calls(
    choice: TargetChoice, bag: Bag, sheet: CueSheet, times: Callable[[], ImageTimes]
) -> None:
    from siammask_ros.bags.requests import read_calls

    recorded = read_calls(bag)
    if recorded.empty_calls:
        sheet.notes.append(
            f"{recorded.empty_calls} recorded requests do not say what was asked: the node needs "
            "service_introspection: contents"
        )
    if recorded.unusable:
        sheet.notes.append(f"{len(recorded.unusable)} recorded requests cannot be decoded")
    cameras = recorded.cameras
    if choice.camera and choice.camera not in cameras:
        raise ValueError(
            f"no recorded request names the camera {choice.camera!r}, they name "
            f"{', '.join(map(repr, cameras)) or 'none'}"
        )
    if len(cameras) > 1 and not choice.camera:
        raise ValueError(
            f"the recorded requests are for several cameras, name one with --camera: "
            f"{', '.join(cameras)}"
        )
    wanted = {"", choice.camera or "".join(cameras)}
    sets = [call for call in recorded.sets if call.camera in wanted]
    clears = [call for call in recorded.clears if call.camera in wanted]
    if sets or clears:
        sheet.add_calls(sets, clears, times())


def _add_detections(
    choice: TargetChoice, bag: Bag, sheet: CueSheet, times: Callable[[], ImageTimes]
) -> bool:
    """Take the detections of the topic; False where there is none."""
    from siammask_ros.bags.requests import detection_topics, read_recorded_detections

    topics = [topic for topic in detection_topics(bag) if topic.message_count]
    if choice.detections:
        topics = [bag.topic(choice.detections)]
    if not topics:
        return False
    if len(topics) > 1:
        raise ValueError(
            f"{bag.path} has several topics with detections, name one with --detections: "
            f"{', '.join(topic.name for topic in topics)}"
        )
    recorded = read_recorded_detections(bag, topics[0])
    if recorded.unusable:
        sheet.notes.append(f"{len(recorded.unusable)} messages of detections cannot be used")
    sheet.add_detections(recorded.detections, times())
    return bool(recorded.detections)


def _handover(choice: TargetChoice, *, starts_targets: bool) -> Any:  # noqa: ANN401
    from siammask_ros.handover import HandoverConfig

    policy = choice.policy or ("manual" if starts_targets else "first")
    return HandoverConfig(
        policy=policy,
        wanted_class=choice.wanted_class,
        min_score=choice.min_score,
        iou=choice.iou,
    )


# --- Results that are there already


def fingerprint_of(job: ReplayJob) -> str:
    """A digest of all that the results depend on.

    Bag (names, lengths, and the beginnings and ends of its files), weights, list of targets,
    options, and the code of this package.
    """
    from siammask_ros.network.checkpoints import BUNDLED
    from siammask_ros.weights import file_sha256

    listed = job.targets.targets
    options = asdict(replace(job, force=False, output=Path(), bag=Path()))
    weights = Path(BUNDLED.get(job.network.weights, job.network.weights))
    content = {
        "options": options,
        "bag": _bag_digest(job.bag),
        "weights": file_sha256(weights) if weights.is_file() else "",
        "targets": listed.read_text() if listed and listed.is_file() else "",
        "code": _code_digest(),
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def is_up_to_date(job: ReplayJob) -> bool:
    """Whether all results are there, whole, and made of the same things."""
    try:
        record = json.loads((job.output / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    there = job.bag.exists() and all(path.exists() for path in job.files.wanted)
    if not there or not record.get("complete"):
        return False
    return bool(record.get("fingerprint") == fingerprint_of(job))


def _refuse_existing(job: ReplayJob) -> None:
    existing = [path for path in (job.output,) if path.exists()] + job.files.existing
    if existing:
        raise FileExistsError(
            f"{existing[0]} exists and is not of this bag with these options; --force replaces it"
        )


def _write_record(job: ReplayJob, fingerprint: str, topic: BagTopic, outcome: Outcome) -> None:
    from siammask_ros.files import write_whole

    record = {
        "fingerprint": fingerprint,
        "complete": outcome.status == "done",
        "bag": str(job.bag),
        "topic": topic.name,
        "images": outcome.images,
        "images_passed_over": outcome.passed_over,
        "weights": job.network.weights,
        "warnings": outcome.warnings,
    }
    write_whole(job.output / RECORD, json.dumps(record, indent=2) + "\n")


def _bag_digest(path: Path) -> list[tuple[str, int, str]]:
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())
    return [(file.name, file.stat().st_size, _sample_digest(file)) for file in files]


def _sample_digest(path: Path) -> str:
    with path.open("rb") as stream:
        sample = stream.read(SAMPLE_BYTES)
        stream.seek(max(path.stat().st_size - SAMPLE_BYTES, 0))
        return hashlib.sha256(sample + stream.read()).hexdigest()


@lru_cache(maxsize=1)
def _code_digest() -> str:
    import siammask_ros

    folder = Path(siammask_ros.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
