# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes: textures, shapes, pasting, pairs and sequences."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import islice, pairwise

import cv2
import numpy as np
import pytest

from siammask_ros.scenes import (
    LIFE_SCENARIOS,
    SCENARIOS,
    Actor,
    Keyframe,
    KeyframePath,
    Props,
    Role,
    SceneOptions,
    cut_out,
    look_alike,
    paste,
    random_backdrop,
    random_palette,
    random_shape_mask,
    random_sprite,
    random_texture,
    render_scenario,
    render_sequence,
    scenario,
    similarity,
    soft_mask,
)
from siammask_ros.scenes.arrays import inside
from siammask_ros.scenes.compositing import (
    add_noise,
    cover,
    defocus,
    motion_blur,
    recompress,
    relight,
    transform_points,
)
from siammask_ros.scenes.motion import Waves
from siammask_ros.scenes.sequence import Stage
from siammask_ros.scenes.textures import noise_field, white_noise

SMALL = (160, 120)
# A camera that does nothing: the backdrop is the same in every frame.
STILL = SceneOptions(
    cast=(
        Actor(
            path=KeyframePath((Keyframe(0, 0.25, 0.5), Keyframe(1, 0.75, 0.5))),
        ),
    ),
    target_side=(0.25, 0.25),
    zoom=1.0,
    camera_pan=0.0,
    camera_zoom=1.0,
    camera_roll=0.0,
    camera_shake=0.0,
    shutter=0.0,
    defocus=0.0,
    light=0.0,
    noise=0.0,
)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("size_wh", [(2, 2), (31, 64), (200, 120)])
def test_texture_has_the_size_asked_for(size_wh):
    for seed in range(30):
        image = random_texture(rng(seed), size_wh)
        assert image.shape == (size_wh[1], size_wh[0], 3)
        assert image.dtype == np.uint8


def test_textures_vary_and_are_repeatable():
    textures = [random_texture(rng(seed), (48, 48)) for seed in range(40)]
    again = [random_texture(rng(seed), (48, 48)) for seed in range(40)]
    assert all((a == b).all() for a, b in zip(textures, again, strict=True))
    assert len({texture.tobytes() for texture in textures}) == 40
    # Most of them show something, and their colours differ.
    assert np.mean([texture.std() > 4 for texture in textures]) > 0.8
    assert np.std([texture.mean() for texture in textures]) > 15


def test_texture_contrast_bounds_the_palette():
    flat = [random_palette(rng(seed), contrast=0.0).max(axis=2) for seed in range(20)]
    # Without contrast all colours of a palette have one brightness (value of HSV); a smooth
    # palette between two hues dips a little below it.
    assert max(int(np.ptp(values)) for values in flat) < 90
    wide = [random_palette(rng(seed), contrast=1.0).max(axis=2) for seed in range(20)]
    spread = np.mean([np.ptp(values) for values in wide])
    assert spread > 3 * np.mean([np.ptp(v) for v in flat])


def test_texture_refuses_a_size_of_one():
    with pytest.raises(ValueError, match=r"\(1, 5\)"):
        random_texture(rng(), (1, 5))


def test_noise_has_the_stated_moments():
    field = noise_field(rng(3), (256, 256), zoom=(1.0, 1.01)).astype(float)
    assert abs(field.mean() - 127.5) < 25
    assert 20 < field.std() < 80
    white = white_noise(rng(4), (200, 100), channels=3)
    assert white.shape == (100, 200, 3)
    assert abs(white.mean()) < 0.02
    assert abs(white.std() - 1) < 0.02
    assert white_noise(rng(4), (1280, 720), channels=1).shape == (720, 1280, 1)


def test_shape_spans_the_canvas_and_has_soft_edges():
    for seed in range(60):
        mask = random_shape_mask(rng(seed), 96)
        assert mask.shape == (96, 96)
        assert mask.dtype == np.uint8
        _, _, width, height = cv2.boundingRect(mask)
        # Parts that swing leave room around the resting shape.
        assert 55 <= max(width, height) <= 92
        assert (mask == 255).sum() > 100
        assert mask[0].max() == mask[-1].max() == mask[:, 0].max() == mask[:, -1].max() == 0
        assert ((mask > 0) & (mask < 255)).any()


def test_shapes_vary():
    masks = [random_shape_mask(rng(seed), 64) >= 128 for seed in range(80)]
    fill = np.array([mask.sum() for mask in masks]) / 64**2
    assert fill.min() < 0.2
    assert fill.max() > 0.55
    contours = [
        cv2.findContours(m.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[1]
        for m in masks
    ]
    with_holes = sum(any(entry[3] >= 0 for entry in hierarchy[0]) for hierarchy in contours)
    assert 1 <= with_holes <= 40


def test_shape_refuses_a_tiny_canvas():
    with pytest.raises(ValueError, match="got 7"):
        random_shape_mask(rng(), 7)


def test_paste_at_whole_pixels_copies():
    image = random_texture(rng(1), (80, 60))
    before = image.copy()
    patch = random_texture(rng(2), (20, 10))
    mask = np.full((10, 20), 255, np.uint8)
    matrix = np.array([[1.0, 0, 30], [0, 1.0, 25]])
    coverage = paste(image, patch, mask, matrix)
    expected = before.copy()
    expected[25:35, 30:50] = patch
    assert (image == expected).all()
    expected_mask = np.zeros((60, 80), bool)
    expected_mask[25:35, 30:50] = True
    assert (inside(coverage) == expected_mask).all()


def test_paste_half_covered_mixes_half_and_half():
    image = np.full((20, 20, 3), 40, np.uint8)
    patch = np.full((20, 20, 3), 200, np.uint8)
    coverage = paste(image, patch, np.full((20, 20), 128, np.uint8), np.eye(3))
    assert np.abs(image.astype(int) - 120).max() <= 1
    assert (coverage == 128).all()


@pytest.mark.parametrize("scale", [0.15, 0.4, 0.8, 1.0, 2.3])
@pytest.mark.parametrize("angle", [0.0, 0.6, 2.0])
def test_pasted_area_and_centre_follow_the_matrix(scale, angle):
    disc = np.zeros((101, 101), np.uint8)
    cv2.circle(disc, (50, 50), 40, 255, -1)
    image = np.zeros((300, 300, 3), np.uint8)
    matrix = similarity(
        source_xy=(50, 50), target_xy=(150.3, 140.6), scale=scale, angle=angle, stretch=1.5
    )
    coverage = paste(image, np.full((101, 101, 3), 255, np.uint8), disc, matrix)
    area = coverage.sum(dtype=float) / 255
    assert area == pytest.approx((disc > 0).sum() * scale**2, rel=0.02)
    y, x = np.indices(coverage.shape)
    weights = coverage / coverage.sum(dtype=float)
    assert (x * weights).sum() == pytest.approx(150.3, abs=0.1)
    assert (y * weights).sum() == pytest.approx(140.6, abs=0.1)


def test_paste_shrinks_without_aliasing():
    checks = ((np.indices((256, 256)).sum(axis=0) % 2) * 255).astype(np.uint8)
    patch = cv2.merge([checks] * 3)
    image = np.zeros((80, 80, 3), np.uint8)
    matrix = similarity(source_xy=(127.5, 127.5), target_xy=(40, 40), scale=0.22)
    coverage = paste(image, patch, np.full((256, 256), True), matrix, feather_px=0)
    inner = image[cv2.erode((coverage > 250).astype(np.uint8), np.ones((5, 5))) > 0]
    assert len(inner) > 1000
    assert np.abs(inner.astype(int) - 127).max() < 20


def test_paste_outside_the_image_changes_nothing():
    image = random_texture(rng(1), (40, 40))
    before = image.copy()
    patch = np.zeros((10, 10, 3), np.uint8)
    far = np.array([[1.0, 0, 100], [0, 1.0, 5]])
    assert not paste(image, patch, np.full((10, 10), True), far).any()
    assert not paste(image, patch, np.zeros((10, 10), bool), np.eye(3)).any()
    assert (image == before).all()


def test_paste_takes_a_projective_matrix():
    image = np.zeros((100, 100, 3), np.uint8)
    matrix = np.array([[1.0, 0.1, 20], [0.05, 1.0, 15], [0.002, 0.001, 1.0]])
    coverage = paste(image, np.full((50, 50, 3), 255, np.uint8), np.full((50, 50), True), matrix)
    corners = transform_points(
        matrix, np.array([[-0.5, -0.5], [49.5, -0.5], [49.5, 49.5], [-0.5, 49.5]])
    )
    expected = cv2.contourArea(corners.astype(np.float32))
    assert inside(coverage).sum() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("mask", "matrix", "words"),
    [
        (np.ones((9, 10), bool), np.eye(3), "differ in size"),
        (np.ones((10, 10), np.float32), np.eye(3), "float32"),
        (np.ones((10, 10), bool), np.eye(4), r"\(4, 4\)"),
    ],
)
def test_paste_refuses_what_does_not_fit(mask, matrix, words):
    image = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(ValueError, match=words):
        paste(image, np.zeros((10, 10, 3), np.uint8), mask, matrix)


def test_soft_mask_keeps_the_area():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 10:50] = True
    soft = soft_mask(mask, feather_px=1.5)
    assert soft.sum(dtype=float) / 255 == pytest.approx(mask.sum(), rel=0.01)
    assert (inside(soft) != mask).sum() <= 4
    assert (inside(soft_mask(mask, feather_px=0.0)) == mask).all()


def test_cover_multiplies_coverages():
    below = np.array([[255, 255, 255, 128, 0]], np.uint8)
    above = np.array([[0, 255, 128, 128, 255]], np.uint8)
    expected = below / 255 * (1 - above / 255) * 255
    assert np.abs(cover(below, above) - expected).max() <= 1


@pytest.mark.parametrize("shift", [(9.0, 0.0), (0.0, -6.0), (7.0, 7.0), (-12.0, 5.0)])
def test_motion_blur_spreads_a_point_along_the_way(shift):
    image = np.zeros((61, 61, 3), np.uint8)
    image[30, 30] = 255
    # Eight bits lose small values: blur a 5x5 spot that stays bright.
    image[28:33, 28:33] = 255
    blurred = motion_blur(image, shift)[..., 0].astype(float)
    y, x = np.indices(blurred.shape)
    weights = blurred / blurred.sum()
    assert blurred.sum() == pytest.approx(25 * 255, rel=0.06)
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    assert (mean_x, mean_y) == (pytest.approx(30, abs=0.7), pytest.approx(30, abs=0.7))
    variance_x = (weights * (x - mean_x) ** 2).sum() - 2.0  # of a 5 px spot: (25 - 1) / 12
    variance_y = (weights * (y - mean_y) ** 2).sum() - 2.0
    assert variance_x == pytest.approx(shift[0] ** 2 / 12, rel=0.35, abs=0.3)
    assert variance_y == pytest.approx(shift[1] ** 2 / 12, rel=0.35, abs=0.3)


def test_small_effects_leave_the_image_alone():
    image = random_texture(rng(5), (40, 30))
    assert motion_blur(image, (0.4, 0.3)) is image
    assert defocus(image, 0.1) is image
    assert add_noise(image, white_noise(rng(), (40, 30), channels=1), 0.0) is image
    assert (relight(image) == image).all()


def test_relight_follows_its_formula():
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    lit = relight(ramp, gain=0.8, offset=10, gamma=1.3, tint_bgr=(1.1, 1.0, 0.9))
    values = (np.arange(256) / 255) ** 1.3 * 255 * 0.8
    for channel, tint in enumerate((1.1, 1.0, 0.9)):
        expected = np.clip(values * tint + 10, 0, 255)
        assert np.abs(lit[0, :, channel] - expected).max() <= 0.5 + 1e-6


def test_noise_and_compression_change_what_they_should():
    image = np.full((100, 100, 3), 128, np.uint8)
    noisy = add_noise(image, white_noise(rng(1), (100, 100), channels=3), 6.0)
    assert noisy.astype(float).std() == pytest.approx(6.0, rel=0.1)
    grey = add_noise(image, white_noise(rng(1), (100, 100), channels=1), 6.0)
    assert (grey[..., 0] == grey[..., 2]).all()
    compressed = recompress(noisy, 40)
    assert compressed.shape == image.shape
    assert 0 < np.abs(compressed.astype(int) - noisy).mean() < 8


def test_sprite_at_rest_is_its_silhouette_and_limbs_move_it():
    moved = 0
    for seed in range(25):
        sprite = random_sprite(rng(seed), canvas=96)
        _, rest = sprite.pose()
        _, zero = sprite.pose(np.zeros(len(sprite.parts)))
        # Warping by nothing changes edges by rounding only.
        assert np.abs(rest.astype(int) - zero).max() <= 8
        color, posed = sprite.pose(np.ones(len(sprite.parts)))
        assert color.shape == (96, 96, 3)
        if any(0 < part.swing < 1 for part in sprite.parts):
            moved += bool((inside(posed) != inside(rest)).any())
    assert moved >= 5


def test_look_alike_is_near_in_colour_and_same_in_shape():
    sprite = random_sprite(rng(7))
    twin = look_alike(rng(8), sprite)
    color, alpha = sprite.pose()
    twin_color, twin_alpha = twin.pose()
    assert (alpha == twin_alpha).all()
    assert not (color == twin_color).all()
    difference = np.abs(color.astype(float) - twin_color)
    assert (difference <= 0.27 * color + 1).all()


def test_backdrop_is_repeatable_and_textured():
    first, second = random_backdrop(rng(2), SMALL), random_backdrop(rng(2), SMALL)
    assert (first == second).all()
    assert first.shape == (120, 160, 3)
    assert np.mean([random_backdrop(rng(s), SMALL).std() > 5 for s in range(20)]) > 0.8


def test_waves_stay_within_their_bounds():
    waves = Waves.drift(rng(1), 50, peak=0.3, speed=0.2)
    times = np.linspace(0, 30, 3001)
    values = np.stack([waves(time) for time in times])
    assert np.abs(values).max() <= 0.3 + 1e-9
    assert np.abs(np.diff(values, axis=0)).max() / (times[1] - times[0]) <= 0.2 + 1e-6
    assert np.abs(values).max() > 0.05


def test_path_meets_its_keyframes_and_does_not_overshoot():
    keys = (
        Keyframe(0.0, 0.1, 0.5),
        Keyframe(0.3, 0.9, 0.5, size=2.0),
        Keyframe(0.6, 0.9, 0.2, angle=1.0),
        Keyframe(1.0, 0.2, 0.2),
    )
    path = KeyframePath(keys)
    for key in keys:
        assert np.allclose(path.at(key.time), key)
    steps = [path.at(time) for time in np.linspace(0, 1, 501)]
    assert all(0.1 - 1e-9 <= step.x <= 0.9 + 1e-9 for step in steps)
    assert all(0.2 - 1e-9 <= step.y <= 0.5 + 1e-9 for step in steps)
    between = [step.x for step in steps if 0.3 <= step.time <= 0.6]
    assert np.allclose(between, 0.9)
    speeds = np.diff([step.x for step in steps])
    assert np.abs(np.diff(speeds)).max() < 0.002  # no sudden changes of speed
    assert KeyframePath((Keyframe(0.5, 0.3, 0.4),)).at(0.9)[1:3] == (0.3, 0.4)


@pytest.mark.parametrize(
    "keys",
    [
        (),
        (Keyframe(0.5, 0, 0), Keyframe(0.5, 1, 1)),
        (Keyframe(0.5, 0, 0), Keyframe(0.2, 1, 1)),
        (Keyframe(1.5, 0, 0),),
        (Keyframe(0.0, float("nan"), 0),),
        (Keyframe(0.0, 0, 0, size=0.0),),
    ],
)
def test_path_refuses_bad_keyframes(keys):
    with pytest.raises(ValueError, match="keyframe"):
        KeyframePath(keys)


def test_sequence_frames_are_consistent():
    frames = list(render_sequence(3, frames=6, size_wh=SMALL, options=scenario("several")))
    assert [frame.index for frame in frames] == list(range(6))
    assert frames[3].time_s == pytest.approx(0.1)
    for frame in frames:
        assert frame.image_bgr.shape == (120, 160, 3)
        assert list(frame.masks) == [1, 2, 3]
        stacked = np.stack(list(frame.masks.values()))
        assert stacked.shape == (3, 120, 160)
        assert (stacked.sum(axis=0) <= 1).all()  # a pixel shows one target
        for target_id, box in frame.boxes.items():
            assert 0 <= frame.visible_share[target_id] <= 1
            expected = cv2.boundingRect(frame.masks[target_id].astype(np.uint8))
            assert (box.xywh if box else (0, 0, 0, 0)) == expected


def test_masks_are_exact():
    """Where nothing else moves, two frames differ just where their masks are."""
    for seed in range(6):
        frames = list(render_sequence(seed, frames=12, size_wh=SMALL, options=STILL))
        first, last = frames[0], frames[-1]
        either = (first.masks[1] | last.masks[1]).astype(np.uint8)
        apart = not (first.masks[1] & last.masks[1]).any()
        assert apart
        difference = np.abs(first.image_bgr.astype(int) - last.image_bgr).max(axis=2)
        shrunk = cv2.erode(either, np.ones((3, 3), np.uint8)).astype(bool)
        assert (difference[shrunk] > 0).mean() > 0.97
        # The edge fades to nothing within three pixels, and mostly within one.
        near = cv2.dilate(either, np.ones((3, 3), np.uint8)).astype(bool)
        far = cv2.dilate(either, np.ones((7, 7), np.uint8)).astype(bool)
        assert difference[~near].max() <= 40
        assert difference[~far].max() == 0
        assert first.visible_share[1] > 0.9


def test_same_seed_same_pixels_in_any_process_and_order():
    options = scenario("plain", jpeg_quality=70)
    first = list(render_sequence(11, frames=5, size_wh=SMALL, options=options))
    some = list(islice(render_sequence(11, frames=5, size_wh=SMALL, options=options), 2))
    assert (some[1].image_bgr == first[1].image_bgr).all()
    digest = hashlib.sha256(first[4].image_bgr.tobytes() + first[4].masks[1].tobytes()).hexdigest()
    code = (
        "import hashlib; from siammask_ros.scenes import render_sequence, scenario\n"
        "options = scenario('plain', jpeg_quality=70)\n"
        "f = list(render_sequence(11, frames=5, size_wh=(160, 120), options=options))[4]\n"
        "print(hashlib.sha256(f.image_bgr.tobytes() + f.masks[1].tobytes()).hexdigest())"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert output.stdout.strip() == digest
    other = next(iter(render_sequence(12, frames=5, size_wh=SMALL, options=options)))
    assert not (other.image_bgr == first[0].image_bgr).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_motion_is_smooth_enough_to_follow(seed):
    frames = list(render_sequence(seed, frames=60, size_wh=(320, 180)))
    centers = [
        np.argwhere(frame.masks[1]).mean(axis=0) for frame in frames if frame.visible_share[1] > 0.9
    ]
    assert len(centers) > 40
    steps = [np.linalg.norm(b - a) for a, b in pairwise(centers)]
    side = np.sqrt(frames[0].masks[1].sum())
    assert max(steps) < 0.35 * side
    assert sum(steps) > 10  # it does move


def test_full_occlusion_hides_the_target_and_gives_it_back():
    frames = list(render_sequence(4, frames=80, size_wh=SMALL, options=scenario("full_occlusion")))
    shares = np.array([frame.visible_share[1] for frame in frames])
    assert shares[0] > 0.9
    assert shares[-1] > 0.9
    hidden = np.flatnonzero(shares == 0)
    assert len(hidden) >= 4
    assert (np.diff(hidden) == 1).all()
    assert all(frames[i].boxes[1] is None and not frames[i].masks[1].any() for i in hidden)


def test_exit_and_return():
    frames = list(render_sequence(5, frames=80, size_wh=SMALL, options=scenario("exit_and_return")))
    shares = np.array([frame.visible_share[1] for frame in frames])
    assert shares[0] > 0.9
    assert shares[-1] > 0.9
    assert (shares[34:46] == 0).all()


def test_twin_crosses_behind_the_target():
    options = scenario("twin_crossing")
    frames = list(render_sequence(6, frames=40, size_wh=SMALL, options=options))
    assert min(frame.visible_share[1] for frame in frames) > 0.9
    assert set(frames[0].masks) == {1}


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in LIFE_SCENARIOS])
def test_every_scenario_starts_with_its_targets_in_sight(name):
    for seed in range(4):
        first = next(iter(render_sequence(seed, frames=90, size_wh=SMALL, options=scenario(name))))
        assert first.visible_share[1] > 0.5
        assert first.image_bgr.std() > 2


def trace_of(name, seed, **changes):
    """Frames of a scenario of its own length."""
    options = scenario(name, seed=seed, size_wh=SMALL, **changes)
    return render_sequence(seed, frames=SCENARIOS[name].frames, size_wh=SMALL, options=options)


def center_of(mask):
    return np.argwhere(mask).mean(axis=0)[::-1]


@pytest.mark.parametrize(
    ("name", "hidden"), [("occlusion_5", 5), ("occlusion_30", 30), ("occlusion_150", 150)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_an_occlusion_lasts_as_long_as_its_name_says(name, hidden, seed):
    """Painting the target another colour changes no pixel while it is hidden, and its own else."""
    sprite = random_sprite(rng(seed), canvas=64)
    inverted = replace(sprite, colors=tuple(255 - color for color in sprite.colors))
    frames = SCENARIOS[name].frames
    stages = []
    for looks in (Props(target=sprite), Props(target=inverted)):
        # Without exposure time and blur, a pixel shows one thing.
        options = scenario(
            name, seed=seed, size_wh=SMALL, props=looks, shutter=0, defocus=0, noise=0
        )
        stages.append(Stage(seed, frames, SMALL, options, looks))
    gone = [index for index in range(frames) if stages[0].visible_share(index)[1] == 0]
    assert len(gone) == hidden
    assert gone[-1] - gone[0] == hidden - 1
    for index in sorted({*range(0, frames, 25), *gone[:3], *gone[-3:], gone[0] - 9, gone[-1] + 9}):
        first, second = (stage.frame(index) for stage in stages)
        changed = np.count_nonzero((first.image_bgr != second.image_bgr).any(axis=2))
        if index in gone[1:-1]:
            assert changed == 0
        elif index in gone:  # a pixel that is covered by more than half counts as covered
            assert changed < 40
        if first.visible_share[1] > 0.9:
            assert changed > 0.8 * first.masks[1].sum()


@pytest.mark.parametrize(
    ("name", "least", "same_border"),
    [("other_border", 30, False), ("empty_10s", 300, True), ("twin_remains", 60, True)],
)
def test_an_exit_and_a_return_over_the_borders_meant(name, least, same_border):
    for seed in range(2):
        options = scenario(name, seed=seed, size_wh=SMALL)
        length = SCENARIOS[name].frames
        stage = Stage(seed, length, SMALL, options, Props())
        shares = np.array([stage.visible_share(index)[1] for index in range(0, length, 5)])
        gone = 5 * np.flatnonzero(shares == 0)
        assert gone[-1] - gone[0] >= least - 5
        assert (np.diff(gone) == 5).all()
        assert shares[0] > 0.9
        assert shares[-1] > 0.9
        leaves = min(i for i in range(gone[0] - 5, gone[0] + 1) if not stage.visible_share(i)[1])
        enters = max(i for i in range(gone[-1], gone[-1] + 5) if not stage.visible_share(i)[1])
        assert enters - leaves + 1 >= least
        left, entered = stage.frame(leaves - 1).masks[1], stage.frame(enters + 1).masks[1]
        assert (borders(left) == borders(entered)) is same_border


def borders(mask):
    """Which sides of the image a mask touches."""
    sides = mask[:, 0], mask[0], mask[:, -1], mask[-1]
    return frozenset(number for number, side in enumerate(sides) if side.any())


def as_targets(options):
    """The same scene, the twin a target too, so that it has a mask."""
    first, second = options.cast
    return replace(options, cast=(first, replace(second, role=Role.TARGET)))


@pytest.mark.parametrize("name", ["twin_passes", "look_alikes"])
def test_twins_really_cross_and_meet(name):
    for seed in range(3):
        options = as_targets(scenario(name, seed=seed, size_wh=SMALL))
        stage = Stage(seed, 100, SMALL, options, Props())
        frames = [stage.frame(index) for index in range(0, 100, 3)]
        assert list(frames[0].masks) == [1, 2]
        apart = [
            center_of(frame.masks[1]) - center_of(frame.masks[2])
            for frame in frames
            if all(frame.visible_share[known] > 0.2 for known in (1, 2))
        ]
        assert apart[0][0] < 0 < apart[-1][0]
        side = np.sqrt(frames[0].masks[1].sum())
        assert min(np.linalg.norm(each) for each in apart) < 1.2 * side


def test_the_twin_that_remains_is_in_sight_while_the_target_is_not():
    for seed in range(3):
        options = as_targets(scenario("twin_remains", seed=seed, size_wh=SMALL))
        length = SCENARIOS["twin_remains"].frames
        stage = Stage(seed, length, SMALL, options, Props())
        assert all(stage.visible_share(index)[2] > 0.5 for index in range(0, length, 10))


def test_the_size_changes_four_times():
    ways = set()
    for seed in range(4):
        options = scenario("scale_4", seed=seed, size_wh=SMALL)
        length = SCENARIOS["scale_4"].frames
        stage = Stage(seed, length, SMALL, options, Props())
        assert min(stage.visible_share(index)[1] for index in range(0, length, 10)) > 0.9
        first, last = (np.sqrt(stage.frame(i).masks[1].sum()) for i in (0, length - 1))
        assert max(first, last) / min(first, last) == pytest.approx(4, rel=0.12)
        ways.add(first < last)
    assert ways == {False, True}


def test_the_light_falls_and_comes_back_brighter():
    levels = [
        frame.image_bgr.mean()
        for frame in trace_of("light", 2, light=0, noise=0, camera_pan=0, camera_zoom=1)
    ]
    before, dark, back = (np.mean(levels[a:b]) for a, b in ((10, 30), (40, 55), (74, 77)))
    assert 0.2 < dark / before < 0.45
    assert back == pytest.approx(before, rel=0.1)
    assert np.mean(levels[100:]) > 1.15 * before  # some pixels are white already
    assert levels[33] / levels[30] < 0.5


def test_the_camera_jerks_target_and_backdrop_alike():
    still = {"camera_pan": 0, "camera_zoom": 1, "camera_shake": 0, "camera_roll": 0, "noise": 0}
    for seed in range(2):
        options = scenario("camera_jerk", seed=seed, size_wh=SMALL, clutter=60, **still)
        stage = Stage(seed, SCENARIOS["camera_jerk"].frames, SMALL, options, Props())
        quick = set()
        for jerk in (30, 60, 85):
            frames = [stage.frame(index) for index in range(jerk - 2, jerk + 6)]
            assert all(frame.visible_share[1] > 0.5 for frame in frames)
            centers = np.array([center_of(frame.masks[1]) for frame in frames])
            steps = np.linalg.norm(np.diff(centers, axis=0), axis=1)
            quick |= {jerk - 2 + int(i) for i in np.flatnonzero(steps > 0.03 * SMALL[0])}
            before, after = (
                cv2.cvtColor(frames[i].image_bgr, cv2.COLOR_BGR2GRAY).astype(np.float32)
                for i in (2, 4)
            )
            window = cv2.createHanningWindow(SMALL, cv2.CV_32F)
            (shift_x, shift_y), _ = cv2.phaseCorrelate(before, after, window)
            assert np.abs(centers[4] - centers[2] - (shift_x, shift_y)).max() < 3
        assert quick
        assert quick <= {30, 31, 60, 61, 85, 86}


@pytest.mark.parametrize("name", LIFE_SCENARIOS)
def test_a_scenario_is_the_same_for_the_same_seed(name):
    first, again, other = (
        next(iter(render_scenario(name, seed, size_wh=SMALL))) for seed in (3, 3, 4)
    )
    assert (first.image_bgr == again.image_bgr).all()
    assert not (first.image_bgr == other.image_bgr).all()
    assert all(share > 0.9 for share in first.visible_share.values())


def test_a_cut_out_keeps_its_pixels_and_its_outline():
    image = random_texture(rng(1), (90, 70))
    ellipse = np.zeros((70, 90), np.uint8)
    cv2.ellipse(ellipse, (60, 40), (28, 18), 20, 0, 360, 1, -1)
    mask = ellipse > 0
    mask[2, 2] = True  # a speck is left out
    color, alpha = cut_out(image, mask).pose()
    # Put back where it was, it changes nothing, and its outline is the mask.
    center = np.argwhere(inside(alpha)).mean(axis=0)[::-1]
    shift = np.rint(np.argwhere(ellipse).mean(axis=0)[::-1] - center)
    copy = np.zeros_like(image)
    coverage = paste(copy, color, alpha, np.array([[1.0, 0, shift[0]], [0, 1.0, shift[1]]]))
    assert region_overlap(inside(coverage), ellipse > 0) > 0.95
    solid = coverage == 255
    assert solid.sum() > 0.8 * ellipse.sum()
    assert (copy[solid] == image[solid]).all()


def region_overlap(first, second):
    return (first & second).sum() / (first | second).sum()


def test_cut_outs_and_photographs_take_the_place_of_random_looks():
    photograph = np.full((50, 80, 3), (10, 200, 30), np.uint8)
    disc = np.zeros((40, 40), np.uint8)
    cv2.circle(disc, (20, 20), 15, 1, -1)
    target = cut_out(np.full((40, 40, 3), (250, 0, 250), np.uint8), disc > 0)
    options = replace(STILL, light=0, noise=0)
    frame = next(
        iter(
            render_sequence(
                1, frames=2, size_wh=SMALL, options=options, props=Props(photograph, target)
            )
        )
    )
    inner = cv2.erode(frame.masks[1].astype(np.uint8), np.ones((5, 5))) > 0
    outer = cv2.dilate(frame.masks[1].astype(np.uint8), np.ones((5, 5))) == 0
    assert inner.any()
    assert np.abs(frame.image_bgr[inner].astype(int) - (250, 0, 250)).max() <= 8
    assert np.abs(frame.image_bgr[outer].astype(int) - (10, 200, 30)).max() <= 2


@pytest.mark.parametrize("size", [(10, 10), (70, 91)])
def test_what_cannot_be_cut_out_is_refused(size):
    with pytest.raises(ValueError, match=r"no area|differ in size"):
        cut_out(np.zeros((10, 10, 3), np.uint8), np.zeros(size, bool))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frame_rate": 0}, "frame_rate"),
        ({"noise": -1.0}, "-1.0"),
        ({"shutter": 1.5}, "1.5"),
        ({"jpeg_quality": 101}, "101"),
        ({"speed": float("nan")}, "nan"),
        ({"target_side": (0.5, 0.1)}, "target_side"),
        ({"cast": ()}, "cast"),
        ({"cast": (Actor(Role.OCCLUDER), Actor())}, "begin with a target"),
        ({"cast": (Actor(),) * 256}, "255"),
        ({"fogginess": 1}, "fogginess"),
        ({"light_path": ((0.0, 1.0), (0.0, 0.5))}, "light_path times"),
        ({"light_path": ((0.0, 9.0),)}, "9.0"),
    ],
)
def test_scene_options_are_checked(changes, words):
    with pytest.raises(ValueError, match=words):
        scenario("plain", **changes)


def test_unknown_names_and_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"'storm'.*plain"):
        scenario("storm")
    with pytest.raises(ValueError, match="-3"):
        scenario("occlusion_5", seed=-3)
    with pytest.raises(ValueError, match="ghost"):
        Actor(look="ghost")
    with pytest.raises(ValueError, match="cover"):
        Actor(Role.TARGET, look="cover")
    for arguments, words in (
        ({"seed": -1}, "-1"),
        ({"seed": 1, "frames": 0}, "got 0"),
        ({"seed": 1, "size_wh": (640, 10)}, r"\(640, 10\)"),
    ):
        with pytest.raises(ValueError, match=words):
            render_sequence(**arguments)
