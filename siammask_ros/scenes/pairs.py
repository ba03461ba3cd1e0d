# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two pictures of one target, for training: fast, varied, with distractors and exact masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siammask_ros.scenes.arrays import (
    Alpha,
    ImageBgr,
    Mask,
    chance,
    check_between,
    check_range,
    check_size,
    inside,
    log_uniform,
)
from siammask_ros.scenes.compositing import (
    add_noise,
    bend,
    cover,
    defocus,
    motion_blur,
    paste,
    recompress,
    relight,
    similarity,
    smooth_displacement,
    warp_image,
)
from siammask_ros.scenes.sprites import Sprite, look_alike, random_backdrop, random_sprite
from siammask_ros.scenes.textures import white_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BACKDROP_MARGIN = 1.25
_CONTROL_POINTS = 4
_OCCLUDER_TRIES = 3
_DISTRACTOR_CANVAS = 96


class RenderedPair(NamedTuple):
    """An exemplar image and a search image of one target.

    Images are HxWx3 uint8 BGR, masks HxW bool of the visible target. ``search_mask`` is empty
    when the target is absent from the search image.
    """

    exemplar_bgr: ImageBgr
    exemplar_mask: Mask
    search_bgr: ImageBgr
    search_mask: Mask


@dataclass(frozen=True)
class PairOptions:
    """What may happen between the two pictures.

    Attributes:
        target_side: range of the target's mean side, as a fraction of the image's shorter side.
        max_shift: largest shift of the search target's centre, in target sides.
        max_zoom: the target's scale changes by up to this factor, up or down.
        max_angle: largest in-plane rotation between the pictures, radians.
        warp: strength of the non-rigid change, standard deviation as a fraction of the target.
        distractors: most other targets in each picture.
        twin_probability: chance that one distractor looks like the target.
        occluder_probability: chance that something covers part of the target in the search image.
        min_visible: smallest visible part of the target in the search image (0 to 1).
        absent_probability: chance that the search image lacks the target (its twin may be there).

    """

    target_side: tuple[float, float] = (0.14, 0.42)
    max_shift: float = 0.6
    max_zoom: float = 1.35
    max_angle: float = 0.6
    warp: float = 0.05
    distractors: int = 3
    twin_probability: float = 0.3
    occluder_probability: float = 0.3
    min_visible: float = 0.4
    absent_probability: float = 0.0

    def __post_init__(self) -> None:
        check_range("target_side", self.target_side, 0.02, 1.0)
        check_between("max_shift", self.max_shift, 0.0, 10.0)
        check_between("max_zoom", self.max_zoom, 1.0, 4.0)
        check_between("max_angle", self.max_angle, 0.0, np.pi)
        check_between("warp", self.warp, 0.0, 0.3)
        check_between("distractors", self.distractors, 0, 32)
        for name in ("twin_probability", "occluder_probability", "absent_probability"):
            check_between(name, getattr(self, name), 0.0, 1.0)
        check_between("min_visible", self.min_visible, 0.0, 1.0)


class _Placement(NamedTuple):
    """Where a sprite stands in a picture."""

    center_xy: tuple[float, float]
    side: float
    angle: float
    stretch: float
    shear: float


def render_pair(
    rng: np.random.Generator,
    size_wh: tuple[int, int] = (320, 320),
    *,
    options: PairOptions | None = None,
    backdrop: ImageBgr | None = None,
) -> RenderedPair:
    """Render two pictures of one random target for training.

    The exemplar's target stands near the middle; in the search picture it is shifted, scaled,
    turned, sheared, bent and posed anew, before a backdrop seen by a moved camera. Same rng
    state, same pixels.

    Args:
        rng: source of all randomness.
        size_wh: width and height of both pictures, each at least 32 px.
        options: what may happen; the defaults if None.
        backdrop: HxWx3 uint8 scene (a photograph, say) instead of a rendered one; any size.

    """
    check_size("size_wh", size_wh, 32)
    chosen = options or PairOptions()
    scene = backdrop if backdrop is not None else _backdrop(rng, size_wh)
    target = random_sprite(rng)
    others = _other_targets(rng, target, chosen)
    first = _first_placement(rng, size_wh, chosen)
    exemplar_bgr, exemplar_alpha = _view(rng, scene, size_wh)
    _scatter(rng, exemplar_bgr, others, first)
    exemplar_alpha = _draw(rng, exemplar_bgr, target, first, warp=chosen.warp)
    second = _second_placement(rng, size_wh, first, chosen)
    search_bgr, search_alpha = _view(rng, scene, size_wh)
    _scatter(rng, search_bgr, others, second)
    if not chance(rng, chosen.absent_probability):
        search_alpha = _draw(rng, search_bgr, target, second, warp=chosen.warp)
        if chance(rng, chosen.occluder_probability):
            search_alpha = _occlude(rng, search_bgr, search_alpha, second, chosen.min_visible)
    return RenderedPair(
        _photograph(rng, exemplar_bgr, blur=0.3),
        inside(exemplar_alpha),
        _photograph(rng, search_bgr, blur=0.5),
        inside(search_alpha),
    )


def _other_targets(
    rng: np.random.Generator, target: Sprite, options: PairOptions
) -> list[tuple[ImageBgr, Alpha]]:
    """Pictures and coverages of the distractors, a look-alike of the target among them or not."""
    sprites = [
        random_sprite(rng, canvas=_DISTRACTOR_CANVAS)
        for _ in range(int(rng.integers(0, options.distractors + 1)))
    ]
    if chance(rng, options.twin_probability):
        sprites.append(look_alike(rng, target))
    return [sprite.pose(rng.uniform(-1.0, 1.0, len(sprite.parts))) for sprite in sprites]


def _backdrop(rng: np.random.Generator, size_wh: tuple[int, int]) -> ImageBgr:
    width, height = size_wh
    return random_backdrop(rng, (int(width * _BACKDROP_MARGIN), int(height * _BACKDROP_MARGIN)))


def _view(
    rng: np.random.Generator, scene: ImageBgr, size_wh: tuple[int, int]
) -> tuple[ImageBgr, Alpha]:
    """The backdrop from a random camera, and an empty coverage."""
    height, width = scene.shape[:2]
    fit = max(size_wh[0] / width, size_wh[1] / height)
    matrix = similarity(
        source_xy=(width * rng.uniform(0.42, 0.58), height * rng.uniform(0.42, 0.58)),
        target_xy=(size_wh[0] / 2, size_wh[1] / 2),
        scale=fit * rng.uniform(1.05, 1.3),
        angle=rng.normal(0.0, 0.08),
        shear=rng.normal(0.0, 0.04),
    )
    return warp_image(scene, matrix, size_wh), np.zeros(size_wh[::-1], np.uint8)


def _first_placement(
    rng: np.random.Generator, size_wh: tuple[int, int], options: PairOptions
) -> _Placement:
    width, height = size_wh
    return _Placement(
        (width * rng.uniform(0.42, 0.58), height * rng.uniform(0.42, 0.58)),
        log_uniform(rng, *options.target_side) * min(size_wh),
        rng.normal(0.0, 0.3),
        log_uniform(rng, 0.75, 1.33),
        rng.normal(0.0, 0.12),
    )


def _second_placement(
    rng: np.random.Generator, size_wh: tuple[int, int], first: _Placement, options: PairOptions
) -> _Placement:
    reach = options.max_shift * first.side
    zoom = log_uniform(rng, 1.0 / options.max_zoom, options.max_zoom)
    # Triangular: small changes are the common ones.
    turn = (rng.random() - rng.random()) * options.max_angle
    return _Placement(
        (
            float(np.clip(first.center_xy[0] + rng.uniform(-reach, reach), 0, size_wh[0])),
            float(np.clip(first.center_xy[1] + rng.uniform(-reach, reach), 0, size_wh[1])),
        ),
        first.side * zoom,
        first.angle + turn,
        first.stretch * log_uniform(rng, 0.85, 1.18),
        first.shear + rng.normal(0.0, 0.08),
    )


def _draw(
    rng: np.random.Generator, image: ImageBgr, sprite: Sprite, place: _Placement, *, warp: float
) -> Alpha:
    """Pose, bend and paste a sprite, in place; its coverage in the image."""
    color, alpha = sprite.pose(rng.uniform(-1.0, 1.0, len(sprite.parts)))
    if warp > 0.0 and chance(rng, 0.6):
        control = rng.normal(0.0, warp, (_CONTROL_POINTS, _CONTROL_POINTS, 2)).astype(np.float32)
        color, alpha = bend(color, alpha, smooth_displacement(control, sprite.canvas))
    return paste(image, color, alpha, _matrix(alpha, place))


def _matrix(alpha: Alpha, place: _Placement) -> NDArray[np.float64]:
    """Scale so that the square root of the silhouette's area is ``place.side``."""
    middle = (alpha.shape[0] - 1) / 2
    own_side = np.sqrt(max(float(np.count_nonzero(inside(alpha))), 16.0))
    return similarity(
        source_xy=(middle, middle),
        target_xy=place.center_xy,
        scale=place.side / own_side,
        angle=place.angle,
        stretch=place.stretch,
        shear=place.shear,
    )


def _scatter(
    rng: np.random.Generator,
    image: ImageBgr,
    others: list[tuple[ImageBgr, Alpha]],
    target: _Placement,
) -> None:
    """Draw distractors behind the target's place, mostly beside it, in place."""
    height, width = image.shape[:2]
    for color, alpha in others:
        angle = rng.uniform(0.0, 2 * np.pi)
        distance = target.side * log_uniform(rng, 0.7, 2.6)
        place = _Placement(
            (
                float(np.clip(target.center_xy[0] + distance * np.cos(angle), 0, width)),
                float(np.clip(target.center_xy[1] + distance * np.sin(angle), 0, height)),
            ),
            target.side * log_uniform(rng, 0.5, 1.6),
            rng.normal(0.0, 0.4),
            log_uniform(rng, 0.8, 1.25),
            rng.normal(0.0, 0.1),
        )
        paste(image, color, alpha, _matrix(alpha, place))


def _occlude(
    rng: np.random.Generator, image: ImageBgr, alpha: Alpha, target: _Placement, keep: float
) -> Alpha:
    """Cover part of the target, in place; the visible coverage, at least ``keep`` of it."""
    whole = max(int(np.count_nonzero(inside(alpha))), 1)
    sprite = random_sprite(rng, canvas=_DISTRACTOR_CANVAS)
    for _ in range(_OCCLUDER_TRIES):
        angle = rng.uniform(0.0, 2 * np.pi)
        distance = target.side * rng.uniform(0.3, 1.0)
        place = target._replace(
            center_xy=(
                target.center_xy[0] + distance * float(np.cos(angle)),
                target.center_xy[1] + distance * float(np.sin(angle)),
            ),
            side=target.side * log_uniform(rng, 0.35, 1.2),
            angle=rng.uniform(-np.pi, np.pi),
        )
        attempt = image.copy()
        visible = cover(alpha, _draw(rng, attempt, sprite, place, warp=0.0))
        if np.count_nonzero(inside(visible)) >= keep * whole:
            image[:] = attempt
            return visible
    return alpha


def _photograph(rng: np.random.Generator, image: ImageBgr, *, blur: float) -> ImageBgr:
    """Light, motion blur or defocus (with chance ``blur``), noise, compression; new image."""
    tint = 1.0 + rng.normal(0.0, 0.05, 3)
    image = relight(
        image,
        gain=log_uniform(rng, 0.6, 1.4),
        offset=rng.normal(0.0, 12.0),
        gamma=log_uniform(rng, 0.7, 1.4),
        tint_bgr=(float(tint[0]), float(tint[1]), float(tint[2])),
    )
    if chance(rng, blur):
        if chance(rng, 0.5):
            length, angle = log_uniform(rng, 2.0, 16.0), rng.uniform(0.0, np.pi)
            image = motion_blur(image, (length * np.cos(angle), length * np.sin(angle)))
        else:
            image = defocus(image, log_uniform(rng, 0.5, 2.5))
    height, width = image.shape[:2]
    if chance(rng, 0.7):
        channels = 3 if chance(rng, 0.5) else 1
        noise = white_noise(rng, (width, height), channels=channels)
        image = add_noise(image, noise, log_uniform(rng, 1.0, 12.0))
    if chance(rng, 0.25):
        image = recompress(image, int(rng.integers(30, 90)))
    return image
