# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What rviz and Foxglove are told to show is there, of that type, with a matching offer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)

from siammask_msgs.msg import RotatedBox, RotatedBoxArray
from siammask_ros.ros.foxglove import foxglove_messages

CONFIG = Path(__file__).parents[2] / "config"
RVIZ = yaml.safe_load((CONFIG / "tracker.rviz").read_text())
MANAGER = RVIZ["Visualization Manager"]
DISPLAYS = {display["Name"]: display for display in MANAGER["Displays"]}
LAYOUT = json.loads((CONFIG / "foxglove_layout.json").read_text())

# From rviz's sources (Humble to Rolling): rviz_default_plugins/plugins_description.xml, the
# constructors of the displays, rviz_common's qos_profile_property.cpp and display.cpp.
EVERY_DISPLAY = {"Class", "Name", "Enabled"}
IMAGE_PROPERTIES = {"Topic", "Normalize Range", "Min Value", "Max Value", "Median window"}
DISPLAY_CLASSES = {
    "rviz_default_plugins/Image": ("sensor_msgs/msg/Image", IMAGE_PROPERTIES),
    "rviz_default_plugins/MarkerArray": (
        "visualization_msgs/msg/MarkerArray",
        {"Topic", "Namespaces"},
    ),
    "rviz_default_plugins/Axes": ("", {"Length", "Radius", "Reference Frame"}),
}
TOPIC_PROPERTIES = {"Value", "Depth", "Durability Policy", "History Policy", "Reliability Policy"}
RELIABILITY = {
    "Best Effort": ReliabilityPolicy.BEST_EFFORT,
    "Reliable": ReliabilityPolicy.RELIABLE,
    "System Default": ReliabilityPolicy.SYSTEM_DEFAULT,
}
DURABILITY = {
    "Volatile": DurabilityPolicy.VOLATILE,
    "Transient Local": DurabilityPolicy.TRANSIENT_LOCAL,
    "System Default": DurabilityPolicy.SYSTEM_DEFAULT,
}
HISTORY = {"Keep Last", "Keep All", "System Default"}
TOOLS = {f"rviz_default_plugins/{name}" for name in ("Interact", "MoveCamera")}
ORBIT_PROPERTIES = {"Class", "Name", "Value", "Distance", "Focal Point", "Pitch", "Yaw"}

# From the sources of the panels (lichtblick, which goes on from Foxglove's open ones).
PANEL_SETTINGS = {
    "Image": {"imageMode", "followMode", "scene", "transforms", "topics", "layers"},
    "Plot": {
        *("paths", "minYValue", "maxYValue", "showLegend", "legendDisplay", "isSynced", "xAxisVal"),
        *("showPlotValuesInLegend", "showXAxisLabels", "showYAxisLabels", "sidebarDimension"),
    },
    "StateTransitions": {"isSynced", "paths"},
    "Table": {"topicPath"},
    "DiagnosticSummary": {
        *("topicToRender", "minLevel", "pinnedIds", "hardwareIdFilter", "sortByLevel"),
    },
    "RawMessages": {
        *("topicPath", "diffTopicPath", "diffMethod", "diffEnabled", "showFullMessageForDiff"),
    },
    "Tab": {"activeTabIdx", "tabs"},
}
PATH_SETTINGS = {"value", "label", "enabled", "timestampMethod", "color"}
MESSAGES = {
    "/siammask_tracker/rotated_boxes": RotatedBoxArray,
    "/diagnostics": DiagnosticArray,
}


@pytest.fixture(scope="module", params=["reliable", "best_effort"])
def node(request, make_tracker):
    return make_tracker(request.param, output_reliability=request.param)


@pytest.fixture
def offers(node):
    """The real publishers by topic, as without a namespace."""
    space = node.get_namespace()
    own = dict(node.get_publisher_names_and_types_by_node(node.get_name(), space))
    return {topic.removeprefix(space): node.get_publishers_info_by_topic(topic) for topic in own}


@pytest.mark.parametrize("display", DISPLAYS.values(), ids=DISPLAYS)
def test_rviz_knows_each_property(display):
    _, properties = DISPLAY_CLASSES[display["Class"]]
    assert set(display) <= EVERY_DISPLAY | properties
    assert display["Enabled"] is True
    if "Topic" in properties:
        topic = display["Topic"]
        assert set(topic) == TOPIC_PROPERTIES
        assert topic["Reliability Policy"] in RELIABILITY
        assert topic["Durability Policy"] in DURABILITY
        assert topic["History Policy"] in HISTORY
        assert topic["Depth"] >= 1


def test_rviz_opens_with_image_overlay_mask_and_markers(offers):
    shown = {name: display["Topic"]["Value"] for name, display in DISPLAYS.items()
             if "Topic" in display}  # fmt: skip
    assert shown == {
        "Image": "/image",
        "Overlay": "/siammask_tracker/overlay",
        "Mask": "/siammask_tracker/mask",
        "Markers": "/siammask_tracker/markers",
    }
    for name, topic in shown.items():
        if name == "Image":
            continue  # a camera's
        (offer,) = offers[topic]
        assert offer.topic_type == DISPLAY_CLASSES[DISPLAYS[name]["Class"]][0]


def profile_of(reliability, durability):
    return QoSProfile(
        depth=1,
        history=HistoryPolicy.KEEP_LAST,
        liveliness=LivelinessPolicy.AUTOMATIC,
        reliability=RELIABILITY[reliability],
        durability=DURABILITY[durability],
    )


@pytest.mark.parametrize("name", [name for name in DISPLAYS if "Topic" in DISPLAYS[name]])
def test_what_rviz_asks_for_fits_the_offer(offers, name):
    topic = DISPLAYS[name]["Topic"]
    asked = profile_of(topic["Reliability Policy"], topic["Durability Policy"])
    given = [offer.qos_profile for offer in offers.get(topic["Value"], [])]
    if name == "Image":  # any camera's
        given = [
            profile_of(one, other)
            for one in ("Best Effort", "Reliable")
            for other in ("Volatile", "Transient Local")
        ]
    assert given
    for profile in given:
        compatibility, reason = qos_check_compatible(profile, asked)
        assert compatibility == QoSCompatibility.OK, reason


def test_the_rest_of_the_rviz_file():
    assert {tool["Class"] for tool in MANAGER["Tools"]} <= TOOLS
    assert set(MANAGER["Global Options"]) <= {"Background Color", "Fixed Frame", "Frame Rate"}
    view = MANAGER["Views"]["Current"]
    assert view["Class"] == "rviz_default_plugins/Orbit"
    assert set(view) <= ORBIT_PROPERTIES
    assert -1.5697 < view["Pitch"] < 1.5697  # rviz's limits


# --- Foxglove


def panels_in(tree):
    """The panels of a layout, those in tabs included."""
    if isinstance(tree, str):
        tabs = LAYOUT["configById"][tree].get("tabs", [])
        return [tree, *(name for tab in tabs for name in panels_in(tab["layout"]))]
    assert set(tree) == {"direction", "splitPercentage", "first", "second"}
    assert tree["direction"] in {"row", "column"}
    assert 0 < tree["splitPercentage"] < 100
    return panels_in(tree["first"]) + panels_in(tree["second"])


def test_each_panel_has_a_place_and_settings():
    assert set(LAYOUT) == {"configById", "globalVariables", "userNodes", "playbackConfig", "layout"}
    assert sorted(panels_in(LAYOUT["layout"])) == sorted(LAYOUT["configById"])
    for name, settings in LAYOUT["configById"].items():
        kind, _, own = name.partition("!")
        assert own
        assert set(settings) <= PANEL_SETTINGS[kind] | {"foxglovePanelTitle"}, name


def test_image_panels_show_topics_that_there_are(offers):
    modes = [settings["imageMode"] for settings in LAYOUT["configById"].values()
             if "imageMode" in settings]  # fmt: skip
    assert [mode["imageTopic"] for mode in modes] == ["/image", "/siammask_tracker/overlay"]
    (offer,) = offers["/siammask_tracker/overlay"]
    assert offer.topic_type == "sensor_msgs/msg/Image"
    assert modes[0]["annotations"] == {"/siammask_tracker/annotations": {"visible": True}}
    annotations = offers.get("/siammask_tracker/annotations", [])
    found = [offer.topic_type for offer in annotations]
    assert found == (["foxglove_msgs/msg/ImageAnnotations"] if foxglove_messages() else [])


def paths():
    """Every message path of the layout."""
    found = []
    for settings in LAYOUT["configById"].values():
        for path in settings.get("paths", []):
            assert set(path) <= PATH_SETTINGS
            assert path["timestampMethod"] in {"headerStamp", "receiveTime"}
            found.append(path["value"])
        found += [settings[key] for key in ("topicPath", "topicToRender") if key in settings]
    return found


@pytest.mark.parametrize("path", paths())
def test_message_paths_lead_to_fields(offers, path):
    topic, _, rest = path.partition(".")
    (offer, *_) = offers[topic]
    message = MESSAGES[topic]
    package, _, kind = offer.topic_type.split("/")
    assert (message.__module__.split(".")[0], message.__name__) == (package, kind)
    for part in filter(None, rest.split(".")):
        name, every, key = re.fullmatch(r"(\w+)(\[:\])?(?:\{(\w+)==\d+\})?", part).groups()
        kind = message.get_fields_and_field_types()[name]
        if "siammask_msgs/RotatedBox" in kind:
            message = RotatedBox
        assert not every or kind.startswith("sequence<")
        assert not key or key in message.get_fields_and_field_types()
