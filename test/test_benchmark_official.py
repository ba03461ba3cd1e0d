# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official code in a benchmark.

A stand-in with its folders and names shows that a checkout is loaded without a trace and that
older libraries are seen. With SIAMMASK_OFFICIAL set to a real checkout, decisions are compared.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from siammask_ros.benchmark import OwnSubject, benchmark_subjects, random_network
from siammask_ros.benchmark.official import OfficialTracker
from siammask_ros.benchmark.subjects import OfficialSubject, SubjectNames
from siammask_ros.network import build_network
from siammask_ros.step_clock import StepClock

CPU = torch.device("cpu")
FILES = {
    "tools/__init__.py": "",
    "utils/__init__.py": "",
    "utils/pyvotkit/__init__.py": "",
    "utils/anchors.py": "NAME = 'theirs'\n",
    "tools/test.py": """
import numpy as np
import cv2
from utils.anchors import NAME
from utils.pyvotkit.region import vot_overlap, vot_float2str

assert NAME == "theirs"

class Settings:
    seg_thr = 0.25

def siamese_init(im, target_pos, target_sz, model, hp=None, device="cpu"):
    assert hp == {"lr": 1.0} and model.anchors == {"stride": 8}
    model.template(np.zeros(3, dtype=float))
    return {"p": Settings(), "net": model, "target_pos": target_pos, "target_sz": target_sz}

def siamese_track(state, im, mask_enable=False, refine_enable=False, device="cpu"):
    assert mask_enable and refine_enable
    score, mask = state["net"].track_mask(im)
    best = np.unravel_index(int(score), (5, 25, 25))
    refined = state["net"].track_refine((best[1], best[2]))
    assert cv2.__version__[-5] == "4"
    probability = np.full(im.shape[:2], -1).astype(np.float)
    probability[:2, :3] = 0.3
    state["target_pos"] = state["target_pos"] + 1.5
    state["mask"], state["score"] = probability, np.float32(0.75)
    return state
""",
    "experiments/siammask_sharp/config_davis.json": json.dumps(
        {"anchors": {"stride": 8}, "hp": {"lr": 1.0}}
    ),
    "experiments/siammask_sharp/custom.py": """
import torch

class Custom:
    anchor_num = 5

    def __init__(self, anchors):
        self.anchors = anchors

    def load_state_dict(self, weights, strict):
        assert strict
        self.names = list(weights)

    def eval(self):
        return self

    def to(self, device):
        return self

    def template(self, z):
        self.zf = object()

    def track_mask(self, x):
        return 2813, None

    def track_refine(self, pos):
        self.position = pos
""",
}


@pytest.fixture
def checkout(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "official" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "official"


@pytest.fixture(scope="module")
def network():
    return build_network("siammask_r50_refine").eval()


def test_it_is_loaded_without_a_trace(checkout, network, monkeypatch):
    kept = type(sys)("utils")
    monkeypatch.setitem(sys.modules, "utils", kept)
    path, modules = list(sys.path), set(sys.modules)
    OfficialTracker(checkout, network, "davis", CPU)
    assert sys.path == path
    assert sys.modules["utils"] is kept
    assert set(sys.modules) - modules == set()
    assert not hasattr(np, "float")
    assert cv2.__version__ != "4.0.0"
    assert not list(checkout.rglob("__pycache__"))


def test_a_step_tells_what_was_decided(checkout, network):
    tracker = OfficialTracker(checkout, network, "davis", CPU)
    image = np.zeros((40, 60, 3), np.uint8)
    first = tracker.initialize(image, (10, 20, 8, 4))
    second = tracker.initialize(image, (30, 10, 8, 4))
    for _ in range(2):  # the state is as it was
        clock = StepClock()
        result = tracker.track(image, first, clock)
        assert result.center_xy == (15.5, 23.5)
        assert result.size_wh == (8, 4)
        assert result.confidence == 0.75
        assert result.anchor_index == 2813
        assert result.mask.sum() == 6
        times = clock.take()
        assert times.upload == 0
        assert min(times.crop, times.network, times.choice, times.mask, times.paste) > 0
    model = tracker._network.model
    assert model.position == divmod(2813 % 625, 25)
    assert model.zf is first.exemplar_feature
    tracker.track(image, second)
    assert model.zf is second.exemplar_feature


def test_its_weights_have_its_names(checkout, network, shared_dir):
    tracker = OfficialTracker(checkout, network, "davis", CPU)
    keys = json.loads((shared_dir / "golden" / "keys_siammask_sharp.json").read_text())
    entries = keys["keys"] if isinstance(keys, dict) else keys
    assert set(tracker._network.model.names) == {entry[0] for entry in entries}


def test_what_it_lacks_is_named(tmp_path, checkout, network):
    with pytest.raises(ValueError, match="no compact, it has siammask_r50_refine"):
        OfficialTracker(checkout, build_network("compact"), "compact", CPU)
    with pytest.raises(ValueError, match="has no pysot, it has davis, vot, vot18"):
        OfficialTracker(checkout, network, "pysot", CPU)
    with pytest.raises(ValueError, match="is no checkout of foolwood/SiamMask"):
        OfficialTracker(tmp_path, network, "davis", CPU)
    (checkout / "utils" / "anchors.py").unlink()
    with pytest.raises(ValueError, match="cannot be imported"):
        OfficialTracker(checkout, network, "davis", CPU)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["siammask_r50_refine", "siammask_r50_base"])
def test_the_real_one_decides_the_same(name):
    checkout = os.environ.get("SIAMMASK_OFFICIAL")
    if not checkout:
        pytest.skip("SIAMMASK_OFFICIAL does not name a checkout of foolwood/SiamMask")
    network = random_network(name)
    official = OfficialTracker(Path(checkout), network, network.default_preset, CPU)
    subjects = [
        OwnSubject(network, names=SubjectNames(name, "own", "float32")),
        OfficialSubject(official, SubjectNames(name, "official code", "float32"), ""),
    ]
    report = benchmark_subjects(subjects, sizes=((320, 240),), targets=(2,), steps=1, warm_up=0)
    (agreement,) = report.agreements
    assert agreement.same_anchor == agreement.decisions == 24
    assert agreement.center_px < 0.05
    assert agreement.size_px < 0.05
    assert agreement.least_mask_iou > 0.995
