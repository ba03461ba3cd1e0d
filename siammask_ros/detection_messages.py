# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What messages of detectors say, whichever library the messages are of."""

from __future__ import annotations

import math
from typing import Any

from siammask_ros.geometry import Box
from siammask_ros.handover import Detection


def read_detections(message: Any) -> list[Detection]:  # noqa: ANN401 - of many classes
    """The boxes of a `siammask_msgs/TargetBoxArray` or a `vision_msgs/Detection2DArray`.

    A turned box becomes the upright one around it. Of several hypotheses the best counts; a box
    without any hypothesis has no label, and one without a score counts as certain, with 1.

    Raises:
        ValueError: a number is not finite, or there are not as many scores as boxes.
    """
    found = (
        [_of_vision_msgs(entry) for entry in message.detections]
        if hasattr(message, "detections")
        else _of_siammask_msgs(message)
    )
    for detection in found:
        if not all(map(math.isfinite, (*detection.box.xywh, detection.score))):
            raise ValueError(f"a detection is not finite: {detection}")
    return found


def _of_siammask_msgs(message: Any) -> list[Detection]:  # noqa: ANN401
    scores = message.scores if len(message.scores) else [1.0] * len(message.boxes)
    if len(scores) != len(message.boxes):
        raise ValueError(f"there are {len(message.boxes)} boxes and {len(scores)} scores")
    return [
        Detection(Box(box.x, box.y, box.width, box.height), box.label, float(score))
        for box, score in zip(message.boxes, scores, strict=True)
    ]


def _of_vision_msgs(entry: Any) -> Detection:  # noqa: ANN401
    center = entry.bbox.center
    position = getattr(center, "position", center)  # since release 4; before it was a Pose2D
    width, height = entry.bbox.size_x, entry.bbox.size_y
    cosine, sine = abs(math.cos(center.theta)), abs(math.sin(center.theta))
    size_wh = (width * cosine + height * sine, width * sine + height * cosine)
    box = Box.from_center((position.x, position.y), size_wh)
    # Since release 3 a result holds a hypothesis; before it was one.
    hypotheses = [getattr(result, "hypothesis", result) for result in entry.results]
    if not hypotheses:
        return Detection(box, "", 1.0)
    not_finite = [each for each in hypotheses if not math.isfinite(each.score)]
    best = max(not_finite or hypotheses, key=lambda each: float(each.score))
    label = best.class_id if hasattr(best, "class_id") else best.id  # the same since release 3
    return Detection(box, str(label), float(best.score))
