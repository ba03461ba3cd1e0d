# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is timed: trackers of this package, the official code, and OpenCV's NanoTrack.

Each is described by plain values, so that a process of its own can open it too (`memory`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import cv2
import torch

from siammask_ros.backends import prepare_network
from siammask_ros.benchmark.official import OfficialState, OfficialTracker
from siammask_ros.benchmark.random_weights import RANDOM_PREFIX, random_network
from siammask_ros.evaluation.opencv_trackers import OpenCvTracker
from siammask_ros.memory import hold_freed_memory
from siammask_ros.network import SiamMask, checked_device, load_network
from siammask_ros.tracker import SiamMaskTracker, TrackingNetwork
from siammask_ros.tracker_config import TrackerConfig, parse_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siammask_ros.crop import ImageBgr
    from siammask_ros.geometry import BoolArray
    from siammask_ros.step_clock import StepClock
    from siammask_ros.tracker_state import TrackerState

AUTO = "auto"
_NANO_FILES = ("*backbone*.onnx", "*head*.onnx")

Boxes: TypeAlias = "Sequence[tuple[float, float, float, float]]"


class SubjectNames(NamedTuple):
    """What tells a subject from the others."""

    network: str
    backend: str
    precision: str


class Found(NamedTuple):
    """What a subject says of one target.

    Attributes:
        center_xy, size_wh: where it goes on from, in image pixels.
        anchor_index: the chosen anchor; None if it has none.
        mask: (H, W) bool; None without masks.
    """

    center_xy: tuple[float, float]
    size_wh: tuple[float, float]
    anchor_index: int | None
    mask: BoolArray | None


class Subject(Protocol):
    """Something whose tracking step is timed."""

    names: SubjectNames
    device: torch.device
    preset: str
    parameters: int
    """Of its network; 0 if not known."""
    has_parts: bool
    """Whether it tells a clock when the parts of its step end."""

    def start(self, image_bgr: ImageBgr, boxes_xywh: Boxes) -> Any:  # noqa: ANN401 - its own
        """The states of targets; steps leave them as they are, if it can."""

    def step(
        self,
        image_bgr: ImageBgr,
        states: Any,  # noqa: ANN401 - its own
        clock: StepClock | None = None,
    ) -> list[Found]:
        """Find all targets in an image, masks in full size included."""


class OwnSubject:
    """A tracker of this package."""

    has_parts = True

    def __init__(
        self,
        network: TrackingNetwork,
        config: TrackerConfig | None = None,
        *,
        names: SubjectNames | None = None,
        preset: str | None = None,
        parameters: int | None = None,
        crop_on_device: bool = False,
    ) -> None:
        architecture = getattr(network, "architecture", type(network).__name__)
        self.names = names or SubjectNames(architecture, *_what_runs(network))
        self.preset: str = preset or str(getattr(network, "default_preset", ""))
        inner = getattr(network, "network", network)
        weights = inner.parameters() if isinstance(inner, torch.nn.Module) else ()
        self.parameters = parameters or sum(each.numel() for each in weights)
        self._tracker = SiamMaskTracker(network, config, crop_on_device=crop_on_device)
        self.device = self._tracker.device

    def start(self, image_bgr: ImageBgr, boxes_xywh: Boxes) -> list[TrackerState]:
        """The states of targets."""
        states = self._tracker.initialize_batch([(image_bgr, box) for box in boxes_xywh])
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return states

    def step(
        self, image_bgr: ImageBgr, states: Sequence[TrackerState], clock: StepClock | None = None
    ) -> list[Found]:
        """Find all targets in one forward pass."""
        self._tracker.clock = clock
        results = self._tracker.track_batch([(image_bgr, state) for state in states])
        found = [
            Found(state.center_xy, state.size_wh, result.anchor_index, result.mask)
            for state, result in results
        ]
        if clock is not None:
            clock.mark("paste")
        return found


class OfficialSubject:
    """The official code: as it is, one target after the other."""

    has_parts = True

    def __init__(self, tracker: OfficialTracker, names: SubjectNames, preset: str) -> None:
        self.names = names
        self.preset = preset
        self.parameters = 0
        self.device = tracker.device
        self._tracker = tracker

    def start(self, image_bgr: ImageBgr, boxes_xywh: Boxes) -> list[OfficialState]:
        """The states of targets."""
        return [self._tracker.initialize(image_bgr, box) for box in boxes_xywh]

    def step(
        self, image_bgr: ImageBgr, states: Sequence[OfficialState], clock: StepClock | None = None
    ) -> list[Found]:
        """Find the targets, one after the other."""
        if clock is not None:
            clock.begin()
        results = [self._tracker.track(image_bgr, state, clock) for state in states]
        return [
            Found(result.center_xy, result.size_wh, result.anchor_index, result.mask)
            for result in results
        ]


class NanoSubject:
    """OpenCV's NanoTrack: boxes only, one target after the other. Its state changes by a step."""

    has_parts = False
    device = torch.device("cpu")

    def __init__(self, tracker: OpenCvTracker) -> None:
        self.names = SubjectNames("NanoTrack", f"OpenCV {cv2.__version__}", "float32")
        self.preset = ""
        self.parameters = 0
        self._tracker = tracker

    def start(self, image_bgr: ImageBgr, boxes_xywh: Boxes) -> list[Any]:
        """The states of targets."""
        with _quiet_opencv():  # a new tracker warns of targets that it cannot choose
            return [self._tracker.initialize(image_bgr, box) for box in boxes_xywh]

    def step(
        self,
        image_bgr: ImageBgr,
        states: Sequence[Any],
        clock: StepClock | None = None,
    ) -> list[Found]:
        """Find the targets, one after the other."""
        del clock
        found = []
        for state in states:
            _, result = self._tracker.track(image_bgr, state)
            left, top, width, height = result.box_xywh
            center_xy = (left + width / 2, top + height / 2)
            found.append(Found(center_xy, (width, height), None, None))
        return found


@dataclass(frozen=True)
class OwnOptions:
    """A tracker of this package, to be opened.

    Attributes:
        weights: a checkpoint's name or file, or "random:" and a network's name.
        preset: of the tracker; `auto` takes the network's.
        settings: `NAME=VALUE` that win over the preset's.
        device: of torch, or `auto`.
        backend, precision, threads: as `siammask_ros.backends.prepare_network` has them.
        crop_on_device: as of `SiamMaskTracker`.
    """

    weights: str
    preset: str = AUTO
    settings: tuple[str, ...] = ()
    device: str = AUTO
    backend: str = AUTO
    precision: str = AUTO
    threads: int = 0
    crop_on_device: bool = False

    def open(self, network: SiamMask | None = None) -> OwnSubject:
        """The tracker.

        Args:
            network: that of `weights` if it is loaded already, as `network_of` does it.

        Raises:
            ValueError, ImportError: as of loading and of `prepare_network`.
        """
        hold_freed_memory()
        network = network or network_of(self.weights, self.device)
        preset = network.default_preset if self.preset == AUTO else self.preset
        prepared = prepare_network(
            network, backend=self.backend, precision=self.precision, threads=self.threads
        )
        backend, precision = _what_runs(prepared)
        if self.crop_on_device:
            backend += ", crop on device"
        return OwnSubject(
            prepared,
            TrackerConfig.preset(preset, **parse_settings(self.settings)),
            names=SubjectNames(weights_name(self.weights), backend, precision),
            preset=", ".join((preset, *self.settings)),
            parameters=sum(each.numel() for each in network.parameters()),
            crop_on_device=self.crop_on_device,
        )


@dataclass(frozen=True)
class OfficialOptions:
    """The official code, to be opened.

    Attributes:
        checkout: its folder.
        weights, preset, device: as of `OwnOptions`.
    """

    checkout: str
    weights: str
    preset: str = AUTO
    device: str = AUTO

    def open(self) -> OfficialSubject:
        """The official tracker with the same weights.

        Raises:
            ValueError: as of `OfficialTracker`, and of loading.
        """
        network = network_of(self.weights, "cpu")
        preset = network.default_preset if self.preset == AUTO else self.preset
        tracker = OfficialTracker(self.checkout, network, preset, checked_device(self.device))
        names = SubjectNames(weights_name(self.weights), "official code", "float32")
        return OfficialSubject(tracker, names, preset)


@dataclass(frozen=True)
class NanoOptions:
    """OpenCV's NanoTrack, to be opened.

    Attributes:
        folder: with its two network files, `*backbone*.onnx` and `*head*.onnx`.
    """

    folder: str

    def open(self) -> NanoSubject:
        """The tracker.

        Raises:
            ValueError: the folder has not one file of each kind.
            RuntimeError: this OpenCV lacks the tracker, or cannot read the files.
        """
        files = []
        for pattern in _NANO_FILES:
            matching = sorted(Path(self.folder).glob(pattern))
            if len(matching) != 1:
                raise ValueError(f"{self.folder} has {len(matching)} files {pattern}, needs one")
            files.append(str(matching[0]))
        with _quiet_opencv():
            return NanoSubject(OpenCvTracker("nano", tuple(files)))


SubjectOptions: TypeAlias = OwnOptions | OfficialOptions | NanoOptions


def network_of(weights: str, device: str) -> SiamMask:
    """The network of a checkpoint's name or file, or one of random weights."""
    if weights.startswith(RANDOM_PREFIX):
        return random_network(weights.removeprefix(RANDOM_PREFIX)).to(checked_device(device))
    return load_network(weights, device=device)


def weights_name(weights: str) -> str:
    """A short name of a network: a file's without its folder, and what is random says so."""
    if weights.startswith(RANDOM_PREFIX):
        return f"{weights.removeprefix(RANDOM_PREFIX)} (random)"
    return Path(weights).name


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Errors only, while it lasts."""
    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def _what_runs(network: object) -> tuple[str, str]:
    """Backend and precision, as a prepared network knows them."""
    return getattr(network, "backend", "eager"), getattr(network, "precision", "float32")
