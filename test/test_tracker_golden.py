# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small golden run of our own, for checkouts without the shared golden data.

The numbers in data/tracker_golden.json are those of this package itself, written when it agreed
with the official tracker on all frames of test_tracker_parity.py. They guard against changes, they
do not prove faithfulness. `python test/test_tracker_golden.py` writes them anew.
"""

from __future__ import annotations

import json
import math
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import torch

from siammask_ros.geometry import polygon_area
from siammask_ros.network import build_network
from siammask_ros.tracker import SiamMaskTracker, TrackerConfig

GOLDEN = Path(__file__).parent / "data" / "tracker_golden.json"
SIZE_WH = (320, 240)
FIRST_BOX = (120, 70, 60, 90)


class Run(NamedTuple):
    """A clip followed from its first frame on."""

    preset: str
    frames: int = 6
    architecture: str = "compact"


RUNS = {
    "davis": Run("davis"),
    "pysot": Run("pysot"),
    "compact": Run("compact"),
    "siammask_pp_bi": Run("siammask_pp", 10, "siammask_pp_r50_bi"),
    "siammask_pp_re": Run("siammask_pp", 10, "siammask_pp_r50_re"),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "compact": {
        "channels": (8, 16, 16),
        "blocks": (1, 1, 1),
        "width": 16,
        "refiner_widths": (32, 16, 8),
    }
}
THIN = {"width_divisor": 16}


def synthetic_frame(frame: int) -> np.ndarray:
    """Smooth noise with a lighter patch that moves right and down."""
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    image = cv2.resize(noise, SIZE_WH, interpolation=cv2.INTER_LINEAR)
    patch = cv2.resize(rng.integers(128, 256, (6, 4, 3), dtype=np.uint8), (60, 90))
    left, top = 120 + 7 * frame, 70 + 4 * frame
    image[top : top + 90, left : left + 60] = patch
    return image


def synthetic_network(architecture: str) -> torch.nn.Module:
    """A network whose weights depend on the names and shapes of its parameters only."""
    network = build_network(architecture, **OPTIONS.get(architecture, THIN)).eval()
    weights = {}
    for key, tensor in network.state_dict().items():
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        shape = tuple(tensor.shape)
        if tensor.dtype == torch.int64:
            continue
        if key.endswith("level_weights"):  # of SiamMask++, whose levels shall differ
            values = rng.normal(0, 0.5, shape)
        elif len(shape) < 2:
            values = np.abs(rng.normal(1, 0.2, shape)) if key.endswith(("weight", "var")) else 0.1
            values = np.broadcast_to(values, shape)
        else:
            values = rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))
        weights[key] = torch.tensor(np.array(values), dtype=tensor.dtype)
    network.load_state_dict(weights, strict=False)
    return network


class Damped(torch.nn.Module):
    """Scales the outputs of a network with random weights to usual ranges."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def exemplar(self, patch: torch.Tensor) -> Any:
        """As the network."""
        return self.network.exemplar(patch)

    def search(self, patch: torch.Tensor, kernels: Any) -> Any:
        """Logits and deltas with zero mean and usual spread."""
        output = self.network.search(patch, kernels)
        logits, deltas = (
            (raw - raw.mean()) / raw.std() * spread
            for raw, spread in ((output.score_logits, 2.0), (output.box_deltas, 0.15))
        )
        return output._replace(score_logits=logits, box_deltas=deltas)

    def mask_at(self, output: Any, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Logits with zero mean and usual spread."""
        logits = self.network.mask_at(output, rows, columns)
        return (logits - logits.mean()) / logits.std() * 3


def run(name: str, golden: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Track the synthetic clip and note every frame.

    With golden rows every frame starts where the golden one did, so that small differences of one
    frame do not add up.
    """
    preset, frames, architecture = RUNS[name]
    network = Damped(synthetic_network(architecture))
    tracker = SiamMaskTracker(network, TrackerConfig.preset(preset))
    state = tracker.initialize(synthetic_frame(0), FIRST_BOX)
    rows = []
    for frame in range(1, frames + 1):
        state, result = tracker.track(synthetic_frame(frame), state)
        rows.append(
            {
                "anchor_index": result.anchor_index,
                "center_xy": [round(number, 4) for number in state.center_xy],
                "size_wh": [round(number, 4) for number in state.size_wh],
                "confidence": round(result.confidence, 6),
                "mask_area": result.mask_area,
                "corners": np.round(result.corners, 2).tolist(),
            }
        )
        if golden is not None:
            place = {name: tuple(golden[frame - 1][name]) for name in ("center_xy", "size_wh")}
            state = replace(state, **place)
    return rows


@pytest.mark.parametrize("name", RUNS)
def test_own_golden_run(name: str) -> None:
    golden = json.loads(GOLDEN.read_text())["runs"][name]
    rows = run(name, golden)
    assert len(rows) == len(golden) == RUNS[name].frames
    # OpenCV 4 samples at 1/32 pixel where OpenCV 5 is exact: the anti-aliased crops differ.
    pixels, score = (0.1, 2e-3) if name == "compact" else (0.01, 1e-4)
    for row, expected in zip(rows, golden, strict=True):
        assert row["anchor_index"] == expected["anchor_index"]
        assert row["center_xy"] == pytest.approx(expected["center_xy"], abs=pixels)
        assert row["size_wh"] == pytest.approx(expected["size_wh"], abs=pixels)
        assert row["confidence"] == pytest.approx(expected["confidence"], abs=score)
        assert row["mask_area"] == pytest.approx(expected["mask_area"], rel=0.02)
        # One contour pixel can turn the rectangle; its middle and area stay.
        middle, expected_middle = (np.mean(each["corners"], axis=0) for each in (row, expected))
        np.testing.assert_allclose(middle, expected_middle, atol=1.0)
        area = polygon_area(row["corners"])
        assert area == pytest.approx(polygon_area(expected["corners"]), rel=0.02)


@pytest.mark.parametrize("name", ["siammask_pp_bi", "siammask_pp_re"])
def test_plus_plus_follows_in_a_closed_loop(name: str) -> None:
    """Ten frames on end, no frame put back; the target stays in sight, and so do the numbers."""
    golden = json.loads(GOLDEN.read_text())["runs"][name]
    rows = run(name)
    for row, expected in zip(rows, golden, strict=True):
        assert row["anchor_index"] == expected["anchor_index"]
        assert row["center_xy"] == pytest.approx(expected["center_xy"], abs=0.1)
        assert row["size_wh"] == pytest.approx(expected["size_wh"], abs=0.1)
        assert row["confidence"] == pytest.approx(expected["confidence"], abs=1e-3)
    centers = np.array([row["center_xy"] for row in rows])
    assert ((centers >= 0) & (centers <= SIZE_WH)).all()
    assert any(row["mask_area"] > 0 for row in rows)


if __name__ == "__main__":
    content = json.loads(GOLDEN.read_text())
    content["runs"] |= {name: run(name) for name in sys.argv[1:] or RUNS}
    GOLDEN.write_text(json.dumps(content, indent=1) + "\n")
