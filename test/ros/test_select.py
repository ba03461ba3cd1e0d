# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask select` against a real node: all but the window itself is real."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import cv2
import pytest
import rclpy
from rclpy.task import Future
from ros_graph import SIZE_WH, picture
from sensor_msgs.msg import CompressedImage, Image

from siammask_ros.geometry import Box
from siammask_ros.ros import select as module
from siammask_ros.ros.messages import ns_to_stamp, stamp_to_ns
from siammask_ros.ros.select import (
    OpenCvWindow,
    SelectionError,
    SelectOptions,
    TargetSelector,
    ascii_code,
    require_windows,
)
from siammask_ros.selection import MouseAction

ENTER = 13


class FakeWindow:
    """A window whose person follows a script: one step a poll, given the selector."""

    def __init__(self, *script):
        self.script = list(script)
        self.views = []
        self.is_open = True
        self.on_mouse = None
        self.closed = False

    def open(self, on_mouse):
        self.on_mouse = on_mouse

    def show(self, view):
        self.views.append(view)

    def poll(self):
        if not self.script:
            return ord("q")
        code = self.script[0](self)
        if code is not None:
            self.script.pop(0)
        return -1 if code is None else code

    def close(self):
        self.closed = True

    def drag(self, first, last):
        self.on_mouse(MouseAction.PRESS, *first)
        self.on_mouse(MouseAction.MOVE, *last)
        self.on_mouse(MouseAction.RELEASE, *last)


@pytest.fixture(scope="module")
def client(make_tracker, make_client):
    make_tracker("select", silence_seconds=600.0)
    return make_client("select")


@pytest.fixture
def make_selector():
    selectors = []

    def make(namespace="select", **options):
        node = rclpy.create_node(f"person{len(selectors)}", namespace=namespace)
        options = {"tracker": "siammask_tracker", "timeout_s": 20.0, **options}
        selectors.append(TargetSelector(node, SelectOptions(**options)))
        return selectors[-1]

    yield make
    for selector in selectors:
        selector.close()
        selector.node.destroy_node()


def test_a_box_belongs_to_the_image_it_was_drawn_on(client, make_selector, monkeypatch):
    selector = make_selector(image="image", once=True, target_id=3, label="cup", replace=True)
    sent = []
    submit = selector._client.call_async
    monkeypatch.setattr(
        selector._client, "call_async", lambda request: sent.append(request) or submit(request)
    )

    def arrive(window):
        client.process()
        return -1 if selector.selection.live else None

    def draw_and_wait_for_newer_images(window):
        window.drag((40, 30), (90, 70))
        for _ in range(3):
            client.process()
        return ENTER

    window = FakeWindow(arrive, draw_and_wait_for_newer_images, lambda _: None)
    assert selector.run(window) == 1
    (request,) = sent
    assert stamp_to_ns(request.stamp) == selector.selection.live.stamp_ns < client.stamp_ns
    (target,) = request.targets
    assert (target.id, target.x, target.y, target.width, target.height) == (3, 40, 30, 50, 40)
    assert [(box.target_id, box.label) for box in client.process().boxes] == [(3, "cup")]
    assert selector.selection.message == "tracking targets 3"
    assert selector.selection.box is None
    assert window.closed


def test_a_refusal_is_shown_and_the_box_stays(client, make_selector):
    selector = make_selector(image="image", camera="rear")

    def arrive(window):
        client.process()
        return -1 if selector.selection.live else None

    def draw(window):
        window.drag((40, 30), (90, 70))
        return ENTER

    def refused(window):
        return -1 if "no camera 'rear'" in selector.selection.message else None

    window = FakeWindow(arrive, draw, refused)
    assert selector.run(window) == 0
    assert selector.selection.box == Box(40, 30, 50, 40)


def test_what_goes_wrong_while_drawing_is_said(client, make_selector):
    """The camera falls silent, the tracker is not there, and then it does not answer."""
    selector = make_selector(image="image", timeout_s=0.3)
    real = selector._client
    answer = Future()

    def arrive(window):
        client.process()
        return -1 if selector.selection.live else None

    def draw(window):
        selector._client = SimpleNamespace(service_is_ready=lambda: False, srv_name="/set_targets")
        window.drag((40, 30), (90, 70))
        return ENTER

    def absent(window):
        assert selector.selection.message == "no service /set_targets: is the tracker running?"
        selector._client = SimpleNamespace(
            service_is_ready=lambda: True, srv_name="/set_targets",
            call_async=lambda request: answer, remove_pending_request=lambda _: answer.cancel(),
        )  # fmt: skip
        return ENTER

    def unanswered(window):
        if selector.selection.message == "asking the tracker":
            return None
        assert selector.selection.message == "no answer from /set_targets (0.3 s)"
        assert answer.cancelled()
        assert selector.selection.box == Box(40, 30, 50, 40)
        selector._client = real
        return ENTER

    def accepted(window):
        return -1 if selector.accepted else None

    def silent(window):
        return -1 if "no image for more than 3 s" in selector.selection.notice else None

    def again(window):
        client.process()
        return -1 if not selector.selection.notice else None

    window = FakeWindow(arrive, draw, absent, unanswered, accepted, silent, again)
    assert selector.run(window) == 1


def test_an_image_that_cannot_be_shown_is_said(client, make_selector):
    selector = make_selector(image="image")

    def arrive(window):
        client.process()
        return -1 if selector.selection.live else None

    def broken(window):
        message = Image(height=4, width=4, step=1, encoding="bgr8")
        client.send(message=message)
        return -1 if "image not usable" in selector.selection.notice else None

    def mended(window):
        client.process()
        return -1 if not selector.selection.notice else None

    selector.run(FakeWindow(arrive, broken, mended))


def test_an_interrupt_ends_it(client, make_selector):
    """ROS takes Ctrl-C, and shuts its context down."""
    context = rclpy.Context()
    context.init()
    node = rclpy.create_node("interrupted", context=context, namespace="select")
    selector = TargetSelector(node, SelectOptions(image="image"))
    window = FakeWindow(lambda _: context.shutdown())
    with pytest.raises(KeyboardInterrupt):
        selector.run(window)
    assert window.closed
    selector.close()
    node.destroy_node()


def test_a_window_that_is_closed_ends_it(client, make_selector):
    window = FakeWindow(lambda _: None)
    window.is_open = False
    assert make_selector(image="image").run(window) == 0


def test_compressed_images_and_reasons_for_silence(make_client, make_selector):
    client = make_client("jpeg")
    publisher = client.node.create_publisher(CompressedImage, "image/compressed", 5)
    selector = make_selector("jpeg", image="image/compressed")
    data = cv2.imencode(".jpg", picture(0))[1].tobytes()

    def waiting(window):
        return -1 if "waiting for /jpeg/image/compressed" in selector.selection.notice else None

    def arrive(window):
        message = CompressedImage(format="jpeg")
        message.data.frombytes(data)
        message.header.stamp = ns_to_stamp(77)
        publisher.publish(message)
        return -1 if selector.selection.live else None

    selector.run(FakeWindow(waiting, arrive))
    assert selector.selection.live.stamp_ns == 77
    assert selector.selection.live.image_bgr.shape == (SIZE_WH[1], SIZE_WH[0], 3)
    assert selector.selection.notice == ""


def test_the_topic_is_the_one_the_tracker_reports(client, make_selector):
    assert make_selector()._reported_topic().endswith("/image")
    with pytest.raises(SelectionError, match="camera 'rear' reads: give --image"):
        make_selector(camera="rear", timeout_s=1.5)._reported_topic()


def test_a_box_without_a_window(client, make_selector):
    client.process()
    response = make_selector(target_id=9, label="mug").set_box(Box(40, 30, 50, 40))
    assert list(response.target_ids) == [9]
    with pytest.raises(SelectionError, match=r"refused: .*outside the image"):
        make_selector().set_box(Box(900, 30, 50, 40))
    with pytest.raises(SelectionError, match=r"no service /nowhere/set_targets \(0.2 s\)"):
        make_selector(tracker="/nowhere", timeout_s=0.2).set_box(Box(40, 30, 50, 40))


def test_the_executable_takes_arguments_of_ros_too(client):
    client.process()
    command = [sys.executable, "-m", "siammask_ros.ros.select", "--box", "40,30,50,40", "--once"]
    command += ["--id", "12", "--tracker", "siammask_tracker"]
    done = subprocess.run(
        [*command, "--ros-args", "-r", "__ns:=/select"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "tracking targets 12" in done.stdout
    assert 12 in [box.target_id for box in client.process().boxes]


def test_no_window_is_a_clear_error(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(module.cv2, "getBuildInformation", lambda: "  GUI:     QT5\n")
    with pytest.raises(SelectionError, match=r"no display .*--box x,y,width,height"):
        OpenCvWindow()
    monkeypatch.setenv("DISPLAY", ":98765")
    with pytest.raises(SelectionError, match=r"display ':98765' .* does not answer: .*--box"):
        OpenCvWindow()
    monkeypatch.setattr(module.cv2, "getBuildInformation", lambda: "  GUI:     NONE\n")
    with pytest.raises(SelectionError, match=r"opencv-python-headless.*--box x,y,width,height"):
        require_windows()


def test_the_window_reports_the_left_button(monkeypatch):
    calls, events = {}, []
    monkeypatch.setenv("DISPLAY", "elsewhere:0")
    double = SimpleNamespace(
        getBuildInformation=lambda: "  GUI:     GTK3\n",
        namedWindow=lambda title, flags: calls.update(opened=title),
        setMouseCallback=lambda title, report: calls.update(report=report),
        imshow=lambda title, view: calls.update(view=view),
        waitKeyEx=lambda wait_ms: ENTER, error=cv2.error,
        getWindowProperty=lambda title, name: 1.0,
        destroyWindow=lambda title: calls.update(closed=title),
        WINDOW_AUTOSIZE=1, WINDOW_GUI_NORMAL=16, WND_PROP_VISIBLE=4,
    )  # fmt: skip
    monkeypatch.setattr(module, "cv2", double)
    window = OpenCvWindow("draw")
    window.open(lambda *event: events.append(event))
    for code in (cv2.EVENT_LBUTTONDOWN, cv2.EVENT_MOUSEMOVE, cv2.EVENT_RBUTTONDOWN,
                 cv2.EVENT_LBUTTONUP):  # fmt: skip
        calls["report"](code, 3, 4, 0, None)
    assert events == [
        (MouseAction.PRESS, 3, 4), (MouseAction.MOVE, 3, 4), (MouseAction.RELEASE, 3, 4)
    ]  # fmt: skip
    window.show(picture(0))
    assert calls["view"].shape == picture(0).shape
    assert (window.poll(), window.is_open) == (ENTER, True)
    window.close()
    assert calls["opened"] == calls["closed"] == "draw"


def test_a_window_is_closed_only_after_it_has_appeared(monkeypatch):
    visible = iter([0.0, 0.0, 1.0, 0.0, -1.0])
    monkeypatch.setenv("DISPLAY", "elsewhere:0")
    double = SimpleNamespace(
        getBuildInformation=lambda: "  GUI:     GTK3\n",
        getWindowProperty=lambda title, name: next(visible),
        error=cv2.error, WND_PROP_VISIBLE=4,
    )  # fmt: skip
    monkeypatch.setattr(module, "cv2", double)
    window = OpenCvWindow("draw")
    assert [window.is_open for _ in range(5)] == [True, True, True, False, False]


def test_a_window_that_the_backend_has_forgotten_is_closed(monkeypatch):
    def forgotten(title, name):
        raise cv2.error("NULL guiReceiver (please create a window)")

    monkeypatch.setenv("DISPLAY", "elsewhere:0")
    double = SimpleNamespace(
        getBuildInformation=lambda: "  GUI:     QT5\n",
        getWindowProperty=forgotten,
        destroyWindow=lambda title: pytest.fail("it is gone already"),
        error=cv2.error, WND_PROP_VISIBLE=4,
    )  # fmt: skip
    monkeypatch.setattr(module, "cv2", double)
    window = OpenCvWindow("draw")
    assert not window.is_open
    window.close()


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (-1, -1),
        (ord("q"), ord("q")),
        (ord("Q"), ord("q")),
        (0xFF8D, ENTER),  # Enter and 7 of the keypad in GTK
        (0xFFB7, ord("7")),
        (0x100000 | ord("f"), ord("f")),  # with Num Lock, in GTK
        (0xFF63, -1),  # Insert, whose low byte is that of c
        (0xFFE1, -1),  # Shift
        (0x250000, 0),  # an arrow in Windows
    ],
)
def test_keys_are_characters_or_nothing(key, code):
    assert ascii_code(key) == code
