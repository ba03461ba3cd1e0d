# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node `target_localizer` reports on /diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from siammask_ros.frames import MILLISECONDS_PER_SECOND
from siammask_ros.localization.localizer import Source
from siammask_ros.ros.localizer_messages import PlacedTarget
from siammask_ros.target_status import TargetStatus

LOCALIZER_NAME = "target_localizer"


def localizer_status(state: str, *, fault: str) -> DiagnosticStatus:
    """The entry of the node itself.

    Args:
        state: lifecycle state.
        fault: why it could not be configured, or empty.
    """
    level, message = DiagnosticStatus.OK, "active"
    if fault:
        level, message = DiagnosticStatus.ERROR, fault
    elif state != "active":
        level, message = DiagnosticStatus.WARN, f"not locating: {state}"
    return DiagnosticStatus(
        level=level, name=f"{LOCALIZER_NAME}: node", message=message, values=_values(state=state)
    )


def inputs_status(
    received: Mapping[str, int], counts: Mapping[str, int], ages_s: Sequence[float], silence: str
) -> DiagnosticStatus:
    """The entry of what it reads.

    Args:
        received: messages by topic.
        counts: images, and what was missing of them.
        ages_s: of the images of the last period, when their targets were published.
        silence: why something does not come; empty where it does.
    """
    latency_ms = float(np.median(ages_s)) * MILLISECONDS_PER_SECOND if ages_s else 0.0
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if silence else DiagnosticStatus.OK,
        name=f"{LOCALIZER_NAME}: inputs",
        message=silence or f"{len(ages_s)} images in the last second",
        values=_values(
            rotated_boxes=received["rotated_boxes"],
            label_image=received["label_image"],
            depth=received["depth/image"] + received["points"],
            odometry=received["odometry"],
            images=counts["images"],
            without_mask=counts["without_mask"],
            without_depth=counts["without_depth"],
            time_jumps=counts["time_jumps"],
            latency_ms=f"{latency_ms:.1f}",
        ),
    )


def target_status(target: PlacedTarget) -> DiagnosticStatus:
    """The entry of one target: where it is, or why that is not known."""
    located = target.located
    state = TargetStatus(target.box.state)
    distance_m = 0.0 if located.position is None else float(np.linalg.norm(located.position))
    followed = state in (TargetStatus.TRACKING, TargetStatus.UNCERTAIN)
    message = f"{distance_m:.2f} m away, by {located.source.name}"
    if located.position is None:
        message = f"no position: {located.reason}"
    elif located.reason:
        message = f"{message}: {located.reason}"
    sure = located.source in (Source.DEPTH, Source.POINTS, Source.GROUND)
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if followed and not sure else DiagnosticStatus.OK,
        name=f"{LOCALIZER_NAME}: target {located.target_id}",
        message=message,
        values=_values(
            target_state=state.name,
            source=located.source.name,
            distance_m=f"{distance_m:.3f}",
            samples=located.samples,
            holes=f"{located.holes:.2f}",
            age_s=f"{located.age_s:.2f}",
        ),
    )


def _values(**values: object) -> list[KeyValue]:
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]
