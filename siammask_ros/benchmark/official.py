# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official implementation (foolwood/SiamMask) from a checkout of the user's, step by step.

Its functions run as they are. They were written for older libraries, so they see NumPy with the
names that it has dropped since, and OpenCV with a version of the form that they understand;
nothing else is changed, neither in their files nor in the libraries.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
import types
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch

from siammask_ros.network import SiamMask
from siammask_ros.network.key_names import published_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siammask_ros.crop import ImageBgr
    from siammask_ros.geometry import BoolArray
    from siammask_ros.step_clock import StepClock, StepPart

_MODULES = frozenset({"utils", "models", "tools", "datasets", "custom", "resnet"})
"""Top-level names of its files; others of these names are put aside while it is loaded."""
_NOT_BUILT = "utils.pyvotkit.region"
"""A part of it that has to be compiled, and that only scoring uses."""
_UNDERSTOOD_VERSION = "4.0.0"
_LOGGER = "global"


class _Experiment(NamedTuple):
    """One of its folders with a network and configurations of its tracker."""

    folder: str
    configurations: dict[str, str]
    """File by the name of our preset."""
    refines: bool


_EXPERIMENTS = {
    "siammask_r50_refine": _Experiment(
        "siammask_sharp",
        {name: f"config_{name}.json" for name in ("davis", "vot", "vot18")},
        refines=True,
    ),
    "siammask_r50_base": _Experiment("siammask_base", {"base": "config.json"}, refines=False),
}
OFFICIAL_NETWORKS = tuple(_EXPERIMENTS)
"""Networks of ours that the official code has too."""


class OfficialResult(NamedTuple):
    """What its step says of one target."""

    center_xy: tuple[float, float]
    size_wh: tuple[float, float]
    confidence: float
    anchor_index: int
    mask: BoolArray


class OfficialState(NamedTuple):
    """One target: its state, and the feature that it keeps in the network."""

    state: dict[str, Any]
    exemplar_feature: torch.Tensor


class OfficialTracker:
    """The official tracker with the weights of one of our networks; a target at a time, as it is.

    Args:
        checkout: its folder, with `tools`, `models` and `experiments`.
        network: of ours, not fused; its weights are copied.
        preset: name of its configuration.
        device: where it runs.

    Raises:
        ValueError: the network or the preset has no counterpart, or the folder is something else.
    """

    def __init__(
        self, checkout: str | Path, network: SiamMask, preset: str, device: torch.device
    ) -> None:
        experiment = _EXPERIMENTS.get(network.architecture)
        if experiment is None:
            known = ", ".join(OFFICIAL_NETWORKS)
            raise ValueError(f"the official code has no {network.architecture}, it has {known}")
        if preset not in experiment.configurations:
            known = ", ".join(experiment.configurations)
            raise ValueError(f"the official {network.architecture} has no {preset}, it has {known}")
        folder = Path(checkout) / "experiments" / experiment.folder
        configuration = folder / experiment.configurations[preset]
        if not configuration.is_file() or not (Path(checkout) / "tools" / "test.py").is_file():
            raise ValueError(f"{checkout} is no checkout of foolwood/SiamMask: no {configuration}")
        with _importing(Path(checkout), folder):
            custom: Any = importlib.import_module("custom")
            code: Any = importlib.import_module("tools.test")
        # Importing it sets up logging of every map's shape; its programs turn that off again.
        logging.getLogger(_LOGGER).setLevel(logging.WARNING)
        settings = json.loads(configuration.read_text(encoding="utf-8"))
        self._numpy = _OlderNumpy()
        code.np, code.cv2 = self._numpy, _OlderOpenCv()
        self._code: Any = code
        model = custom.Custom(anchors=settings["anchors"])
        model.load_state_dict(_official_weights(network), strict=True)
        self._network = _WatchedNetwork(model.eval().to(device), device)
        self._hyperparameters = settings.get("hp")
        self._refines = experiment.refines

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self._network.device

    def initialize(self, image_bgr: ImageBgr, box_xywh: Sequence[float]) -> OfficialState:
        """Start on a target; as in its demo, the centre is x + w/2."""
        left, top, width, height = box_xywh
        state: dict[str, Any] = self._code.siamese_init(
            image_bgr,
            np.array([left + width / 2, top + height / 2]),
            np.array([width, height]),
            self._network,
            self._hyperparameters,
            device=self.device,
        )
        return OfficialState(state, self._network.model.zf)

    def track(
        self, image_bgr: ImageBgr, target: OfficialState, clock: StepClock | None = None
    ) -> OfficialResult:
        """Find the target in an image; the state stays as it is, so that it can be used again."""
        self._network.model.zf = target.exemplar_feature
        self._network.clock = clock
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*upsample. is deprecated")
            state = self._code.siamese_track(
                dict(target.state),
                image_bgr,
                mask_enable=True,
                refine_enable=self._refines,
                device=self.device,
            )
        mask = state["mask"] > state["p"].seg_thr
        if clock is not None:
            clock.mark("paste")
        (x, y), (width, height) = state["target_pos"], state["target_sz"]
        return OfficialResult(
            (float(x), float(y)),
            (float(width), float(height)),
            float(state["score"]),
            self._numpy.last_index,
            mask,
        )


class _WatchedNetwork:
    """Its network, and the clock that is told when parts of a step end; no copy, no other work."""

    def __init__(self, model: Any, device: torch.device) -> None:  # noqa: ANN401 - theirs
        self.model = model
        self.device = device
        self.clock: StepClock | None = None
        self.anchors = model.anchors
        self.anchor_num = model.anchor_num

    def template(self, exemplar_patch: torch.Tensor) -> None:
        self.model.template(exemplar_patch)

    def track_mask(self, search_patch: torch.Tensor) -> Any:  # noqa: ANN401 - theirs
        self._mark("crop")
        output = self.model.track_mask(search_patch)
        self._mark("network")
        return output

    def track_refine(self, position: tuple[int, int]) -> torch.Tensor:
        self._mark("choice")
        logits: torch.Tensor = self.model.track_refine(position)
        self._mark("mask")
        return logits

    def _mark(self, part: StepPart) -> None:
        if self.clock is None:
            return
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.clock.mark(part)


class _OlderNumpy(types.ModuleType):
    """NumPy with the name that it has dropped, which remembers the last index it unravelled.

    That is the chosen anchor: nothing else in the step is unravelled.
    """

    float = float

    def __init__(self) -> None:
        super().__init__("numpy")
        self.last_index = -1

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any of NumPy's
        return getattr(np, name)

    def unravel_index(self, index: Any, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
        self.last_index = int(index)
        return np.unravel_index(index, shape)


class _OlderOpenCv(types.ModuleType):
    """OpenCV with a version from which the official code knows what findContours returns."""

    __version__ = _UNDERSTOOD_VERSION

    def __init__(self) -> None:
        super().__init__("cv2")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any of OpenCV's
        return getattr(cv2, name)


@contextmanager
def _importing(checkout: Path, experiment: Path) -> Iterator[None]:
    """While its modules are imported: its folders come first, other modules of its names aside."""

    def theirs() -> list[str]:
        return [name for name in sys.modules if name.partition(".")[0] in _MODULES]

    aside = {name: sys.modules.pop(name) for name in theirs()}
    search_path = list(sys.path)
    absent: Any = types.ModuleType(_NOT_BUILT)
    absent.vot_overlap = absent.vot_float2str = None
    sys.modules[_NOT_BUILT] = absent
    sys.path[:0] = [str(checkout), str(experiment)]
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    except (ImportError, OSError, AttributeError) as error:
        raise ValueError(f"{checkout}: its modules cannot be imported: {error}") from error
    finally:
        sys.path[:] = search_path
        sys.dont_write_bytecode = writes_bytecode
        for name in theirs():
            del sys.modules[name]
        sys.modules.update(aside)


def _official_weights(network: SiamMask) -> dict[str, torch.Tensor]:
    """The network's weights by the names of the official code."""
    ours = network.state_dict()
    return {theirs: ours[name] for theirs, name in published_names(ours, "official").items()}
