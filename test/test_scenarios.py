# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures of a target's life: on traces written by hand, and of trackers that know the truth."""

from __future__ import annotations

import csv
import functools
import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_data import write_davis

from siammask_ros import cli
from siammask_ros.evaluation.protocol import LabelledFrame
from siammask_ros.evaluation.scenario_clips import (
    DAVIS_EVENTS,
    CutOut,
    DavisClip,
    RenderedClip,
    background_shift,
    choose_clips,
    davis_clips,
    paint_out,
)
from siammask_ros.evaluation.scenario_report import (
    WorstClip,
    clips_csv,
    life_frames_csv,
    life_markdown,
    write_life,
)
from siammask_ros.evaluation.scenarios import (
    ClipLife,
    LifeFrame,
    ScenarioLife,
    TargetLife,
    judge,
    run_clip,
    run_scenarios,
)
from siammask_ros.geometry import Box, RotatedBox
from siammask_ros.longterm import TargetResult, TargetStatus
from siammask_ros.masks import ImageRegion
from siammask_ros.network import build_network, save_network
from siammask_ros.scenes import LIFE_SCENARIOS, SCENARIOS, SceneFrame, random_texture

REPOSITORY = Path(__file__).resolve().parent.parent
SMALL = (160, 120)
STATES = {"T": TargetStatus.TRACKING, "U": TargetStatus.UNCERTAIN, "L": TargetStatus.LOST}


def life(said, truth, *, target_id=1):
    """A trace from two lines of letters, one letter a frame.

    What is said: T, U, L, on the target where it is visible; t, u on something else; 2 TRACKING on
    target 2. The truth: # visible, / a fifth of it, . hidden.
    """
    frames = []
    shares = {"#": 1.0, "/": 0.2, ".": 0.0}
    for number, (letter, shown) in enumerate(zip(said, truth, strict=True), start=1):
        status = STATES["T" if letter == "2" else letter.upper()]
        good = letter in "TU" and shown != "."
        overlap = 0.8 if good else 0.0
        other = 2 if letter == "2" else 0
        frames.append(LifeFrame(number, status, 0.5, shares[shown], overlap, overlap, other))
    return TargetLife(target_id, tuple(frames))


def test_a_loss_is_measured_from_the_first_hidden_frame():
    gone = life("TTTTTTTTTTLLLLLLTT", "###............###")
    (vanishing,) = gone.vanishings
    assert vanishing == (4, 12, 7)
    assert vanishing.due
    assert vanishing.in_time
    assert gone.wrong_frames == 7
    late = life("TTT" + "U" * 11 + "LL", "###" + "." * 13)
    assert late.vanishings == ((4, 13, 11),)
    assert not late.vanishings[0].in_time
    assert late.wrong_frames == 0  # UNCERTAIN is not TRACKING
    assert late.reappearances == ()


def test_a_loss_that_is_said_before_nothing_is_left_is_said_at_once():
    assert life("TTLLLL", "##/...").vanishings[0].lost_after == 0
    assert life("TTLLLL", "##/...").false_lost_frames == 0  # a fifth is not visible
    assert life("TLLLLL", "##/...").false_lost_frames == 1


def test_a_short_occlusion_needs_no_loss():
    short = life("TTUUUUUTTT", "##.....###")
    assert short.vanishings == ((3, 5, None),)
    assert not short.vanishings[0].due
    assert short.reappearances == ((8, 5, 0),)
    scene = ScenarioLife("s", (ClipLife("s", "0", (short,)),))
    assert scene.lost_in_time == (0, 0)
    assert math.isnan(scene.lost_in_time.share)
    assert scene.clips[0].failures == 0


def test_a_return_is_measured_from_the_first_visible_frame():
    back = life("TLLLLLLLUT", "#....//###")
    assert back.reappearances == ((8, 4, 2),)
    early = life("TLLLLLTTTT", "#....//###")
    assert early.reappearances == ((8, 4, 0),)
    wrong = life("TLLLLLLttt", "#....//###")
    assert wrong.reappearances == ((8, 4, None),)
    assert not wrong.reappearances[0].in_time
    assert wrong.wrong_returns == 1
    assert wrong.wrong_frames == 3
    twice = life("TLLTTLLLTT", "#..##..###")
    assert twice.reappearances == ((4, 2, 0), (8, 2, 1))


def test_a_return_on_nothing_or_something_else_is_wrong():
    assert life("TLLTTLLUTT", "#........#").wrong_returns == 2
    assert life("TTTtttTTTT", "##########").wrong_returns == 0  # never said to be lost
    assert life("TTTtttTTTT", "##########").wrong_frames == 3


def test_waiting_for_a_return_is_no_false_loss():
    waiting = life("TTLLLLLLTTLLTT", "##...#########")
    assert waiting.false_lost_frames == 2
    assert waiting.false_losses == 1
    scene = ScenarioLife("s", (ClipLife("s", "0", (waiting,)),))
    assert scene.false_lost_per_1000 == pytest.approx(1000 * 2 / 11)
    never_away = life("TLLTTLLLT", "#########")
    assert (never_away.false_lost_frames, never_away.false_losses) == (5, 2)


def test_a_target_taken_for_another_is_a_switch():
    first, second = life("TT222TT", "#######"), life("TTTTTTT", "#######", target_id=2)
    assert first.id_switches == 1
    kept = ClipLife("s", "0", (second, replace(second, target_id=1)))
    taken = ClipLife("s", "1", (first, second))
    alone = ClipLife("s", "2", (second,))
    scene = ScenarioLife("s", (kept, taken, alone))
    assert scene.without_switch == (1, 2)
    assert taken.failures == 1
    assert max(scene.clips, key=lambda clip: clip.badness) is taken


def test_mean_similarity_counts_a_lost_target_as_nothing():
    assert life("TTLL", "####").region_similarity == pytest.approx(0.4)
    assert math.isnan(life("LL", "..").region_similarity)


@dataclass(frozen=True)
class Said:
    """A result that is a mask and its box."""

    mask: np.ndarray

    @property
    def box(self):
        return Box.from_mask(self.mask)

    @property
    def box_xywh(self):
        return self.box.xywh

    @property
    def corners(self):
        x, y, w, h = self.box_xywh
        return RotatedBox((x + w / 2, y + h / 2), (w, h), 0.0).corners

    @property
    def mask_roi(self):
        height, width = self.mask.shape
        return ImageRegion(0, 0, width, height)

    @property
    def mask_in_roi(self):
        return self.mask


class Oracle:
    """A follower that knows the truth: LOST when nothing is to be seen, else the true mask."""

    def __init__(self, clips):
        self.videos = iter([iter(list(clip.frames())) for clip in clips])

    def start_batch(self, targets):
        self.video = next(self.videos)
        first = next(self.video)
        assert [box for _, box in targets] == [box.xywh for box in first.boxes.values()]
        return list(first.masks)

    def step(self, targets):
        frame = next(self.video)
        assert all((image == frame.image_bgr).all() for image, _ in targets)
        return [(known, self.said(frame, known)) for _, known in targets]

    def said(self, frame, known):
        if not frame.masks[known].any():
            return TargetResult(TargetStatus.LOST, None, 0.1, 1)
        return TargetResult(TargetStatus.TRACKING, Said(frame.masks[known]), 0.9, 0)


class NeverLost(Oracle):
    """Follows the truth while there is one, and says TRACKING of a corner otherwise."""

    def said(self, frame, known):
        mask = frame.masks[known]
        if not mask.any():
            mask = np.zeros_like(mask)
            mask[:10, :10] = True
        return TargetResult(TargetStatus.TRACKING, Said(mask), 0.9, 0)


class Swapped(Oracle):
    """Swaps two targets from frame 50 on."""

    def said(self, frame, known):
        return super().said(frame, known if frame.index < 50 else 3 - known)


@dataclass(frozen=True)
class Kept:
    """A clip whose frames are kept, so that several tests may see them."""

    scenario: str
    name: str
    kept: tuple

    def __len__(self):
        return len(self.kept)

    def frames(self):
        return iter(self.kept)


@functools.cache
def clip(name):
    rendered = RenderedClip(name, 1, SMALL)
    return Kept(name, rendered.name, tuple(rendered.frames()))


def test_an_oracle_scores_perfectly():
    clips = [clip("occlusion_30"), clip("occlusion_5"), clip("other_border"), clip("look_alikes")]
    report = run_scenarios(clips, Oracle(clips), tracker_name="oracle")
    assert [scene.name for scene in report.scenarios] == [each.scenario for each in clips]
    for scene in report.scenarios:
        assert scene.clips[0].failures == 0
        assert scene.lost_in_time.met == scene.lost_in_time.of
        assert scene.returns_in_time.met == scene.returns_in_time.of
        assert scene.false_lost_per_1000 == scene.wrong_per_1000 == scene.wrong_returns == 0
        assert scene.region_similarity == 1
    hidden, short, gone, crossing = report.scenarios
    assert hidden.lost_in_time == (1, 1)
    assert short.lost_in_time == (0, 0)
    assert (hidden.lost_after, hidden.returned_after) == (0, 0)
    assert gone.returns_in_time == (1, 1)
    assert crossing.without_switch == (1, 1)
    assert len(hidden.targets[0].frames) == SCENARIOS["occlusion_30"].frames - 1


def test_a_tracker_that_never_says_lost_is_measured_as_such():
    clips = [clip("occlusion_30")]
    (scene,) = run_scenarios(clips, NeverLost(clips)).scenarios
    assert scene.lost_in_time == (0, 1)
    assert math.isnan(scene.lost_after)
    assert scene.returns_in_time == (1, 1)
    assert scene.returned_after == 0
    assert scene.targets[0].wrong_frames == 30
    assert scene.wrong_per_1000 == pytest.approx(1000 * 30 / (len(clips[0]) - 1))
    assert scene.false_lost_per_1000 == 0
    assert scene.clips[0].failures == 1


def test_swapped_targets_are_noticed():
    clips = [clip("look_alikes")]
    (scene,) = run_scenarios(clips, Swapped(clips)).scenarios
    assert scene.without_switch == (0, 1)
    assert all(target.id_switches >= 1 for target in scene.targets)


def test_a_frame_is_judged_by_box_and_mask():
    own, other = np.zeros((2, 40, 60), bool)
    own[10:20, 10:30] = True
    other[25:35, 40:60] = True
    frame = SceneFrame(
        7, 0.1, np.zeros((40, 60, 3), np.uint8), {1: own, 2: other}, {1: 0.7, 2: 1.0}
    )
    half = np.zeros_like(own)
    half[10:20, 10:20] = True

    def judged(mask, target_id=1):
        result = TargetResult(TargetStatus.TRACKING, Said(mask), 0.6, 0)
        return judge(frame, target_id, result)

    assert judged(half) == (7, TargetStatus.TRACKING, 0.6, 0.7, 0.5, 0.5, 0)
    assert not judged(half).followed
    assert judged(own).followed
    assert judged(other).other == 2
    assert judged(other).elsewhere
    assert judged(own, 2).other == 1
    lost = judge(frame, 1, TargetResult(TargetStatus.LOST, None, 0.2, 5))
    assert lost.lost
    assert not lost.elsewhere


@dataclass(frozen=True)
class Striped:
    """A labelled video: a red disc that goes over grey texture."""

    name: str = "striped"
    length: int = 20

    def __len__(self):
        return self.length

    def frame(self, index):
        image = random_texture(np.random.default_rng(5), (120, 80), contrast=0.2)
        disc = np.zeros((80, 120), np.uint8)
        cv2.circle(disc, (20 + 2 * index, 40), 12, 1, -1)
        image[disc > 0] = (0, 0, 255)
        return LabelledFrame(image, disc > 0)


def redness(image, mask):
    return (image[mask].astype(int) @ (-1, -1, 2)).mean()


def test_a_gap_is_black_and_the_video_goes_on_after_it():
    made = DavisClip(Striped(), "gap", gap_frames=6)
    frames = list(made.frames())
    assert len(made) == len(frames) == 26
    assert (made.scenario, made.name, made.gap_start) == ("davis_gap", "striped", 8)
    for index, frame in enumerate(frames):
        assert frame.index == index
        in_gap = 8 <= index < 14
        assert frame.visible_share[1] == (0.0 if in_gap else 1.0)
        assert frame.image_bgr.any() == frame.masks[1].any() == (not in_gap)
    source = Striped().frame(8)
    assert (frames[14].image_bgr == source.image_bgr).all()
    assert (frames[14].masks[1] == source.mask).all()


def test_a_target_is_painted_out_while_the_video_goes_forwards_and_back():
    made = DavisClip(Striped(), "painted_out", gap_frames=6)
    frames = list(made.frames())
    assert len(made) == len(frames) == 26
    for index, source in zip(range(8, 14), (8, 9, 10, 10, 9, 8), strict=True):
        original = Striped().frame(source)
        painted = frames[index]
        assert not painted.masks[1].any()
        assert redness(original.image_bgr, original.mask) == 510
        assert redness(painted.image_bgr, original.mask) < 150
        far = cv2.dilate(original.mask.astype(np.uint8), np.ones((15, 15))) == 0
        assert (painted.image_bgr[far] == original.image_bgr[far]).all()
    assert frames[13].masks[1].sum() == 0
    assert frames[14].masks[1].any()


def test_plain_video_stays_as_it_is():
    frames = list(DavisClip(Striped()).frames())
    assert len(frames) == 20
    assert all((f.image_bgr == Striped().frame(f.index).image_bgr).all() for f in frames)
    assert [each.event for each in davis_clips([Striped()])] == list(DAVIS_EVENTS)


def test_nothing_to_paint_out_changes_nothing():
    image = Striped().frame(0).image_bgr
    painted = paint_out(image, np.zeros(image.shape[:2], bool))
    assert (painted == image).all()
    assert painted is not image


def test_a_hole_is_filled_with_the_background_around_it():
    """A stripe pattern is continued, by whole periods; the outline of what was there is gone."""
    image = np.zeros((160, 240, 3), np.uint8)
    image[:] = np.where(np.arange(240) // 20 % 2, 200, 60)[None, :, None]
    truth = image.copy()
    disc = np.zeros((160, 240), np.uint8)
    cv2.circle(disc, (110, 80), 20, 1, -1)
    image[disc > 0] = (0, 0, 255)
    shift_x, shift_y = background_shift(image, disc > 0)
    assert max(abs(shift_x), abs(shift_y)) >= 40
    assert shift_x % 40 == 0
    difference = np.abs(paint_out(image, disc > 0).astype(int) - truth)
    assert difference.mean() < 1
    assert np.percentile(difference[disc > 0], 90) < 40


def test_a_target_as_large_as_the_image_is_painted_over_too():
    image = random_texture(np.random.default_rng(1), (64, 48))
    mask = np.ones((48, 64), bool)
    assert background_shift(image, mask) is None
    assert paint_out(image, mask).shape == image.shape


@pytest.mark.parametrize("changes", [{"event": "fog"}, {"gap_frames": 0}])
def test_bad_clips_are_refused(changes):
    with pytest.raises(ValueError, match=r"fog|got 0"):
        DavisClip(Striped(), **changes)


def test_a_rendered_clip_can_show_real_things():
    plain = RenderedClip("twin_passes", 0, SMALL)
    real = replace(plain, looks=CutOut(Striped(), Striped()))
    assert (plain.name, real.name) == ("0", "0-striped")
    assert len(plain) == len(real) == SCENARIOS["twin_passes"].frames
    first = next(real.frames())
    inner = cv2.erode(first.masks[1].astype(np.uint8), np.ones((5, 5))) > 0
    assert redness(first.image_bgr, inner) > 350
    assert not (next(plain.frames()).image_bgr == first.image_bgr).all()


def test_clips_are_chosen_by_name():
    names = [(each.scenario, each.name) for each in choose_clips(["light", "scale_4"], 2)]
    assert names == [("light", "0"), ("light", "1"), ("scale_4", "0"), ("scale_4", "1")]
    later = choose_clips(["light"], 2, first_seed=5)
    assert [each.name for each in later] == ["5", "6"]
    assert {each.scenario for each in choose_clips([], 1)} == set(LIFE_SCENARIOS)
    both = choose_clips([], 1, [Striped()])
    assert {each.scenario for each in both[len(LIFE_SCENARIOS) :]} == {
        f"davis_{event}" for event in DAVIS_EVENTS
    }
    (gap,) = choose_clips(["davis_gap"], 3, [Striped()])
    assert gap.name == "striped"
    pair = [Striped(), Striped("other")]
    assert [each.name for each in choose_clips(["light"], 3, pair, cut_outs=True)] == [
        "0-striped",
        "1-other",
        "2-striped",
    ]


@pytest.mark.parametrize(
    ("wanted", "seeds", "sequences", "words"),
    [
        (["fog"], 1, [], "fog"),
        (["davis_gap"], 1, [], "need a DAVIS folder"),
        ([], 0, [], "no clips"),
        (["light"], 1, [Striped()], "two sequences"),
    ],
)
def test_clips_that_cannot_be_made_are_refused(wanted, seeds, sequences, words):
    with pytest.raises(ValueError, match=words):
        choose_clips(wanted, seeds, sequences, cut_outs=bool(sequences))


def test_the_page_names_every_scenario_and_its_length():
    page = (REPOSITORY / "docs" / "scenarios.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (\d+) \|$", page, re.MULTILINE))
    assert {name: int(frames) for name, frames in rows.items()} == {
        name: SCENARIOS[name].frames for name in LIFE_SCENARIOS
    }
    for event in DAVIS_EVENTS:
        assert f"| `davis_{event}` |" in page


def test_the_command_follows_real_video(tmp_path, capsys):
    write_davis(tmp_path / "davis", frames=4)
    torch.manual_seed(0)
    weights = tmp_path / "random.pth"
    save_network(build_network("compact"), weights, metadata={})
    options = ["--davis", tmp_path / "davis", "--sequences", "first", "--weights", weights]
    out = tmp_path / "report"
    assert command("--scenario", "davis_plain", "--threads", 1, *options, "--output", out) == 0
    assert "| davis_plain | 1 |" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        "frames.csv",
        "scenarios.csv",
        "scenarios.json",
        "scenarios.md",
        "worst.png",
    ]
    assert len(list(csv.DictReader((out / "frames.csv").open()))) == 3
    assert command("--scenario", "fog") == 2
    assert "fog" in " ".join(capsys.readouterr().err.split())
    assert command("--scenario", "davis_gap") == 2
    assert command("--davis", tmp_path / "nowhere") == 2


def command(*arguments):
    """Exit status of `siammask eval scenarios` in this process."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["eval", "scenarios", *map(str, arguments)])
    return caught.value.code or 0


@dataclass(frozen=True)
class Hidden:
    """A clip whose target is not to be seen at first, or that has one frame."""

    share: float
    scenario: str = "s"
    name: str = "0"

    def __len__(self):
        return 1

    def frames(self):
        mask = np.full((20, 30), self.share > 0)
        image = np.zeros((20, 30, 3), np.uint8)
        yield SceneFrame(0, 0.0, image, {1: mask}, {1: self.share})


def test_bad_runs_are_refused():
    for share, words in ((0.0, r"targets \[1\] are hidden"), (1.0, "one frame only")):
        with pytest.raises(ValueError, match=words):
            run_clip(Hidden(share), Oracle([Hidden(share)]))
    with pytest.raises(ValueError, match="no clips"):
        run_scenarios([], Oracle([]))
    with pytest.raises(ValueError, match="twice"):
        run_scenarios([RenderedClip("plain", 0)] * 2, Oracle([]))


def test_a_report_holds_what_was_measured(tmp_path):
    clips = [clip("occlusion_30"), DavisClip(Striped(), "gap", 12)]
    worst, seen = WorstClip(), []
    report = run_scenarios(
        clips,
        NeverLost(clips),
        tracker_name="stubborn",
        on_frame=worst.on_frame,
        on_clip=lambda each: (seen.append(each.scenario), worst.on_clip(each)),
    )
    assert seen == ["occlusion_30", "davis_gap"]
    assert report.worst.scenario == "occlusion_30"
    paths = write_life(tmp_path / "report", report, worst.sheet())
    assert [path.name for path in paths] == [
        "scenarios.md",
        "scenarios.csv",
        "scenarios.json",
        "frames.csv",
        "worst.png",
    ]
    text = life_markdown(report)
    assert "stubborn" in text
    assert "| occlusion_30 | 1 | 0 of 1 | - | 0.0 | 0 | 1 of 1 | 0 | 0 | - |" in text
    rows = list(csv.DictReader(clips_csv(report).splitlines()))
    assert [(row["scenario"], row["hidden_frames"], row["lost_after"]) for row in rows] == [
        ("occlusion_30", "30", "never"),
        ("davis_gap", "12", "never"),
    ]
    frames = list(csv.DictReader(life_frames_csv(report).splitlines()))
    assert len(frames) == sum(len(each) - 1 for each in clips)
    assert {row["status"] for row in frames} == {"TRACKING"}
    content = json.loads((tmp_path / "report/scenarios.json").read_text())
    assert content["scenarios"][0]["lost_in_time"] == {"met": 0, "of": 1}
    assert content["scenarios"][1]["clips"][0]["targets"][0]["wrong_frames"] == 12
    sheet = cv2.imread(str(tmp_path / "report/worst.png"))
    assert sheet.shape[1] > 1600
    assert sheet.std() > 10


def test_a_sheet_needs_a_clip():
    with pytest.raises(ValueError, match="no clip"):
        WorstClip().sheet()
