# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets in their layouts, and the samples made from them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_data import write_davis

from siammask_ros.training.rendered import SceneTargets
from siammask_ros.training.samples import SampleConfig, SampleDataset, collate
from siammask_ros.training.sources import (
    DatasetError,
    MaskedTarget,
    masked_target,
    read_davis_clips,
    read_polygon_clips,
)

SHARES = ("video_share", "image_share", "composite_share", "negative_share")


def only(kind: str, **options: float) -> SampleConfig:
    """A configuration that draws one kind of sample, without clutter unless asked."""
    quiet: dict[str, float] = {"distractor_probability": 0.0, "occluder_probability": 0.0}
    shares = {name: float(name == kind) for name in SHARES}
    return SampleConfig(**{**quiet, **shares, **options})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def davis_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("davis")
    write_davis(root)
    return root


def test_davis_frames_and_boxes(davis_root: Path) -> None:
    clips = read_davis_clips(davis_root)
    assert [(c.name, len(c.frames)) for c in clips] == [("first", 3), ("second", 3)]
    target = clips[0].frames[2]
    assert target.origin_xy == (38, 50)
    assert target.size_wh == (50, 40)
    assert target.center_xy == (38 + 24.5, 50 + 19.5)
    assert target.area == 2000


def test_davis_leaves_out_what_is_held_out(davis_root: Path) -> None:
    assert [c.name for c in read_davis_clips(davis_root, exclude=["first"])] == ["second"]


def test_davis_names_an_unknown_sequence(davis_root: Path) -> None:
    with pytest.raises(DatasetError, match="no sequence third"):
        read_davis_clips(davis_root, exclude=["third"])


def test_davis_names_the_missing_mask(tmp_path: Path) -> None:
    write_davis(tmp_path)
    missing = tmp_path / "Annotations" / "second" / "00001.png"
    missing.unlink()
    with pytest.raises(DatasetError, match=f"missing mask {missing}"):
        read_davis_clips(tmp_path)


def test_davis_names_the_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="JPEGImages"):
        read_davis_clips(tmp_path)


def test_polygons_become_masks(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.jpg"), np.zeros((100, 200, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "images" / "no_label.jpg"), np.zeros((100, 200, 3), np.uint8))
    square = "3 0.25 0.2 0.5 0.2 0.5 0.7 0.25 0.7\n"
    tiny = "3 0.1 0.1 0.12 0.1 0.12 0.12\n"
    (tmp_path / "labels" / "a.txt").write_text(square + tiny)
    clips = read_polygon_clips(tmp_path, min_side=32)
    assert len(clips) == 1
    target = clips[0].frames[0]
    assert target.origin_xy == (50, 20)
    assert target.size_wh == (51, 51)  # x 50..100, y 20..70, both ends drawn
    assert not clips[0].is_video


def test_a_broken_polygon_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.jpg"), np.zeros((100, 200, 3), np.uint8))
    (tmp_path / "labels" / "a.txt").write_text("3 0.25 0.2 0.5\n")
    with pytest.raises(DatasetError, match=r"a\.txt.*got 3 values"):
        read_polygon_clips(tmp_path, min_side=8)


def test_an_empty_mask_is_no_target() -> None:
    assert masked_target(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), bool)) is None


@pytest.mark.parametrize("kind", SHARES)
def test_samples_depend_on_seed_and_index_only(davis_root: Path, kind: str) -> None:
    clips = read_davis_clips(davis_root)
    config = only(kind, occluder_probability=0.5, distractor_probability=0.5)
    first = SampleDataset(clips, config, seed=3, length=8)
    second = SampleDataset(clips, config, seed=3, length=8)
    other = SampleDataset(clips, config, seed=4, length=8)
    second[0]  # the order of reading must not matter
    np.testing.assert_array_equal(first[5].search_patch, second[5].search_patch)
    np.testing.assert_array_equal(first[5].mask, second[5].mask)
    assert (first[5].search_patch != other[5].search_patch).any()


@pytest.mark.parametrize("kind", ["video_share", "composite_share"])
def test_the_box_bounds_the_mask_and_the_target_is_bright(davis_root: Path, kind: str) -> None:
    plain = {"wide_shift_probability": 0.0, "bend_probability": 0.0}
    dataset = SampleDataset(read_davis_clips(davis_root), only(kind, **plain), seed=1, length=12)
    for index in range(len(dataset)):
        sample = dataset[index]
        assert sample.is_positive
        assert sample.exemplar_patch.shape == (127, 127, 3)
        assert sample.search_patch.shape == (255, 255, 3)
        ys, xs = np.nonzero(sample.mask)
        np.testing.assert_allclose(
            sample.box_xyxy, [xs.min() - 0.5, ys.min() - 0.5, xs.max() + 0.5, ys.max() + 0.5]
        )
        if kind == "video_share":
            inside = sample.search_patch[sample.mask > 0].mean()
            outside = sample.search_patch[sample.mask == 0].mean()
            assert inside > outside + 30


def test_the_target_has_its_nominal_size_in_the_patch(davis_root: Path) -> None:
    still = {
        "search_scale_octaves": 0.0,
        "aspect_octaves": 0.0,
        "shared_angle_degrees": 0.0,
        "relative_angle_degrees": 0.0,
        "search_shift_sigma": 0.0,
        "wide_shift_probability": 0.0,
        "bend_probability": 0.0,
    }
    dataset = SampleDataset(
        read_davis_clips(davis_root), only("video_share", **still), seed=1, length=4
    )
    side = np.sqrt((50 + 45) * (40 + 45))  # context: half of width plus height on each side
    for index in range(4):
        x0, y0, x1, y1 = dataset[index].box_xyxy
        assert x1 - x0 == pytest.approx(50 * 127 / side, abs=1.5)
        assert y1 - y0 == pytest.approx(40 * 127 / side, abs=1.5)
        assert (x0 + x1) / 2 == pytest.approx(127, abs=1)


def test_negative_samples_have_no_target(davis_root: Path) -> None:
    dataset = SampleDataset(read_davis_clips(davis_root), only("negative_share"), seed=0, length=6)
    for index in range(6):
        sample = dataset[index]
        assert not sample.is_positive
        assert not sample.mask.any()
        assert (sample.box_xyxy == 0).all()


def test_occluders_shrink_the_mask_but_never_to_nothing(davis_root: Path) -> None:
    clips = read_davis_clips(davis_root)
    free = SampleDataset(clips, only("video_share"), seed=2, length=30)
    config = only("video_share", occluder_probability=1.0)
    covered = SampleDataset(clips, config, seed=2, length=30)
    areas = [(int(free[i].mask.sum()), int(covered[i].mask.sum())) for i in range(30)]
    assert sum(hidden < seen for seen, hidden in areas) > 10
    assert all(hidden >= config.min_visible_share * seen for seen, hidden in areas)


def test_rendered_targets_have_masks_and_backgrounds() -> None:
    seed_clip = SceneTargets().pair(np.random.default_rng(0))
    assert all(isinstance(t, MaskedTarget) and t.mask_crop.any() for t in seed_clip)
    assert SceneTargets().background(np.random.default_rng(0)).shape == (320, 320, 3)


def test_shares_that_do_not_add_up_are_refused(davis_root: Path) -> None:
    with pytest.raises(ValueError, match=r"got 1\.15"):
        SampleDataset(read_davis_clips(davis_root), SampleConfig(video_share=0.5), seed=0, length=1)


def test_collate_stacks_channels_first(davis_root: Path) -> None:
    dataset = SampleDataset(read_davis_clips(davis_root), only("video_share"), seed=0, length=2)
    samples = [dataset[0], dataset[1]]
    batch = collate(samples)
    assert batch.search_patches.shape == (2, 3, 255, 255)
    np.testing.assert_array_equal(
        batch.search_patches[1, 2].numpy(), samples[1].search_patch[..., 2]
    )
    assert batch.is_positive.tolist() == [True, True]


def test_rendered_targets_alone_are_enough() -> None:
    dataset = SampleDataset([], SampleConfig(), seed=1, length=30, renderer=SceneTargets())
    samples = [dataset[index] for index in range(30)]
    assert {sample.is_positive for sample in samples} == {True, False}
    for sample in samples:
        assert sample.mask.any() == sample.is_positive
        assert sample.search_patch.std() > 5
    with pytest.raises(ValueError, match="nothing that draws"):
        SampleDataset([], SampleConfig(), seed=1, length=1)
