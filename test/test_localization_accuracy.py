# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The target of the simulated world, found within what is promised."""

from __future__ import annotations

import numpy as np
import pytest
from localizer_accuracy import measure

from siammask_ros.localization.localizer import Source


@pytest.mark.parametrize(
    "options", [{"smoothing": False}, {"smoothing": False, "grow_px": 0}, {}, {"fixed": True}]
)
def test_depth_and_bearing_in_the_simulated_world(options):
    """Depth within 3 %, direction within half a degree."""
    errors = measure(until_s=4.0, rate=6.0, **options)
    assert len(errors) > 20
    assert {error.source for error in errors} <= {Source.DEPTH, Source.PREDICTED}
    assert np.max(np.abs([error.depth for error in errors])) < 0.03
    assert np.max(np.abs([error.azimuth for error in errors])) < 0.5
    assert np.max([error.bearing for error in errors]) < 0.5


def test_in_a_fixed_frame_the_target_s_own_velocity_is_known():
    errors = measure(until_s=5.0, rate=8.0, fixed=True)
    assert np.median([error.velocity for error in errors[10:]]) < 0.25
