# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The published sets of the tracker's settings; `siammask_ros.tracker_config` says what each is."""

from __future__ import annotations

import math
from typing import Any

_VOT18_VALUES: dict[str, Any] = {
    "mask_threshold": 0.15,
    "change_penalty": 0.10,
    "window_influence": 0.41,
    "size_smoothing": 0.32,
}

_VOT_VALUES: dict[str, Any] = {
    "mask_threshold": 0.30,
    "change_penalty": 0.04,
    "window_influence": 0.42,
    "size_smoothing": 0.25,
}

_BASE_VALUES: dict[str, Any] = {
    "mask_threshold": 0.30,
    "change_penalty": 0.09,
    "window_influence": 0.39,
    "size_smoothing": 0.38,
}

_EXACT_VALUES: dict[str, Any] = {
    "crop_filter": "area",
    "mask_alignment": "exact",
    "mask_border_value": 0.0,
    "clamp_before_fallback": True,
}
"""Without the official code's half pixels: for networks that this package trained."""

_SIAMFC_SCALE_STEP = 1.0375
_SIAMFC_SCALE_PENALTY = 0.9745

PRESETS: dict[str, dict[str, Any]] = {
    "davis": {
        "mask_threshold": 0.35,
        "change_penalty": 0.04,
        "window_influence": 0.40,
        "size_smoothing": 1.00,
    },
    "vot": _VOT_VALUES,
    "vot18": _VOT18_VALUES,
    "base": _BASE_VALUES,
    "pysot": {
        **_VOT18_VALUES,
        "initial_center": "pysot",
        "crop_rounding": "half_up",
        "mask_border_value": 0.0,
        "clamp_before_fallback": True,
    },
    "siammask_pp": _BASE_VALUES,  # its code has the defaults of the official base tracker
    "compact": {
        "mask_threshold": 0.3,
        "change_penalty": 0.04,
        "window_influence": 0.25,
        "size_smoothing": 0.4,
        "mask_box_min_iou": 0.4,
        "reported_box": "mask",
        **_EXACT_VALUES,
    },
    # The paper, table 3: a network that was trained with masks reports its predicted box.
    "box": {**_VOT_VALUES, "masks": "none"},
    # The paper, section 3.3: threshold 0.5, and the mask's min-max box is the next reference.
    "two_branch": {
        "mask_threshold": 0.5,
        "mask_box_blend": 1.0,
        "mask_box_min_iou": 0.0,
        **_EXACT_VALUES,
    },
    # The values of SiamFC with three scales. Its penalty of a change of scale, a factor, is ours
    # at one step: exp(-(step - 1) * change_penalty).
    "siamfc": {
        "masks": "none",
        "scale_step": _SIAMFC_SCALE_STEP,
        "change_penalty": round(-math.log(_SIAMFC_SCALE_PENALTY) / (_SIAMFC_SCALE_STEP - 1), 3),
        "window_influence": 0.176,
        "size_smoothing": 0.59,
        **_EXACT_VALUES,
    },
}
"""Settings that differ from the defaults or that the source states, by preset name."""
