# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures of a target's life as Markdown, CSV and JSON, and the worst clip as a picture."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from siammask_ros.drawing import (
    OverlayItem,
    SheetSection,
    contact_sheet,
    draw_overlay,
    evenly_spaced,
)
from siammask_ros.evaluation.scenarios import (
    LOST_WITHIN,
    ON_TARGET,
    RETURN_WITHIN,
    VISIBLE_FROM,
    InTime,
)
from siammask_ros.files import csv_table, markdown_table, write_whole
from siammask_ros.pictures import write_png

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from siammask_ros.drawing import Image
    from siammask_ros.evaluation.scenario_clips import LifeClip
    from siammask_ros.evaluation.scenarios import ClipLife, LifeReport, ScenarioLife, TargetLife
    from siammask_ros.longterm import TargetResult
    from siammask_ros.scenes import SceneFrame

SHEET_FRAMES = 12
SHEET_COLUMNS = 4
CELL_WIDTH = 400
_JPEG_QUALITY = 90
_TRUTH_COLOUR = (255, 255, 255)
_CLIP_COLUMNS = (
    "scenario",
    "clip",
    "target",
    "frames",
    "visible_frames",
    "vanishings",
    "hidden_frames",
    "lost_after",
    "returned_after",
    "false_lost_frames",
    "false_losses",
    "wrong_returns",
    "wrong_frames",
    "id_switches",
    "J",
)
_FRAME_COLUMNS = (
    "scenario",
    "clip",
    "target",
    "frame",
    "status",
    "confidence",
    "visible_share",
    "box_iou",
    "J",
    "other",
)


def life_markdown(report: LifeReport) -> str:
    """The table of scenarios, and how to read it."""
    rows = [_row(scenario) for scenario in report.scenarios]
    header = (
        "scenario",
        "clips",
        f"LOST within {LOST_WITHIN}",
        "LOST after",
        "false LOST / 1,000",
        "false losses",
        f"back within {RETURN_WITHIN}",
        "back after",
        "wrong returns",
        "no id switch",
        "wrong / 1,000",
        "J",
    )
    return (
        f"# A target's life: {report.tracker}\n\n"
        f"{markdown_table(header, rows)}\n"
        "LOST within, back within: how many of how many, in frames; after: the median of those "
        "that happened. False LOST: frames said to be LOST of 1,000 that show more than "
        f"{VISIBLE_FROM:.0%} of the target, without those in which its return is waited for. Back: "
        f"TRACKING under the old id with a box IoU over {ON_TARGET}. Wrong: frames of 1,000 said "
        "to be TRACKING on something else, or on nothing. J: mean over the frames that show the "
        f"target. The worst clip: {report.worst.scenario} {report.worst.name}.\n"
    )


def _row(scenario: ScenarioLife) -> tuple[str, ...]:
    return (
        scenario.name,
        str(len(scenario.clips)),
        _of(scenario.lost_in_time),
        _number(scenario.lost_after, 0),
        _number(scenario.false_lost_per_1000, 1),
        str(scenario.false_losses),
        _of(scenario.returns_in_time),
        _number(scenario.returned_after, 0),
        str(scenario.wrong_returns),
        _of(scenario.without_switch),
        _number(scenario.wrong_per_1000, 1),
        _number(scenario.region_similarity, 3),
    )


def _of(count: InTime) -> str:
    return f"{count.met} of {count.of}" if count.of else "-"


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def clips_csv(report: LifeReport) -> str:
    """One row a clip and target; several losses and returns are separated by spaces."""
    rows = (
        _clip_row(clip, target)
        for scenario in report.scenarios
        for clip in scenario.clips
        for target in clip.targets
    )
    return csv_table(_CLIP_COLUMNS, rows)


def _clip_row(clip: ClipLife, target: TargetLife) -> tuple[object, ...]:
    return (
        clip.scenario,
        clip.name,
        target.target_id,
        len(target.frames),
        target.visible_frames,
        len(target.vanishings),
        _listed([each.frames for each in target.vanishings]),
        _listed([each.lost_after for each in target.vanishings]),
        _listed([each.returned_after for each in target.reappearances]),
        target.false_lost_frames,
        target.false_losses,
        target.wrong_returns,
        target.wrong_frames,
        target.id_switches,
        target.region_similarity,
    )


def _listed(values: Sequence[int | None]) -> str:
    return " ".join("never" if value is None else str(value) for value in values)


def life_frames_csv(report: LifeReport) -> str:
    """The traces: one row a clip, target and frame."""
    rows = (
        (
            clip.scenario,
            clip.name,
            target.target_id,
            frame.frame,
            frame.status.name,
            frame.confidence,
            frame.visible_share,
            frame.box_iou,
            frame.region_similarity,
            frame.other or "",
        )
        for scenario in report.scenarios
        for clip in scenario.clips
        for target in clip.targets
        for frame in target.frames
    )
    return csv_table(_FRAME_COLUMNS, rows)


def life_json(report: LifeReport) -> str:
    """The table of scenarios and the clips, for programs; what is not known is null."""
    content = {
        "tracker": report.tracker,
        "lost_within_frames": LOST_WITHIN,
        "return_within_frames": RETURN_WITHIN,
        "scenarios": [_scenario_json(scenario) for scenario in report.scenarios],
        "worst": {"scenario": report.worst.scenario, "clip": report.worst.name},
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _scenario_json(scenario: ScenarioLife) -> dict[str, object]:
    return {
        "name": scenario.name,
        "lost_in_time": scenario.lost_in_time._asdict(),
        "lost_after": _known(scenario.lost_after),
        "false_lost_per_1000": _known(scenario.false_lost_per_1000),
        "false_losses": scenario.false_losses,
        "returns_in_time": scenario.returns_in_time._asdict(),
        "returned_after": _known(scenario.returned_after),
        "wrong_returns": scenario.wrong_returns,
        "without_switch": scenario.without_switch._asdict(),
        "wrong_per_1000": _known(scenario.wrong_per_1000),
        "region_similarity": _known(scenario.region_similarity),
        "clips": [_clip_json(clip) for clip in scenario.clips],
    }


def _clip_json(clip: ClipLife) -> dict[str, object]:
    return {
        "name": clip.name,
        "failures": clip.failures,
        "targets": [
            {
                "id": target.target_id,
                "vanishings": [each._asdict() for each in target.vanishings],
                "reappearances": [each._asdict() for each in target.reappearances],
                "false_lost_frames": target.false_lost_frames,
                "false_losses": target.false_losses,
                "wrong_returns": target.wrong_returns,
                "wrong_frames": target.wrong_frames,
                "id_switches": target.id_switches,
                "region_similarity": _known(target.region_similarity),
            }
            for target in clip.targets
        ],
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def write_life(
    folder: str | os.PathLike[str], report: LifeReport, sheet: Image | None = None
) -> list[Path]:
    """Write scenarios.md, scenarios.csv, scenarios.json, frames.csv and, if given, worst.png."""
    base = Path(folder)
    written = [
        write_whole(base / "scenarios.md", life_markdown(report)),
        write_whole(base / "scenarios.csv", clips_csv(report)),
        write_whole(base / "scenarios.json", life_json(report)),
        write_whole(base / "frames.csv", life_frames_csv(report)),
    ]
    if sheet is not None:
        written.append(write_png(base / "worst.png", sheet))
    return written


class _Shown(NamedTuple):
    """A frame as it is kept for the sheet."""

    frame: int
    jpeg: NDArray[np.uint8]
    caption: str


class WorstClip:
    """Keeps pictures of the worst clip of a run: hand its methods to `run_scenarios`."""

    def __init__(self) -> None:
        self._present: list[_Shown] = []
        self._worst: tuple[ClipLife, list[_Shown]] | None = None

    def on_frame(
        self, _clip: LifeClip, frame: SceneFrame, results: dict[int, TargetResult]
    ) -> None:
        """Draw what is said of a frame, with the true outlines."""
        overlay = draw_overlay(frame.image_bgr, [_item(k, said) for k, said in results.items()])
        for mask in frame.masks.values():
            outlines, _ = cv2.findContours(
                mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
            )
            cv2.drawContours(overlay, outlines, -1, _TRUTH_COLOUR, 1)
        height, width = overlay.shape[:2]
        size_wh = (CELL_WIDTH, max(1, round(height * CELL_WIDTH / width)))
        small = cv2.resize(overlay, size_wh, interpolation=cv2.INTER_AREA)
        _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        words = "  ".join(
            f"#{known} {said.status.name.lower()} {said.confidence:.2f}"
            for known, said in results.items()
        )
        self._present.append(_Shown(frame.index, jpeg, f"{frame.index}: {words}"))

    def on_clip(self, life: ClipLife) -> None:
        """Keep the clip that has ended, if it is the worst so far."""
        if self._worst is None or life.badness > self._worst[0].badness:
            self._worst = life, self._present
        self._present = []

    def sheet(self) -> Image:
        """The worst clip: frames in which something happens, and some between.

        Raises:
            ValueError: no clip has ended.
        """
        if self._worst is None:
            raise ValueError("no clip has ended yet")
        life, shown = self._worst
        first = shown[0].frame
        telling = sorted({min(max(f - first, 0), len(shown) - 1) for f in _telling_frames(life)})
        chosen = [telling[i] for i in evenly_spaced(len(telling), SHEET_FRAMES)]
        for index in evenly_spaced(len(shown), SHEET_FRAMES):
            if len(chosen) < SHEET_FRAMES and index not in chosen:
                chosen.append(index)
        picked = [shown[index] for index in sorted(chosen)]
        section = SheetSection(
            f"{life.scenario} {life.name}",
            [np.asarray(cv2.imdecode(each.jpeg, cv2.IMREAD_COLOR), np.uint8) for each in picked],
            [each.caption for each in picked],
            f"{life.failures} failures; white: true outline",
        )
        return contact_sheet([section], columns=SHEET_COLUMNS, cell_width=CELL_WIDTH)


def _telling_frames(life: ClipLife) -> list[int]:
    """Numbers of the frames in which a target vanishes, is said to be lost, comes back, ..."""
    told = []
    for target in life.targets:
        for gone in target.vanishings:
            told += [gone.frame - 1, gone.frame, gone.frame + (gone.lost_after or gone.frames)]
        for back in target.reappearances:
            told += [back.frame, back.frame + (back.returned_after or RETURN_WITHIN)]
        for before, after in zip(target.frames, target.frames[1:], strict=False):
            if before.status != after.status or (after.elsewhere and not before.elsewhere):
                told.append(after.frame)
    return told


def _item(target_id: int, said: TargetResult) -> OverlayItem:
    result = said.result
    return OverlayItem(
        target_id,
        int(said.status),
        said.confidence,
        corners=None if result is None else result.corners,
        mask=None if result is None else result.mask_in_roi,
        mask_roi=None if result is None else result.mask_roi,
        age=said.age,
    )
