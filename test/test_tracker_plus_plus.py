# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SiamMask++ through the whole tracker, at full size, on real frames.

The reference has numbers of its networks (test_network_parity.py) but not of its tracker, which is
the official one (test_tracker_parity.py). The numbers in data/tracker_plus_plus.json are our own:
ten frames in a closed loop with the reference's weights, by
`python test/test_tracker_plus_plus.py`. By default the first two frames of the smaller variant are
checked in float32; with SIAMMASK_FULL_PARITY=1 all of both.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import siammask_ros
from siammask_ros.tracker import SiamMaskTracker, TrackerConfig

NUMBERS = Path(__file__).parent / "data" / "tracker_plus_plus.json"
FULL = os.environ.get("SIAMMASK_FULL_PARITY") == "1"
FIRST_BOX = (300, 110, 165, 250)
FRAMES = 10
MODELS = ("siammask_pp_bi", "siammask_pp_re")


def load(golden: Path, model: str, folder: Path) -> torch.nn.Module:
    """A checkpoint of the public code with the reference's weights, read as a user's would be."""
    spec = importlib.util.spec_from_file_location("recipe", golden / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    keys = json.loads((golden / f"keys_{model}.json").read_text())
    weights = recipe.fill([(key, shape) for key, shape, _ in keys], 0)
    path = folder / f"{model}.pth"
    tensors = {key: torch.from_numpy(np.asarray(value)) for key, value in weights.items()}
    torch.save({"state_dict": tensors}, path)
    network = siammask_ros.load_network(path)
    path.unlink()
    return network


def follow(network: torch.nn.Module, golden: Path, frames: int) -> list[dict[str, Any]]:
    """Start on the first frame and follow; one row a frame."""
    tracker = SiamMaskTracker(network)  # type: ignore[arg-type]
    assert tracker.config == TrackerConfig.preset("siammask_pp")
    images = [cv2.imread(str(golden / "tennis" / f"{n:05d}.jpg")) for n in range(frames + 1)]
    state = tracker.initialize(images[0], FIRST_BOX)
    rows = []
    for image in images[1:]:
        state, result = tracker.track(image, state)
        rows.append(
            {
                "anchor_index": result.anchor_index,
                "center_xy": list(state.center_xy),
                "size_wh": list(state.size_wh),
                "confidence": result.confidence,
                "mask_area": result.mask_area,
                "has_mask_box": result.has_mask_box,
                "corners": np.round(result.corners, 3).tolist(),
            }
        )
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS if FULL else MODELS[:1])
def test_ten_frames_in_a_closed_loop(model: str, shared_dir: Path, tmp_path: Path) -> None:
    expected = json.loads(NUMBERS.read_text())["runs"][model]
    assert len(expected) == FRAMES
    frames = FRAMES if FULL else 2
    golden = shared_dir / "golden"
    rows = follow(load(golden, model, tmp_path), golden, frames)
    for row, want in zip(rows, expected[:frames], strict=True):
        # The bounds that the reference states for its tracker in float32.
        assert row["anchor_index"] == want["anchor_index"]
        assert row["center_xy"] == pytest.approx(want["center_xy"], abs=7e-4)
        assert row["size_wh"] == pytest.approx(want["size_wh"], abs=4e-4)
        assert row["confidence"] == pytest.approx(want["confidence"], abs=2e-6)
        assert row["has_mask_box"] == want["has_mask_box"]
        # OpenCV 4 quantises where masks are pasted, OpenCV 5 does not.
        assert row["mask_area"] == pytest.approx(want["mask_area"], rel=0.05, abs=5)


if __name__ == "__main__":
    import sys
    import tempfile

    reference = Path(sys.argv[1]) / "golden"
    content = {"label": "numbers of this package, see test_tracker_plus_plus.py", "runs": {}}
    with tempfile.TemporaryDirectory() as scratch:
        for name in MODELS:
            network = load(reference, name, Path(scratch))
            content["runs"][name] = follow(network, reference, FRAMES)
            NUMBERS.write_text(json.dumps(content, indent=1) + "\n")
