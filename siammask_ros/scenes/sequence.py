# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered sequences: actors over a backdrop, seen by a moving camera, with exact masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from siammask_ros.geometry import Box
from siammask_ros.scenes.arrays import (
    Alpha,
    ImageBgr,
    Mask,
    check_size,
    inside,
    log_uniform,
    uint8,
)
from siammask_ros.scenes.compositing import (
    Layer,
    add_noise,
    as_homography,
    bend,
    cover,
    defocus,
    draw_layer,
    motion_blur,
    recompress,
    relight,
    similarity,
    smooth_displacement,
    transform_points,
    warp_image,
    warp_layer,
)
from siammask_ros.scenes.motion import Keyframe, Waves
from siammask_ros.scenes.options import Actor, Role, SceneOptions
from siammask_ros.scenes.sprites import (
    Sprite,
    look_alike,
    random_backdrop,
    random_block,
    random_sprite,
)
from siammask_ros.scenes.textures import white_noise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from siammask_ros.scenes.arrays import Matrix

_CONTROL_POINTS = 4
_CANVAS_RANGE = (96, 320)
_COVER_MARGIN = 1.15
# The backdrop is larger than the image by what the camera may pan, roll and shake.
_BACKDROP_SPARE = 0.15
_SWING_HZ = (0.4, 1.4)
_WARP_HZ = (0.2, 0.9)
_STILL = Keyframe(0.0, 0.5, 0.5)
"""A camera path that does nothing."""


@dataclass(frozen=True, eq=False)
class Props:
    """Looks that are given instead of drawn at random: cut-outs and photographs.

    Attributes:
        backdrop_bgr: (H, W, 3) uint8, enlarged as the camera needs it; random if None.
        target: the first target's sprite (its twins look like it); random if None.
    """

    backdrop_bgr: ImageBgr | None = None
    target: Sprite | None = None


@dataclass(frozen=True, eq=False)
class SceneFrame:
    """One rendered frame.

    Attributes:
        index: frame number, from 0.
        time_s: index over frame rate, seconds.
        image_bgr: (H, W, 3) uint8.
        masks: by target id (from 1), (H, W) bool: what is to be seen of the target. Exact: as
            it stands in the middle of the exposure, without blur.
        visible_share: by target id, how much of the whole target is to be seen, 0 to 1.
    """

    index: int
    time_s: float
    image_bgr: ImageBgr
    masks: Mapping[int, Mask]
    visible_share: Mapping[int, float]

    @property
    def boxes(self) -> dict[int, Box | None]:
        """By target id, the smallest box around its mask; None where nothing is to be seen."""
        return {target_id: Box.from_mask(mask) for target_id, mask in self.masks.items()}


def render_sequence(
    seed: int,
    *,
    frames: int = 90,
    size_wh: tuple[int, int] = (640, 360),
    options: SceneOptions | None = None,
    props: Props | None = None,
) -> Iterator[SceneFrame]:
    """Render a video with exact masks, frame by frame.

    The same arguments give the same pixels, however many frames are taken.

    Args:
        seed: of everything random, at least 0.
        frames: how many, at least 1; keyframe times are shares of this length.
        size_wh: width and height, at least 64 px each.
        options: what happens (`scenario(name)` for ready-made ones); the defaults if None.
        props: looks that are given; all at random if None.

    Raises:
        ValueError: an argument out of range.
    """
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    if frames < 1:
        raise ValueError(f"frames must be at least 1, got {frames}")
    check_size("size_wh", size_wh, 64)
    stage = Stage(seed, frames, size_wh, options or SceneOptions(), props or Props())
    return (stage.frame(index) for index in range(frames))


class _Camera:
    """Pan, roll and shake of the view, as functions of time."""

    def __init__(
        self,
        rng: np.random.Generator,
        options: SceneOptions,
        size_wh: tuple[int, int],
        duration: float,
    ) -> None:
        self.size_wh = size_wh
        width = size_wh[0]
        pan = options.camera_pan * width
        self.pan = Waves.drift(rng, 2, peak=pan, speed=options.speed * width)
        self.roll = Waves.drift(rng, 1, peak=options.camera_roll)
        self.shake = Waves.tremor(rng, 2, peak=options.camera_shake * width)
        self.zoom = Waves.drift(rng, 1, peak=float(np.log(options.camera_zoom)))
        self.path = options.camera_path
        self.duration = duration

    def held(self, seconds: float) -> Matrix:
        """3x3: how the camera's path, shake and roll move what the camera follows."""
        width, height = self.size_wh
        shake_x, shake_y = self.shake(seconds)
        key = _STILL if self.path is None else self.path.at(seconds / self.duration)
        return as_homography(
            similarity(
                source_xy=(width / 2, height / 2),
                target_xy=(key.x * width + shake_x, key.y * height + shake_y),
                scale=key.size,
                angle=key.angle + float(self.roll(seconds)[0]),
            )
        )

    def world(self, seconds: float) -> Matrix:
        """3x3: how the view moves what stands still in the world."""
        middle = (self.size_wh[0] / 2, self.size_wh[1] / 2)
        pan_x, pan_y = self.pan(seconds)
        zoom = float(np.exp(self.zoom(seconds)[0]))
        pan = similarity(
            source_xy=middle,
            target_xy=(middle[0] + pan_x, middle[1] + pan_y),
            scale=zoom,
        )
        return np.asarray(self.held(seconds) @ as_homography(pan))


class _Player:
    """An actor with its looks and its motion."""

    def __init__(
        self,
        rng: np.random.Generator,
        actor: Actor,
        sprite: Sprite,
        side_px: float,
        start_xy: NDArray[np.float64],
        stage: Stage,
    ) -> None:
        options, self.size_wh = stage.options, stage.size_wh
        self.actor, self.sprite = actor, sprite
        middle = (sprite.canvas - 1) / 2
        self.middle_xy = (middle, middle)
        _, alpha = sprite.pose()
        self.scale = side_px / np.sqrt(max(float(np.count_nonzero(inside(alpha))), 16.0))
        self.start_xy = start_xy
        self.path = Waves.drift(rng, 2, peak=options.wander, speed=options.speed)
        self.growth = Waves.drift(rng, 1, peak=float(np.log(options.zoom)))
        self.turn = Waves.drift(rng, 1, peak=options.spin)
        self.slant = Waves.drift(rng, 4, peak=options.slant)
        self.swing = Waves.random(rng, len(sprite.parts), peak=options.limbs, frequencies=_SWING_HZ)
        self.warp = Waves.random(
            rng, _CONTROL_POINTS**2 * 2, peak=options.warp, frequencies=_WARP_HZ
        )
        self.rigid = actor.look == "cover"

    def looks(self, seconds: float) -> tuple[ImageBgr, Alpha]:
        """The sprite as it is posed and bent at a time."""
        if self.rigid:
            return self.sprite.pose()
        color, alpha = self.sprite.pose(self.swing(seconds))
        control = self.warp(seconds).reshape(_CONTROL_POINTS, _CONTROL_POINTS, 2)
        if not control.any():
            return color, alpha
        field = smooth_displacement(control.astype(np.float32), self.sprite.canvas)
        return bend(color, alpha, field)

    def place(self, seconds: float, duration: float, camera: _Camera) -> Matrix:
        """3x3 from the sprite's canvas to the image."""
        key = self._keyframe(seconds, duration)
        view = camera.held(seconds) if self._followed else camera.world(seconds)
        slant_x, slant_y, shear, stretch = self.slant(seconds) * (0.0 if self.rigid else 1.0)
        own = as_homography(
            similarity(
                source_xy=self.middle_xy,
                target_xy=(key.x * self.size_wh[0], key.y * self.size_wh[1]),
                scale=self.scale * key.size,
                angle=key.angle,
                stretch=float(np.exp(stretch)),
                shear=float(shear),
            )
        )
        return np.asarray(view @ own @ self._perspective(float(slant_x), float(slant_y)))

    @property
    def _followed(self) -> bool:
        """Whether the path is on the screen: the camera's pan does not move it."""
        return self.actor.role is Role.TARGET or self.actor.path is not None

    def _keyframe(self, seconds: float, duration: float) -> Keyframe:
        if self.actor.path is not None:
            key = self.actor.path.at(seconds / duration if duration > 0 else 0.0)
        else:
            x, y = self.start_xy + self.path(seconds)
            key = Keyframe(0.0, float(x), float(y))
        if self.rigid:
            return key
        return key._replace(
            size=key.size * float(np.exp(self.growth(seconds)[0])),
            angle=key.angle + float(self.turn(seconds)[0]),
        )

    def _perspective(self, slant_x: float, slant_y: float) -> Matrix:
        """3x3 that slants the canvas about its middle; the far side shrinks by the slant."""
        middle = self.middle_xy[0]
        to_middle = np.array([[1.0, 0.0, -middle], [0.0, 1.0, -middle], [0.0, 0.0, 1.0]])
        slant = np.eye(3)
        slant[2, :2] = slant_x / middle / 2, slant_y / middle / 2
        back = np.array([[1.0, 0.0, middle], [0.0, 1.0, middle], [0.0, 0.0, 1.0]])
        return np.asarray(back @ slant @ to_middle)

    def reach(self) -> float:
        """Radius in px around its middle that the actor cannot leave, at its largest."""
        _, alpha = self.sprite.pose()
        y, x = np.nonzero(alpha)
        radius = np.hypot(x - self.middle_xy[0], y - self.middle_xy[1]).max()
        # Limbs, waves and slant move the outline; all are small shares of the canvas.
        return float(radius * self.scale) * 1.3


class Stage:
    """Everything of a sequence that does not change from frame to frame; see `render_sequence`."""

    def __init__(
        self,
        seed: int,
        frames: int,
        size_wh: tuple[int, int],
        options: SceneOptions,
        props: Props,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.seed, self.size_wh, self.options, self.props = seed, size_wh, options, props
        self.duration = max(frames - 1, 1) / options.frame_rate
        spare = (1.0 + 2.0 * (options.camera_pan + _BACKDROP_SPARE)) * options.camera_zoom
        backdrop_wh = (int(size_wh[0] * spare), int(size_wh[1] * spare))
        if props.backdrop_bgr is None:
            self.backdrop = random_backdrop(rng, backdrop_wh, clutter=options.clutter)
        else:
            self.backdrop = uint8(cv2.resize(props.backdrop_bgr, backdrop_wh))
        self.camera = _Camera(rng, options, size_wh, self.duration)
        self.light = Waves.drift(rng, 1, peak=float(-np.log1p(-options.light)))
        self.blur = options.defocus * rng.random()
        self._free_columns: list[float] = []
        self.players = self._engage(rng)

    def frame(self, index: int) -> SceneFrame:
        """Render one frame."""
        seconds = index / self.options.frame_rate
        image = self._scenery(seconds)
        drawn = self._project(seconds)
        for each in drawn.values():
            each.draw(image)
        masks, shares = self._truth(drawn)
        return SceneFrame(index, seconds, self._photograph(image, index, seconds), masks, shares)

    def visible_share(self, index: int) -> dict[int, float]:
        """What `frame(index)` says of the visible shares, without rendering it."""
        return self._truth(self._project(index / self.options.frame_rate))[1]

    def _project(self, seconds: float) -> dict[_Player, _Drawn]:
        """Every actor as it lies in the image, the farthest first."""
        ordered = sorted(self.players, key=lambda player: player.actor.role)
        return {player: self._place(player, seconds) for player in ordered}

    def _truth(self, drawn: Mapping[_Player, _Drawn]) -> tuple[dict[int, Mask], dict[int, float]]:
        """Mask and visible share of each target."""
        visible: dict[int, Alpha] = {}
        whole: dict[int, float] = {}
        target_ids = self._target_ids()
        for player, each in drawn.items():
            visible = {known: cover(alpha, each.coverage) for known, alpha in visible.items()}
            if player in target_ids:
                visible[target_ids[player]] = each.coverage
                whole[target_ids[player]] = each.area
        masks = {known: inside(visible[known]) for known in sorted(visible)}
        shares = {
            known: min(1.0, float(np.count_nonzero(mask)) / max(whole[known], 1.0))
            for known, mask in masks.items()
        }
        return masks, shares

    def _target_ids(self) -> dict[_Player, int]:
        targets = [player for player in self.players if player.actor.role is Role.TARGET]
        return {player: number for number, player in enumerate(targets, start=1)}

    def _engage(self, rng: np.random.Generator) -> list[_Player]:
        """A player for each actor; twins and covers look to the first target."""
        players: list[_Player] = []
        short = min(self.size_wh)
        for actor in self.options.actors:
            side = log_uniform(rng, *self.options.target_side) * short * actor.size
            first = players[0] if players else None
            if actor.look == "twin" and first is not None:
                sprite, side = look_alike(rng, first.sprite), self._side_of(first) * actor.size
            elif actor.look == "cover" and first is not None:
                sprite = random_block(rng, canvas=_canvas(side))
                largest = first.reach() * self.options.zoom * _largest_size(first.actor)
                side = 2.0 * _COVER_MARGIN * largest * actor.size
            elif first is None and self.props.target is not None:
                sprite = self.props.target
            else:
                contrast = self.options.contrast
                sprite = random_sprite(rng, canvas=_canvas(side), contrast=contrast)
            players.append(_Player(rng, actor, sprite, side, self._start(rng, actor), self))
        return players

    def _start(self, rng: np.random.Generator, actor: Actor) -> NDArray[np.float64]:
        """Middle of a random path, shares of the image; targets side by side."""
        if actor.role is not Role.TARGET:
            return rng.uniform(0.1, 0.9, 2)
        if not self._free_columns:
            columns = sum(each.role is Role.TARGET for each in self.options.actors)
            slots = (np.arange(columns) + 0.5) / columns
            self._free_columns = list(0.2 + 0.6 * rng.permutation(slots))
        column = self._free_columns.pop()
        return np.array([column + rng.uniform(-0.08, 0.08), rng.uniform(0.4, 0.6)])

    @staticmethod
    def _side_of(player: _Player) -> float:
        _, alpha = player.sprite.pose()
        return float(player.scale * np.sqrt(np.count_nonzero(inside(alpha))))

    def _scenery(self, seconds: float) -> ImageBgr:
        """The backdrop as the camera sees it, blurred by the camera's own motion."""
        height, width = self.backdrop.shape[:2]
        centered = similarity(
            source_xy=(width / 2, height / 2),
            target_xy=(self.size_wh[0] / 2, self.size_wh[1] / 2),
            scale=1.0,
        )
        matrix = self.camera.world(seconds) @ as_homography(centered)
        image = warp_image(self.backdrop, matrix, self.size_wh)
        middle = np.array([[self.size_wh[0] / 2, self.size_wh[1] / 2]])
        opened, closed = self._exposure(seconds)
        shift = transform_points(self.camera.world(closed), middle) - transform_points(
            self.camera.world(opened), middle
        )
        return motion_blur(image, (float(shift[0, 0]), float(shift[0, 1])))

    def _exposure(self, seconds: float) -> tuple[float, float]:
        """When the shutter opens and closes."""
        half = self.options.shutter / self.options.frame_rate / 2
        return seconds - half, seconds + half

    def _place(self, player: _Player, seconds: float) -> _Drawn:
        """An actor in the image with its motion blur, and its sharp coverage."""
        color, alpha = player.looks(seconds)
        matrix = player.place(seconds, self.duration, self.camera)
        opened, closed = self._exposure(seconds)
        middle = np.array([player.middle_xy])
        ends = [
            transform_points(player.place(when, self.duration, self.camera), middle)[0]
            for when in (opened, closed)
        ]
        shift = (float(ends[1][0] - ends[0][0]), float(ends[1][1] - ends[0][1]))
        margin = int(np.ceil(np.hypot(*shift) / 2)) + 1
        coverage = np.zeros(self.size_wh[::-1], np.uint8)
        # Slant changes the area little: the linear part at the middle of the canvas counts.
        area = float(np.count_nonzero(inside(alpha))) * _area_scale(matrix, player.middle_xy)
        layer = warp_layer(color, alpha, matrix, self.size_wh, margin_px=margin)
        if layer is not None:
            coverage[layer.window] = layer.alpha
        return _Drawn(coverage, area, layer, shift)

    def _photograph(self, image: ImageBgr, index: int, seconds: float) -> ImageBgr:
        """Light, focus, noise, compression."""
        image = defocus(image, self.blur)
        gain = float(np.exp(self.light(seconds)[0]))
        if self.options.light_path:
            times, gains = zip(*self.options.light_path, strict=True)
            gain *= float(np.interp(seconds / self.duration, times, gains))
        image = relight(image, gain=gain)
        # Every frame has noise of its own, whichever frames were rendered before.
        rng = np.random.default_rng([self.seed, index])
        noise = white_noise(rng, self.size_wh, channels=3)
        image = add_noise(image, noise, self.options.noise)
        if self.options.jpeg_quality is not None:
            image = recompress(image, self.options.jpeg_quality)
        return image


@dataclass(frozen=True, eq=False)
class _Drawn:
    """An actor in the image.

    Attributes:
        coverage: (H, W) uint8, sharp.
        area: its whole area in px^2.
        layer: its pixels, None where nothing of it lies in the image.
        shift_xy: the way in px that it makes while the shutter is open.
    """

    coverage: Alpha
    area: float
    layer: Layer | None
    shift_xy: tuple[float, float]

    def draw(self, image: ImageBgr) -> None:
        """Draw it with its motion blur, in place."""
        if self.layer is None:
            return
        blurred = Layer(
            self.layer.window,
            motion_blur(self.layer.color, self.shift_xy),
            motion_blur(self.layer.alpha, self.shift_xy, outside=0),
        )
        draw_layer(image, blurred)


def _area_scale(matrix: Matrix, at_xy: tuple[float, float]) -> float:
    """Image px^2 for one canvas px^2 at a point of the canvas."""
    depth = float(matrix[2] @ np.array([at_xy[0], at_xy[1], 1.0]))
    return abs(float(np.linalg.det(matrix))) / abs(depth) ** 3


def _canvas(side_px: float) -> int:
    """Canvas side that shows a target of this side without enlarging its texture much."""
    low, high = _CANVAS_RANGE
    return int(np.clip(1.6 * side_px, low, high))


def _largest_size(actor: Actor) -> float:
    """Largest factor that the actor's keyframes set."""
    return max((key.size for key in actor.path.keyframes), default=1.0) if actor.path else 1.0
