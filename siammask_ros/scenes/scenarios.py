# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ready-made scenarios: plain ones, and those that happen in a target's life."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from siammask_ros.scenes.motion import Keyframe, KeyframePath
from siammask_ros.scenes.options import Actor, Role, SceneOptions
from siammask_ros.scenes.sequence import Props, SceneFrame, Stage, render_sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SIZE_WH = (640, 360)
_LEAD = 30
"""Frames before anything happens."""
_AFTER = 60
"""Frames after a target's return."""
_OFF_X = 0.28
"""How far outside the image's side a target's centre is not to be seen, share of the width."""
_OFF_Y = 0.5
"""The same above and below, share of the height."""
_WALK = 20
"""Frames that a target takes between the middle and a place outside."""
_GONE = 30
"""Frames that a target waits outside."""
_EMPTY = 300
"""The same for an empty scene: 10 s."""
_COVER_SIZE = 0.85
"""The cover of `Actor` is generous; a little less still hides a target that keeps its size."""
_COVER_SPEEDS = (0.05, 0.07, 0.1, 0.14)
"""Image widths a frame, tried in turn until the shortest occlusion is short enough."""
_BLOCK_WAY = (-0.4, 1.4)
"""Where the block begins and ends, outside, shares of the width."""
_LEAST_WAIT = 0.25
"""Frames; the block's path needs some."""
_TRIES = 6
_SEEDS = 2**31
_CALM = SceneOptions(target_side=(0.14, 0.2), zoom=1.05, speed=0.1)

Points = tuple[tuple[float, float, float], ...]
"""(frame, x, y) of a path, x and y as in `Keyframe`."""


@dataclass(frozen=True)
class Situation:
    """What a scenario is made for.

    Attributes:
        rng: draws what differs from seed to seed: sides, places, amounts.
        seed: of the scene itself.
        size_wh: width and height in pixels.
        props: given looks.
    """

    rng: np.random.Generator
    seed: int
    size_wh: tuple[int, int]
    props: Props


@dataclass(frozen=True)
class Scenario:
    """A scenario with a name in `SCENARIOS`.

    Attributes:
        words: what happens, a sentence.
        make: its options; what a seed decides, it draws from the situation's generator.
        frames: how long it is meant to be.
    """

    words: str
    make: Callable[[Situation], SceneOptions]
    frames: int = 90


def _path(*keyframes: tuple[float, float, float]) -> KeyframePath:
    """A path from (time, x, y)."""
    return KeyframePath(tuple(Keyframe(*key) for key in keyframes))


def _framed(frames: int, points: Sequence[tuple[float, ...]]) -> KeyframePath:
    """A path from (frame, x, y[, size[, angle]]) of a sequence of so many frames."""
    return KeyframePath(tuple(Keyframe(key[0] / (frames - 1), *key[1:]) for key in points))


def _plain(_: Situation) -> SceneOptions:
    return SceneOptions()


def _several(_: Situation) -> SceneOptions:
    return SceneOptions(cast=(*(Actor(),) * 3, Actor(Role.DISTRACTOR)), target_side=(0.12, 0.24))


def _full_occlusion(_: Situation) -> SceneOptions:
    return SceneOptions(
        cast=(
            Actor(path=_path((0.0, 0.12, 0.5), (0.35, 0.3, 0.5), (0.75, 0.75, 0.5), (1, 0.9, 0.5))),
            Actor(Role.OCCLUDER, _path((0.0, 0.5, 0.5)), "cover"),
            Actor(Role.DISTRACTOR),
        ),
        target_side=(0.14, 0.2),
        zoom=1.1,
    )


def _exit_and_return(_: Situation) -> SceneOptions:
    away = ((0.4, 1.25, 0.5), (0.6, 1.25, 0.45))
    path = _path((0.0, 0.65, 0.5), (0.1, 0.7, 0.5), *away, (0.9, 0.7, 0.5), (1, 0.65, 0.5))
    return SceneOptions(
        cast=(Actor(path=path), Actor(Role.DISTRACTOR)), target_side=(0.14, 0.22), zoom=1.1
    )


def _twin_crossing(_: Situation) -> SceneOptions:
    return SceneOptions(
        cast=(
            Actor(path=_path((0.0, 0.2, 0.45), (1, 0.8, 0.5))),
            Actor(Role.DISTRACTOR, _path((0.0, 0.85, 0.55), (1, 0.15, 0.6)), "twin"),
        ),
        target_side=(0.16, 0.26),
    )


def _fast(_: Situation) -> SceneOptions:
    return SceneOptions(speed=1.2, wander=0.3, shutter=0.9, camera_shake=0.008)


def _flicker(_: Situation) -> SceneOptions:
    return SceneOptions(noise=14.0, light=0.35, contrast=0.15, defocus=1.2)


def _occlusion_frames(hidden: int) -> int:
    """Length of an occlusion's scenario: the block comes and goes in about 20 frames each."""
    return _LEAD + hidden + _AFTER + 2 * _WALK


def _occlusion(hidden: int) -> Callable[[Situation], SceneOptions]:
    """A block drives before the target, waits, and drives on; hidden in exactly so many frames."""

    def make(situation: Situation) -> SceneOptions:
        for speed in _COVER_SPEEDS:
            found = _timed_occlusion(situation, hidden, speed)
            if found is not None:
                return found
        raise RuntimeError(f"seed {situation.seed}: no block hides the target for {hidden} frames")

    return make


def _timed_occlusion(situation: Situation, hidden: int, speed: float) -> SceneOptions | None:
    """The occlusion by a block of this speed; None if it lasts longer even without a wait."""
    passage = _Passage(
        (situation.rng.uniform(0.4, 0.6), situation.rng.uniform(0.45, 0.55)),
        speed,
        mirrored=bool(situation.rng.random() < 0.5),
        frames=_occlusion_frames(hidden),
    )
    wait = float(hidden)
    # A frame more of waiting hides the target for a frame more: the second try is right, or,
    # where its outline changes, the third or fourth.
    for _ in range(_TRIES):
        options = passage.options(wait)
        stage = Stage(situation.seed, passage.frames, situation.size_wh, options, situation.props)
        counted = _hidden_frames(stage, round(passage.arrives + wait / 2), passage.frames - 1)
        if counted == hidden:
            return options
        wait += hidden - counted
        if wait < _LEAST_WAIT:
            return None
    return None


@dataclass(frozen=True)
class _Passage:
    """A block that comes from a side, waits before the target, and goes on.

    Attributes:
        place_xy: where it waits, shares of the image.
        speed: its own, image widths a frame.
        mirrored: whether it comes from the right.
        frames: length of the scenario.
    """

    place_xy: tuple[float, float]
    speed: float
    mirrored: bool
    frames: int

    @property
    def arrives(self) -> float:
        """Frame in which the block is before the target's place."""
        return _LEAD + (self.place_xy[0] - _BLOCK_WAY[0]) / self.speed

    def options(self, wait: float) -> SceneOptions:
        """The scene with a block that waits so many frames."""
        x, y = self.place_xy
        start, end = _BLOCK_WAY
        leaves = self.arrives + wait
        last = self.frames - 1
        block: Points = (
            (_LEAD, start, y),
            (self.arrives - 1, x - self.speed, y),
            (self.arrives, x, y),
            (leaves, x, y),
            (leaves + 1, x + self.speed, y),
            (leaves + (end - x) / self.speed, end, y),
        )
        # The target goes to its place, stands there while it is hidden, and goes on.
        target: Points = (
            (0, x - 0.12, y - 0.05),
            (self.arrives, x, y),
            (leaves, x, y),
            (last, x + 0.12, y + 0.05),
        )
        if self.mirrored:
            block, target = _mirrored(block), _mirrored(target)
        cast = (
            Actor(path=_framed(self.frames, target)),
            Actor(Role.OCCLUDER, _framed(self.frames, block), "cover", size=_COVER_SIZE),
            Actor(Role.DISTRACTOR),
        )
        return replace(_CALM, cast=cast)


def _hidden_frames(stage: Stage, middle: int, last: int) -> int:
    """How many frames around the middle one show nothing of the first target; 0 if that one does.

    The target is to be seen in frame 0 and in the last, and hidden once in between.
    """
    if stage.visible_share(middle)[1] > 0:
        return 0
    return _edge(stage, middle, last) - _edge(stage, middle, 0) - 1


def _edge(stage: Stage, hidden: int, visible: int) -> int:
    """The frame that shows the target and is the nearest such to a frame that hides it."""
    while abs(visible - hidden) > 1:
        between = (hidden + visible) // 2
        if stage.visible_share(between)[1] == 0:
            hidden = between
        else:
            visible = between
    return visible


def _mirrored(points: Sequence[tuple[float, ...]]) -> Points:
    return tuple((point[0], 1 - point[1], point[2]) for point in points)


def _exit(gone: int, *, other_border: bool) -> Callable[[Situation], SceneOptions]:
    """The target leaves on one side and comes back, there or on another one."""

    def make(situation: Situation) -> SceneOptions:
        rng = situation.rng
        frames = _exit_frames(gone)
        y = rng.uniform(0.4, 0.6)
        out = _LEAD + _WALK
        points: list[tuple[float, ...]] = [
            (0, 0.6, y),
            (_LEAD, 0.68, y),
            (out, 1 + _OFF_X, y),
        ]
        back = out + gone
        if not other_border:
            entrance = (1 + _OFF_X, y)
            inside = (0.68, y)
        elif rng.random() < 0.5:  # from above, or the opposite side; round the corner, unseen
            points.append((out + gone / 3, 1 + _OFF_X, -_OFF_Y))
            entrance, inside = (rng.uniform(0.3, 0.7), -_OFF_Y), (0.5, 0.45)
        else:
            points += [
                (out + gone / 4, 1 + _OFF_X, -_OFF_Y),
                (out + 3 * gone / 4, -_OFF_X, -_OFF_Y),
            ]
            entrance, inside = (-_OFF_X, y), (0.32, y)
        points += [(back, *entrance), (back + _WALK, *inside), (frames - 1, *inside)]
        path = _mirrored(points) if rng.random() < 0.5 else tuple(points)
        cast = (Actor(path=_framed(frames, path)), Actor(Role.DISTRACTOR))
        return replace(_CALM, cast=cast)

    return make


def _exit_frames(gone: int) -> int:
    return _LEAD + 2 * _WALK + gone + _AFTER


def _twin_passes(situation: Situation) -> SceneOptions:
    """The twin passes before or behind the target, close by."""
    rng = situation.rng
    offset = rng.uniform(0.02, 0.12)
    role = Role.OCCLUDER if rng.random() < 0.5 else Role.DISTRACTOR
    return replace(
        _CALM,
        cast=(
            Actor(path=_path((0.0, 0.25, 0.5), (1, 0.75, 0.5))),
            Actor(role, _path((0.0, 0.85, 0.5 + offset), (1, 0.15, 0.5 + offset)), "twin"),
        ),
    )


def _twin_remains(situation: Situation) -> SceneOptions:
    """The target leaves and comes back; its twin stays in sight all the time."""
    options = _exit(_EMPTY // 5, other_border=False)(situation)
    x = 0.25 if options.actors[0].path and options.actors[0].path.at(0).x > 0.5 else 0.75
    y = situation.rng.uniform(0.35, 0.65)
    twin = Actor(Role.DISTRACTOR, _path((0.0, x, y), (1, x + 0.08, y - 0.05)), "twin")
    return replace(options, cast=(options.actors[0], twin))


_SCALE_FRAMES = 110


def _scale(situation: Situation) -> SceneOptions:
    """The target grows, or shrinks, to four times or a quarter of its size."""
    first, last = (0.5, 2.0) if situation.rng.random() < 0.5 else (2.0, 0.5)
    path = _framed(
        _SCALE_FRAMES,
        (
            (0, 0.42, 0.5, first),
            (10, 0.43, 0.5, first),
            (_SCALE_FRAMES - 20, 0.57, 0.5, last),
            (_SCALE_FRAMES - 1, 0.58, 0.5, last),
        ),
    )
    return replace(_CALM, cast=(Actor(path=path), Actor(Role.DISTRACTOR)), zoom=1.0)


_LIGHT_FRAMES = 120


def _light(situation: Situation) -> SceneOptions:
    """The light goes down at once, comes back slowly, and goes up."""
    dark, bright = situation.rng.uniform(0.25, 0.4), situation.rng.uniform(1.4, 1.8)
    frames = ((0, 1.0), (30, 1.0), (33, dark), (60, dark), (75, 1.0), (90, bright), (119, bright))
    light = tuple((frame / (_LIGHT_FRAMES - 1), gain) for frame, gain in frames)
    path = _path((0.0, 0.3, 0.5), (1.0, 0.7, 0.45))
    return replace(
        _CALM, cast=(Actor(path=path), Actor(Role.DISTRACTOR)), light_path=light, light=0.05
    )


_JERK_FRAMES = 110
_JERK_TIMES = (30, 60, 85)


def _jerk(situation: Situation) -> SceneOptions:
    """The camera jumps three times within two frames each, by up to a quarter of the image."""
    rng = situation.rng
    view: list[tuple[float, ...]] = [(0, 0.5, 0.5)]
    side = 1.0 if rng.random() < 0.5 else -1.0
    for frame in _JERK_TIMES:
        x, y = 0.5 + side * rng.uniform(0.08, 0.13), 0.5 + rng.uniform(-0.08, 0.08)
        view += [(frame, *view[-1][1:]), (frame + 2, x, y)]
        side = -side
    path = _path((0.0, 0.45, 0.5), (1.0, 0.55, 0.5))
    cast = (Actor(path=path), Actor(Role.DISTRACTOR))
    return replace(_CALM, cast=cast, camera_path=_framed(_JERK_FRAMES, view))


def _look_alikes(situation: Situation) -> SceneOptions:
    """Two targets of the same look cross, one partly behind the other."""
    offset = situation.rng.uniform(0.04, 0.14) * (1 if situation.rng.random() < 0.5 else -1)
    first = _path((0.0, 0.2, 0.5), (1, 0.8, 0.5))
    second = _path((0.0, 0.8, 0.5 + offset), (1, 0.2, 0.5 + offset))
    return replace(_CALM, cast=(Actor(path=first), Actor(path=second, look="twin")))


SCENARIOS: dict[str, Scenario] = {
    "plain": Scenario("One target, two distractors, moderate motion.", _plain),
    "several": Scenario("Three targets, one distractor.", _several),
    "full_occlusion": Scenario("The target passes behind a block that stands.", _full_occlusion),
    "exit_and_return": Scenario(
        "The target leaves on the right for about a quarter of the time and comes back.",
        _exit_and_return,
    ),
    "twin_crossing": Scenario(
        "A look-alike comes from the other side and crosses behind the target.", _twin_crossing
    ),
    "fast": Scenario("Quick motion with long exposure.", _fast),
    "flicker": Scenario("Noise, flicker, low contrast.", _flicker),
    "occlusion_5": Scenario(
        "A block hides the target wholly for 5 frames.", _occlusion(5), _occlusion_frames(5)
    ),
    "occlusion_30": Scenario(
        "A block hides the target wholly for 30 frames.", _occlusion(30), _occlusion_frames(30)
    ),
    "occlusion_150": Scenario(
        "A block hides the target wholly for 150 frames.", _occlusion(150), _occlusion_frames(150)
    ),
    "other_border": Scenario(
        "The target leaves over one border and comes back over another.",
        _exit(_GONE, other_border=True),
        _exit_frames(_GONE),
    ),
    "empty_10s": Scenario(
        "The target leaves, the scene is empty for 10 s at 30 Hz, and it comes back.",
        _exit(_EMPTY, other_border=False),
        _exit_frames(_EMPTY),
    ),
    "twin_passes": Scenario(
        "A twin crosses the target's way, before it or behind it.", _twin_passes, 100
    ),
    "twin_remains": Scenario(
        "The target leaves and comes back, while its twin stays in sight.",
        _twin_remains,
        _exit_frames(_EMPTY // 5),
    ),
    "scale_4": Scenario(
        "The target grows to four times its size, or shrinks to a quarter.", _scale, _SCALE_FRAMES
    ),
    "light": Scenario(
        "The light falls to a third within three frames, comes back, and doubles nearly.",
        _light,
        _LIGHT_FRAMES,
    ),
    "camera_jerk": Scenario("The camera jumps three times.", _jerk, _JERK_FRAMES),
    "look_alikes": Scenario(
        "Two targets that look alike cross, one partly behind the other.", _look_alikes, 100
    ),
}
"""Ready-made scenarios by name."""

LIFE_SCENARIOS = (
    "occlusion_5",
    "occlusion_30",
    "occlusion_150",
    "other_border",
    "empty_10s",
    "twin_passes",
    "twin_remains",
    "scale_4",
    "light",
    "camera_jerk",
    "look_alikes",
)
"""Those that ask when a target is lost, back, or taken for another."""


def scenario(
    name: str,
    *,
    seed: int = 0,
    size_wh: tuple[int, int] = _SIZE_WH,
    props: Props | None = None,
    **changes: object,
) -> SceneOptions:
    """Options of a ready-made scenario (`SCENARIOS`), single ones changed.

    Scenarios of a target's life time what happens for the seed, size and looks that they are
    rendered with: give the same ones to `render_sequence`, and the scenario's own number of
    frames, or call `render_scenario`. Others do not depend on them.

    Args:
        name: of the scenario.
        seed: at least 0.
        size_wh: width and height in pixels.
        props: looks that are given.
        changes: options that differ.

    Raises:
        ValueError: unknown scenario, unknown option, or a value out of range.
    """
    known = _named(name)
    unknown = changes.keys() - SceneOptions.__dataclass_fields__.keys()
    if unknown:
        raise ValueError(f"unknown scene options: {', '.join(sorted(unknown))}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    rng = np.random.default_rng([seed, *name.encode()])
    options = known.make(Situation(rng, seed, size_wh, props or Props()))
    return replace(options, **changes)  # type: ignore[arg-type]


def render_scenario(
    name: str, seed: int, *, size_wh: tuple[int, int] = _SIZE_WH, props: Props | None = None
) -> Iterator[SceneFrame]:
    """Render a ready-made scenario in its own length; see `render_sequence`.

    The same seed gives other shapes, textures and places in another scenario.

    Raises:
        ValueError: unknown scenario, or an argument out of range.
    """
    known = _named(name)
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    own = int(np.random.default_rng([seed, *name.encode()]).integers(_SEEDS))
    options = scenario(name, seed=own, size_wh=size_wh, props=props)
    return render_sequence(own, frames=known.frames, size_wh=size_wh, options=options, props=props)


def _named(name: str) -> Scenario:
    if name not in SCENARIOS:
        raise ValueError(f"unknown scenario {name!r}, there are {', '.join(SCENARIOS)}")
    return SCENARIOS[name]
