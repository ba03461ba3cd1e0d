# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of parameters, and the files of defaults against them."""

from __future__ import annotations

from array import array
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from siammask_ros.longterm import LongTermConfig
from siammask_ros.ros.follower_parameters import FollowerSettings
from siammask_ros.ros.localizer_parameters import LocalizerSettings
from siammask_ros.ros.parameter_table import Changes, typed_value
from siammask_ros.ros.parameters import Settings

CONFIG = Path(__file__).parents[2] / "config"
TABLES = {
    "tracker": Settings, "localizer": LocalizerSettings, "follower": FollowerSettings,
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_the_file_of_defaults_is_the_table(name):
    values = yaml.safe_load((CONFIG / f"{name}.yaml").read_text())["/**"]["ros__parameters"]
    table = {entry.name: entry.default for entry in fields(TABLES[name])}
    assert {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()} == table
    for key, value in values.items():
        assert isinstance(value, list if isinstance(table[key], tuple) else type(table[key]))


@pytest.mark.parametrize("table", TABLES.values())
def test_every_parameter_is_described(table):
    for name, rule in table.rules().items():
        assert rule.description.endswith("."), name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"device": "gpu"}, "device must be.*'gpu'"),
        ({"device": "cuda:x"}, "'cuda:x'"),
        ({"weights": ""}, "weights is empty"),
        ({"processing": "fast"}, "processing must be one of realtime, every_frame, got 'fast'"),
        ({"preset": "siam"}, "preset must be one of.*'siam'"),
        ({"cameras": ("left", "left")}, "two cameras have the name 'left'"),
        ({"cameras": ("1st",)}, "'1st' is not a valid ROS name"),
        ({"overlay_scale": 2.0}, "overlay_scale must be 0.05 to 1, got 2.0"),
        ({"overlay_scale": float("nan")}, "got nan"),
        ({"lost_below": 0.9}, "lost_below"),
        ({"mask_threshold": 1.0}, "mask_threshold"),
        ({"box_fit": "ellipse"}, "box_fit must be one of auto, .*'ellipse'"),
        ({"masks": "fine"}, "masks must be one of auto, best, coarse, none, got 'fine'"),
        ({"threads": -1}, "threads must be 0 to 256, got -1"),
        ({"size_smoothing": -0.1}, "size_smoothing must be 0 or more, or -1 .*got -0.1"),
        ({"camera_info": "a b"}, "camera_info must be auto, none or a topic, got 'a b'"),
        ({"camera_info": ""}, "camera_info must be auto, none or a topic, got ''"),
        (
            {"camera_info": "/info", "cameras": ("left", "right")},
            "camera_info is '/info': with several cameras it needs {camera} in it",
        ),
    ],
)
def test_bad_values_are_named(changes, words):
    with pytest.raises(ValueError, match=words):
        Settings(**changes)


def test_live_changes_are_all_or_nothing():
    settings = Settings()
    changed = settings.changed({"overlay_scale": 0.5, "publish_mask": False}, configured=True)
    assert (changed.overlay_scale, changed.publish_mask) == (0.5, False)
    with pytest.raises(ValueError, match="overlay_scale"):
        settings.changed({"publish_mask": False, "overlay_scale": 9.0}, configured=True)
    assert settings == Settings()


def test_fixed_parameters_change_only_while_unconfigured():
    settings = Settings()
    assert settings.changed({"weights": "a.pth"}, configured=False).weights == "a.pth"
    with pytest.raises(ValueError, match=r"weights can only .*clean up first"):
        settings.changed({"weights": "a.pth"}, configured=True)
    assert settings.changed({"weights": settings.weights}, configured=True) == settings
    with pytest.raises(ValueError, match="read-only"):
        settings.changed({"autostart": True}, configured=False)


def test_parameters_of_others_are_passed_over():
    assert Settings().changed({"use_sim_time": True}, configured=True) == Settings()


def test_camera_names():
    assert Settings().camera_names == ("",)
    assert Settings(cameras=("left", "front/rgb")).camera_names == ("left", "front/rgb")


def test_settings_reach_the_tracker():
    settings = Settings(mask_threshold=0.6, lost_after=7)
    assert settings.tracker_config("davis").mask_threshold == 0.6
    assert settings.tracker_config("davis").size_smoothing == 1.0
    assert Settings(preset="vot").tracker_config("davis").size_smoothing == 0.25
    assert settings.tracker_config("davis").box_fit == "mbr"
    assert Settings(box_fit="opt_fast").tracker_config("davis").box_fit == "opt_fast"
    assert settings.tracker_config("davis").masks == "best"
    assert settings.tracker_config("box").masks == "none"
    assert Settings(masks="coarse").tracker_config("davis").masks == "coarse"
    assert Settings(masks="best").tracker_config("box").masks == "best"
    assert settings.longterm_config == LongTermConfig(lost_after=7)
    assert Settings().longterm_config == LongTermConfig()


def test_depth_follows_the_processing():
    assert Settings().subscription_depth == 5
    assert Settings(processing="every_frame").subscription_depth == 50
    assert Settings(qos_depth=2).subscription_depth == 2


def test_what_can_change_while_it_runs():
    live = {name for name, rule in Settings.rules().items() if rule.changes is Changes.ANY_TIME}
    assert {"mask_threshold", "lost_below", "publish_overlay", "overlay_scale"} <= live
    assert not {"weights", "device", "cameras", "processing"} & live


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("overlay_scale", 1, 1.0),
        ("cameras", ["left", "right"], ("left", "right")),
        ("threads", 2, 2),
    ],
)
def test_values_take_the_declared_type(name, value, expected):
    (entry,) = [entry for entry in fields(Settings) if entry.name == name]
    found = typed_value(entry, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("overlay_scale", "1", "overlay_scale must be a number, got '1'"),
        ("overlay_scale", True, "must be a number, got True"),
        ("threads", 2.0, "threads must be a whole number, got 2.0"),
        ("publish_mask", 1, "publish_mask must be true or false, got 1"),
        ("cameras", "left", "cameras must be a list of texts, got 'left'"),
        ("cameras", array("q", [1, 2]), r"cameras must be a list of texts, got \[1, 2\]"),
        ("weights", None, "weights must be text, got None"),
    ],
)
def test_values_of_another_type_are_named(name, value, words):
    (entry,) = [entry for entry in fields(Settings) if entry.name == name]
    with pytest.raises(ValueError, match=words):
        typed_value(entry, value)
