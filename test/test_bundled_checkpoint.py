# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The checkpoint that comes with the package really tracks."""

from __future__ import annotations

from pathlib import Path

import pytest

from siammask_ros.evaluation import (
    Always,
    RenderedSequence,
    evaluate,
    evaluate_davis,
    reference_factory,
)
from siammask_ros.network import fuse_for_inference, load_network, read_checkpoint
from siammask_ros.network.checkpoints import BUNDLED
from siammask_ros.tracker import SiamMaskTracker

LARGEST_BYTES = 10_000_000
HELD_OUT = ("rollerblade", "mallard-fly")


@pytest.fixture(scope="module")
def tracker() -> SiamMaskTracker:
    return SiamMaskTracker(fuse_for_inference(load_network("compact")))


def test_the_file_is_small_and_says_its_terms() -> None:
    assert BUNDLED["compact"].stat().st_size < LARGEST_BYTES
    assert "non-commercial" in read_checkpoint(BUNDLED["compact"]).metadata["terms"]


def test_rendered_targets_are_followed(tracker: SiamMaskTracker) -> None:
    scenes = [
        RenderedSequence(f"seed {seed}", seed, frames=30, size_wh=(320, 180))
        for seed in (11, 12, 13)
    ]
    followed = evaluate(scenes, Always(tracker), tracker_name="compact", dataset_name="rendered")
    still = evaluate(
        scenes, reference_factory("never-moves"), tracker_name="still", dataset_name="rendered"
    )
    assert followed.region_similarity > 0.6
    assert followed.region_similarity > still.region_similarity + 0.2


def test_held_out_video_is_followed(tracker: SiamMaskTracker, shared_dir: Path) -> None:
    root = shared_dir / "davis16-train"
    followed = evaluate_davis(root, Always(tracker), tracker_name="compact", sequences=HELD_OUT)
    still = evaluate_davis(
        root, reference_factory("never-moves"), tracker_name="still", sequences=HELD_OUT
    )
    for mine, reference in zip(followed.sequences, still.sequences, strict=True):
        assert mine.region_similarity > reference.region_similarity + 0.2, mine.name
