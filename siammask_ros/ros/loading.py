# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the parameters to a tracker that is ready to run. Torch is imported on first use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from siammask_ros.backends.names import INT8, OTHER_LIBRARIES
from siammask_ros.longterm import LongTermTracker
from siammask_ros.memory import hold_freed_memory
from siammask_ros.ros.parameters import Settings
from siammask_ros.step_clock import StepClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from siammask_ros.backends import PreparedNetwork

WARM_UP_SIDE = 256
SMALL_NETWORK = 3_000_000
"""Parameters; `compact` has 0.6 million, ResNet-50 variants more than 20."""


def choose_device(wish: str) -> str:
    """The device that a parameter stands for, such as `cpu` or `cuda:0`.

    Raises:
        ValueError: it asks for CUDA that is not there.
    """
    import torch

    from siammask_ros.network import checked_device

    try:
        return str(checked_device(wish))
    except ValueError as error:
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for CPU"
        raise ValueError(f"{error}; torch {torch.__version__} is {build}") from error


def load_for_tracking(
    settings: Settings, device: str, say: Callable[[str], None] = lambda _text: None
) -> PreparedNetwork:
    """The network of the settings, ready to track on `device`.

    Args:
        settings: of the node.
        device: as torch names it.
        say: told what takes long, before it begins.

    Raises:
        ValueError, OSError: the checkpoint is missing, or not one of a known network; or the
            device has no such backend or precision.
        ImportError: the backend is not installed.
    """
    import torch

    from siammask_ros.backends import prepare_network
    from siammask_ros.network import load_network

    network = load_network(settings.weights, device=device)
    if settings.precision == INT8:
        say("int8 is made once for each network, in a minute or more, and kept")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    threads = settings.threads or suitable_threads(parameters)
    torch.set_num_threads(threads)
    hold_freed_memory()
    prepared = prepare_network(
        network, backend=settings.backend, precision=settings.precision, threads=threads
    )
    if prepared.backend in OTHER_LIBRARIES:
        torch.set_num_threads(1)  # what is left to it is too little to share
    return prepared


def precision_hint(network: PreparedNetwork) -> str:
    """What the log says of a precision that would be faster; empty if there is none."""
    from siammask_ros.backends.names import BFLOAT16, FLOAT32, multiplies_bfloat16

    if network.device.type != "cpu":
        return ""
    if network.precision == FLOAT32 and multiplies_bfloat16():
        return "this processor multiplies bfloat16: with precision: bfloat16 it would be faster"
    if network.precision == BFLOAT16 and not multiplies_bfloat16():
        return "this processor does not multiply bfloat16: precision: float32 may be faster"
    return ""


def suitable_threads(parameters: int) -> int:
    """CPU threads for a network with so many parameters.

    A small network gains little by a second thread, and loses much when another process keeps
    one of the cores busy: its threads wait for each other in every layer.
    """
    if parameters < SMALL_NETWORK:
        return 1
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))


def build_tracker(network: PreparedNetwork, settings: Settings) -> LongTermTracker:
    """A tracker with the present thresholds; cheap, made anew when they change."""
    from siammask_ros.tracker import SiamMaskTracker

    config = settings.tracker_config(network.default_preset)
    # On a GPU a clock would make the tracker wait for it after each part.
    clock = None if network.device.type == "cuda" else StepClock()
    tracker = SiamMaskTracker(network, config, clock=clock)
    return LongTermTracker(tracker, settings.longterm_config)


def warm_up(tracker: LongTermTracker) -> None:
    """Run once, so that memory and kernels are ready before the first image."""
    image_bgr = np.zeros((WARM_UP_SIDE, WARM_UP_SIDE, 3), dtype=np.uint8)
    side = WARM_UP_SIDE / 4
    target = tracker.start(image_bgr, (side, side, side, side))
    tracker.step([(image_bgr, target)])
    make_ready = getattr(tracker.tracker.network, "make_ready", None)
    if make_ready is not None:  # else a capture would come with the second target
        make_ready(tracker.tracker.config, target.tracker_state.kernels)
