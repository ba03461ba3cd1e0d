# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Samples that are made from data sets and rendered targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny_data import write_davis

from siammask_ros.training.config import DataConfig, SourceConfig
from siammask_ros.training.datasets import read_sources
from siammask_ros.training.photometric import (
    PhotometricConfig,
    jitter_colors,
    random_recoloring,
    recolor,
)
from siammask_ros.training.rendered import SceneTargets
from siammask_ros.training.samples import SampleConfig, SampleDataset, collate
from siammask_ros.training.sources import (
    Clip,
    DatasetError,
    MaskedTarget,
    Source,
    boxed_target,
    masked_target,
)

SHARES = ("pair_share", "composite_share", "negative_share")


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


def davis(root: Path) -> list[Source]:
    return read_sources(DataConfig({"davis": SourceConfig("davis", str(root))}))


def test_an_empty_mask_is_no_target() -> None:
    assert masked_target(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), bool)) is None


@pytest.mark.parametrize("kind", SHARES)
def test_samples_depend_on_seed_and_index_only(davis_root: Path, kind: str) -> None:
    sources = davis(davis_root)
    config = only(kind, occluder_probability=0.5, distractor_probability=0.5)
    first = SampleDataset(sources, config, seed=3, length=8)
    second = SampleDataset(sources, config, seed=3, length=8)
    other = SampleDataset(sources, config, seed=4, length=8)
    second[0]  # the order of reading must not matter
    np.testing.assert_array_equal(first[5].search_patch, second[5].search_patch)
    np.testing.assert_array_equal(first[5].mask, second[5].mask)
    assert (first[5].search_patch != other[5].search_patch).any()


@pytest.mark.parametrize("kind", ["pair_share", "composite_share"])
def test_the_box_bounds_the_mask_and_the_target_is_bright(davis_root: Path, kind: str) -> None:
    plain = {"wide_shift_probability": 0.0, "bend_probability": 0.0}
    dataset = SampleDataset(davis(davis_root), only(kind, **plain), seed=1, length=12)
    for index in range(len(dataset)):
        sample = dataset[index]
        assert sample.is_positive
        assert sample.exemplar_patch.shape == (127, 127, 3)
        assert sample.search_patch.shape == (255, 255, 3)
        ys, xs = np.nonzero(sample.mask)
        np.testing.assert_allclose(
            sample.box_xyxy, [xs.min() - 0.5, ys.min() - 0.5, xs.max() + 0.5, ys.max() + 0.5]
        )
        if kind == "pair_share":
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
    dataset = SampleDataset(davis(davis_root), only("pair_share", **still), seed=1, length=4)
    side = np.sqrt((50 + 45) * (40 + 45))  # context: half of width plus height on each side
    for index in range(4):
        x0, y0, x1, y1 = dataset[index].box_xyxy
        assert x1 - x0 == pytest.approx(50 * 127 / side, abs=1.5)
        assert y1 - y0 == pytest.approx(40 * 127 / side, abs=1.5)
        assert (x0 + x1) / 2 == pytest.approx(127, abs=1)


def test_negative_samples_have_no_target(davis_root: Path) -> None:
    dataset = SampleDataset(davis(davis_root), only("negative_share"), seed=0, length=6)
    for index in range(6):
        sample = dataset[index]
        assert not sample.is_positive
        assert not sample.mask.any()
        assert (sample.box_xyxy == 0).all()


def test_occluders_shrink_the_mask_but_never_to_nothing(davis_root: Path) -> None:
    sources = davis(davis_root)
    free = SampleDataset(sources, only("pair_share"), seed=2, length=30)
    config = only("pair_share", occluder_probability=1.0)
    covered = SampleDataset(sources, config, seed=2, length=30)
    areas = [(int(free[i].mask.sum()), int(covered[i].mask.sum())) for i in range(30)]
    assert sum(hidden < seen for seen, hidden in areas) > 10
    assert all(hidden >= config.min_visible_share * seen for seen, hidden in areas)


def test_rendered_targets_have_masks_and_backgrounds() -> None:
    seed_clip = SceneTargets().pair(np.random.default_rng(0))
    assert all(isinstance(t, MaskedTarget) and t.mask_crop.any() for t in seed_clip)
    assert SceneTargets().background(np.random.default_rng(0)).shape == (320, 320, 3)


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got 1\.15"):
        SampleConfig(pair_share=0.65)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("grey_probability", 2.0, "grey_probability must be from 0 to 1, got 2"),
        ("search_stretch", 1.0, "stretch must be below 1"),
        ("search_shift_sigma", -1.0, "search_shift_sigma must be at least 0, got -1"),
        ("search_size", 0, "search_size must be at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused(setting: str, value: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SampleConfig(**{setting: value})  # type: ignore[arg-type]


def test_bad_photometric_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="gamma must be at least 0, got nan"):
        PhotometricConfig(gamma=float("nan"))
    with pytest.raises(ValueError, match="blur_probability must be from 0 to 1, got 3"):
        PhotometricConfig(blur_probability=3.0)
    with pytest.raises(ValueError, match="max_blur_kernel must be at least 3, got 1"):
        PhotometricConfig(max_blur_kernel=1)


def test_collate_stacks_channels_first(davis_root: Path) -> None:
    dataset = SampleDataset(davis(davis_root), only("pair_share"), seed=0, length=2)
    samples = [dataset[0], dataset[1]]
    batch = collate(samples)
    assert batch.search_patches.shape == (2, 3, 255, 255)
    np.testing.assert_array_equal(
        batch.search_patches[1, 2].numpy(), samples[1].search_patch[..., 2]
    )
    assert batch.is_positive.tolist() == [True, True]
    assert batch.has_mask.tolist() == [True, True]
    assert batch.number.tolist() == [0, 1]


def test_rendered_targets_alone_are_enough() -> None:
    dataset = SampleDataset([], SampleConfig(), seed=1, length=30, renderer=SceneTargets())
    samples = [dataset[index] for index in range(30)]
    assert {sample.is_positive for sample in samples} == {True, False}
    for sample in samples:
        assert sample.mask.any() == sample.is_positive
        assert sample.search_patch.std() > 2
    with pytest.raises(ValueError, match="nothing that draws"):
        SampleDataset([], SampleConfig(), seed=1, length=1)


STILL = {
    "exemplar_shift": 0.0,
    "exemplar_scale_octaves": 0.0,
    "search_scale_octaves": 0.0,
    "aspect_octaves": 0.0,
    "shared_angle_degrees": 0.0,
    "relative_angle_degrees": 0.0,
    "search_shift_sigma": 0.0,
    "wide_shift_probability": 0.0,
    "flip_probability": 0.0,
    "bend_probability": 0.0,
}
NO_LIGHT = PhotometricConfig(
    gain=0.0,
    channel_gain=0.0,
    offset=0.0,
    gamma=0.0,
    desaturate_probability=0.0,
    hue_probability=0.0,
    blur_probability=0.0,
    noise_probability=0.0,
)


def box_only(*, frames: int = 1, weight: float = 1.0, shade: int = 200) -> Source:
    """A source of box-only targets, 60x40 pixels and as bright as `shade`."""
    image = np.full((200, 300, 3), 40, np.uint8)
    image[80:120, 100:160] = shade
    target = boxed_target(image, (100, 80, 159, 119))
    clip = Clip("only", (target,) * frames, is_video=False)
    config = SourceConfig("imagenet_det", "nowhere", weight=weight)
    return Source(f"shade {shade}", config, (clip,), images=1, has_masks=False)


def test_pairs_come_from_sources_by_weight() -> None:
    sources = [box_only(shade=200, weight=3.0), box_only(shade=120), box_only(shade=80, weight=0.0)]
    config = only("pair_share", **STILL, min_target_side=10.0)
    config = dataclasses.replace(config, photometric=NO_LIGHT)
    dataset = SampleDataset(sources, config, seed=0, length=200)
    shades = [int(dataset[index].search_patch[127, 127, 0]) for index in range(200)]
    assert {*shades} == {200, 120}
    assert 0.65 < shades.count(200) / 200 < 0.85


def test_box_only_targets_stay_upright_and_say_that_they_have_no_mask() -> None:
    config = only("pair_share", shared_angle_degrees=40.0, bend_probability=1.0)
    dataset = SampleDataset([box_only()], config, seed=0, length=10)
    for index in range(10):
        sample = dataset[index]
        assert (sample.is_positive, sample.has_mask, sample.number) == (True, False, index)
        x0, y0, x1, y1 = np.round(sample.box_xyxy + 0.5).astype(int)
        missing = (x1 - x0) * (y1 - y0) - int(sample.mask.sum())
        assert 0 <= missing <= 4  # antialiased corners


def test_box_only_targets_are_not_cut_out() -> None:
    with pytest.raises(ValueError, match="need targets with masks"):
        SampleDataset([box_only()], only("composite_share"), seed=0, length=1)
    with pytest.raises(ValueError, match="need targets with masks"):
        SampleDataset([box_only()], only("pair_share", occluder_probability=0.1), seed=0, length=1)


def test_a_negative_never_searches_in_the_targets_own_scene() -> None:
    config = only("negative_share", **STILL, other_target_probability=1.0)
    config = dataclasses.replace(config, photometric=NO_LIGHT)
    dataset = SampleDataset([box_only(), box_only(shade=120)], config, seed=0, length=20)
    for index in range(20):
        sample = dataset[index]
        shades = {int(sample.exemplar_patch[63, 63, 0]), int(sample.search_patch[127, 127, 0])}
        assert shades == {200, 120}
        assert not sample.has_mask
    with pytest.raises(DatasetError, match="gave no sample"):
        SampleDataset([box_only()], config, seed=0, length=1)[0]


def test_a_vanished_target_leaves_the_background_it_was_pasted_onto(
    davis_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**STILL, "other_target_probability": 0.0, "vanished_probability": 1.0}
    config = dataclasses.replace(only("negative_share", **options), photometric=NO_LIGHT)
    dataset = SampleDataset(davis(davis_root), config, seed=0, length=12)
    flat = np.full((127, 127, 3), 10, np.uint8), np.full((255, 255, 3), 10, np.uint8)
    monkeypatch.setattr(dataset, "_backgrounds", lambda *_, **__: flat)
    empty = 0
    for index in range(12):
        sample = dataset[index]
        assert not sample.is_positive
        assert not sample.mask.any()
        assert sample.exemplar_patch[63, 63].min() > 30  # the target
        if (sample.search_patch == 10).all():
            empty += 1
        else:
            assert sample.search_patch[122:133, 122:133].min() > 30  # another one in its place
    assert 2 < empty < 10


def test_elsewhere_is_in_the_targets_own_image_and_shows_none_of_it() -> None:
    options = {**STILL, "other_target_probability": 0.0, "elsewhere_probability": 1.0}
    config = dataclasses.replace(only("negative_share", **options), photometric=NO_LIGHT)
    source = box_only()
    dataset = SampleDataset([source], config, seed=0, length=12)
    for index in range(12):
        sample = dataset[index]
        assert not sample.is_positive
        assert sample.exemplar_patch[63, 63, 0] == 200
        assert sample.search_patch.max() < 100
    whole = masked_target(np.zeros((90, 90, 3), np.uint8), np.ones((90, 90), bool))
    filled = dataclasses.replace(source, clips=(Clip("only", (whole,), is_video=False),))
    with pytest.raises(DatasetError, match="gave no sample"):
        SampleDataset([filled], config, seed=0, length=1)[0]


def test_negatives_of_more_than_all_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at most, got 1\.1"):
        SampleConfig(vanished_probability=0.6)


def test_frames_without_the_target_are_drawn_again(davis_root: Path) -> None:
    (source,) = davis(davis_root)
    seen = source.clips[0].frames[0]

    def with_frames(frames: Sequence[MaskedTarget | None]) -> Source:
        clip = Clip("gaps", frames, is_video=True)
        return dataclasses.replace(source, clips=(clip,))

    dataset = SampleDataset([with_frames((None, seen, None))], only("pair_share"), seed=0, length=8)
    assert all(dataset[index].is_positive for index in range(8))
    empty = SampleDataset([with_frames((None,))], only("pair_share"), seed=0, length=1)
    with pytest.raises(DatasetError, match="draws from davis gave no target"):
        empty[0]


def test_official_shifts_and_stretches_are_uniform_and_independent() -> None:
    options = {**STILL, "wide_shift_probability": 1.0, "wide_shift": 64.0, "search_stretch": 0.18}
    dataset = SampleDataset([box_only()], only("pair_share", **options), seed=0, length=300)
    boxes = np.array([dataset[index].box_xyxy for index in range(300)])
    scale = 127 / np.sqrt((60 + 50) * (40 + 50))
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2 - 127
    assert 60 < np.abs(centers).max() < 65
    np.testing.assert_allclose(centers.std(axis=0), 64 / np.sqrt(3), rtol=0.1)
    sides = (
        (boxes[:, 2:] - boxes[:, :2]) / scale / [60, 40]
    )  # of what was cut, this is 1 / (1 +- x)
    shares = 1 / sides - 1
    np.testing.assert_allclose(shares.std(axis=0), 0.18 / np.sqrt(3), rtol=0.15)
    assert abs(np.corrcoef(shares.T)[0, 1]) < 0.15


def test_grey_samples_are_grey_in_both_patches(davis_root: Path) -> None:
    config = only("pair_share", grey_probability=0.5)
    config = dataclasses.replace(config, photometric=NO_LIGHT)
    dataset = SampleDataset(davis(davis_root), config, seed=0, length=40)
    samples = [dataset[index] for index in range(40)]
    are_grey = [
        [bool((np.ptp(patch, axis=2) == 0).all()) for patch in (s.exemplar_patch, s.search_patch)]
        for s in samples
    ]
    assert all(exemplar == search for exemplar, search in are_grey)
    assert 10 < sum(exemplar for exemplar, _ in are_grey) < 30


def test_both_patches_of_a_sample_are_recoloured_alike() -> None:
    source = box_only()
    image = source.clips[0].frames[0].image_bgr
    image[:] = np.random.default_rng(0).integers(90, 166, image.shape)
    plain = dataclasses.replace(only("pair_share", **STILL), photometric=NO_LIGHT)
    other = dataclasses.replace(plain, recolor_probability=1.0)
    for index in range(6):
        before = SampleDataset([source], plain, seed=0, length=6)[index]
        after = SampleDataset([source], other, seed=0, length=6)[index]
        old, new = (
            [patch.reshape(-1, 3).astype(float) for patch in (s.exemplar_patch, s.search_patch)]
            for s in (before, after)
        )
        # One linear map of colours explains both patches.
        matrix, *_ = np.linalg.lstsq(np.insert(old[0], 3, 1, axis=1), new[0], rcond=None)
        np.testing.assert_allclose(np.insert(old[1], 3, 1, axis=1) @ matrix, new[1], atol=2.0)
        assert np.abs(new[1] - old[1]).max() > 20
        np.testing.assert_array_equal(after.mask, before.mask)


def test_recolouring_keeps_grey_grey() -> None:
    shades = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    inverted = 0
    for seed in range(60):
        changed = recolor(shades, random_recoloring(np.random.default_rng(seed)))
        assert np.ptp(changed.astype(int), axis=2).max() <= 1
        straight = np.abs(changed[..., 0].astype(int) - shades[..., 0]).max() <= 1
        inverted += np.abs(changed[..., 0].astype(int) - shades[::-1, :, 0]).max() <= 1
        assert straight or np.abs(changed[..., 0].astype(int) - shades[::-1, :, 0]).max() <= 1
    assert 2 <= inverted <= 20


def test_samples_may_be_turned_by_any_angle(davis_root: Path) -> None:
    config = dataclasses.replace(only("pair_share", **STILL), any_angle_probability=1.0)
    dataset = SampleDataset(davis(davis_root), config, seed=0, length=60)
    upright = SampleDataset(davis(davis_root), only("pair_share", **STILL), seed=0, length=1)[0]
    ratios = []
    for index in range(60):
        x0, y0, x1, y1 = dataset[index].box_xyxy
        ratios.append((x1 - x0) / (y1 - y0))
    x0, y0, x1, y1 = upright.box_xyxy
    ratio = (x1 - x0) / (y1 - y0)
    assert ratio != pytest.approx(1.0, abs=0.1)
    wider, higher = max(ratio, 1 / ratio), min(ratio, 1 / ratio)
    assert max(ratios) > 0.9 * wider
    assert min(ratios) < 1.1 * higher


def test_both_patches_share_a_stretch(davis_root: Path) -> None:
    config = dataclasses.replace(only("pair_share", **STILL), shared_aspect_octaves=0.4)
    dataset = SampleDataset(davis(davis_root), config, seed=0, length=80)
    ratios = np.array(
        [(b[2] - b[0]) / (b[3] - b[1]) for b in (dataset[i].box_xyxy for i in range(80))]
    )
    assert 0.25 < np.log2(ratios).std() < 0.6


def test_search_patches_may_have_the_size_for_the_refiner(davis_root: Path) -> None:
    dataset = SampleDataset(
        davis(davis_root), only("pair_share", **STILL, search_size=143), seed=0, length=1
    )
    sample = dataset[0]
    assert sample.search_patch.shape == (143, 143, 3)
    assert sample.mask.shape == (143, 143)
    x0, _, x1, _ = sample.box_xyxy
    assert (x0 + x1) / 2 == pytest.approx(71, abs=1)


def test_light_varies_mostly_in_brightness() -> None:
    grey_patch = np.full((1, 1, 3), 128, np.uint8)
    config = dataclasses.replace(NO_LIGHT, light_offset=1.0)
    rng = np.random.default_rng(0)
    colors = np.array([jitter_colors(grey_patch, rng, config)[0, 0] for _ in range(2000)], float)
    np.testing.assert_allclose(colors.std(axis=0), [5.1, 4.9, 5.1], atol=0.3)
    np.testing.assert_allclose(colors.mean(axis=1).std(), 8.2 / np.sqrt(3), rtol=0.1)
