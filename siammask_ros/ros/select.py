# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask select` and the executable `select_target`: a box drawn on the live image.

The box goes to the tracker with the stamp of the image that it was drawn on.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from siammask_msgs.msg import TargetBox
from siammask_msgs.srv import SetTargets
from siammask_ros.geometry import Box
from siammask_ros.ros.diagnostics import NODE_NAME
from siammask_ros.ros.images import ImageError, decode_compressed, decode_image
from siammask_ros.ros.messages import ns_to_stamp, stamp_to_ns
from siammask_ros.ros.parameters import Settings
from siammask_ros.ros.source import ImageSource
from siammask_ros.selection import (
    Command,
    LiveImage,
    MouseAction,
    Selection,
    draw_selection,
)

COMPRESSED_SUFFIX = "/compressed"
WINDOW_TITLE = "siammask select"
POLL_MS = 15
ASCII_END = 128
KEY_MASK = 0xFFFF
KEYPAD_KEYS = {0xFF8D: 13, **{0xFFB0 + digit: ord(str(digit)) for digit in range(10)}}
"""Enter and the digits of the keypad, by their X11 names; Qt reports them as characters."""
X_SOCKETS = Path("/", "tmp", ".X11-unix")
"""Where X servers listen."""
SPIN_S = 0.005
MOUSE_ACTIONS = {
    cv2.EVENT_LBUTTONDOWN: MouseAction.PRESS,
    cv2.EVENT_MOUSEMOVE: MouseAction.MOVE,
    cv2.EVENT_LBUTTONUP: MouseAction.RELEASE,
}


@dataclass(frozen=True)
class SelectOptions:
    """What to select, and for whom.

    Attributes:
        tracker: name of the tracker's node, absolute or in this node's namespace.
        camera: its name there; empty for the only camera.
        image: image topic, ending in /compressed for compressed images; empty: the one that the
            tracker reports to read.
        target_id: id for the first box, 0 for any free one.
        label: text for the targets.
        replace: drop the camera's other targets.
        once: end after the first box that was accepted.
        box: given instead of drawn, on the newest image; no window is opened.
        timeout_s: how long to wait for the tracker's answer.
    """

    tracker: str = NODE_NAME
    camera: str = ""
    image: str = ""
    target_id: int = 0
    label: str = ""
    replace: bool = False
    once: bool = False
    box: Box | None = None
    timeout_s: float = 10.0


class SelectionError(RuntimeError):
    """Nothing can be selected; the text says why."""


class Window(Protocol):
    """Where a person draws."""

    def open(self, on_mouse: Callable[[MouseAction, int, int], None]) -> None:
        """Appear, and report the mouse from now on."""

    def show(self, view: NDArray[np.uint8]) -> None:
        """Show a picture."""

    def poll(self) -> int:
        """Let events happen for a moment; the code of a key that was pressed, or -1."""

    @property
    def is_open(self) -> bool:
        """The person has not closed it."""

    def close(self) -> None:
        """Disappear."""


class OpenCvWindow:
    """A window of OpenCV's."""

    def __init__(self, title: str = WINDOW_TITLE) -> None:
        """Check that windows can be had.

        Raises:
            SelectionError: OpenCV is built without them, or there is no display.
        """
        require_windows()
        self._title = title
        self._has_appeared = False

    def open(self, on_mouse: Callable[[MouseAction, int, int], None]) -> None:
        """Appear, and report the left mouse button."""

        def report(event: int, x: int, y: int, _flags: int, _data: object) -> None:
            if event in MOUSE_ACTIONS:
                on_mouse(MOUSE_ACTIONS[event], x, y)

        cv2.namedWindow(self._title, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
        cv2.setMouseCallback(self._title, report)

    def show(self, view: NDArray[np.uint8]) -> None:
        """Show a picture."""
        cv2.imshow(self._title, view)

    def poll(self) -> int:
        """The key of the next few milliseconds, or -1."""
        return ascii_code(cv2.waitKeyEx(POLL_MS))

    @property
    def is_open(self) -> bool:
        """The person has not closed it; a window that has yet to appear is not closed."""
        with contextlib.suppress(cv2.error):  # some backends have forgotten a closed window
            is_visible = bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) > 0)
            self._has_appeared |= is_visible
            return is_visible or not self._has_appeared
        return False

    def close(self) -> None:
        """Disappear."""
        if self.is_open:
            cv2.destroyWindow(self._title)


def ascii_code(key: int) -> int:
    """The character of a key as OpenCV's backends report it, in lower case, or -1 for any other.

    The low byte alone would take Insert for "c" and Page Up for "U".
    """
    if key < 0:
        return -1
    key &= KEY_MASK  # without the modifiers that GTK adds
    if key in KEYPAD_KEYS:
        return KEYPAD_KEYS[key]
    return ord(chr(key).lower()) if key < ASCII_END else -1


def require_windows() -> None:
    """Check that OpenCV can open a window here.

    Raises:
        SelectionError: it cannot; the text says what to do.
    """
    instead = "or give the box: --box x,y,width,height"
    lines = cv2.getBuildInformation().splitlines()
    if "NONE" in next((line for line in lines if "GUI:" in line), "NONE"):
        raise SelectionError(
            "this OpenCV is built without windows (opencv-python-headless): install "
            f"opencv-python, {instead}"
        )
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, displays)):
        raise SelectionError(
            f"there is no display (DISPLAY is not set): run this on a desktop, or ssh -X, {instead}"
        )
    display = os.environ.get("DISPLAY", "")
    if sys.platform.startswith("linux") and display and not _answers(display):
        raise SelectionError(
            f"display {display!r} (DISPLAY) does not answer: run this on a desktop, {instead}"
        )


def _answers(display: str) -> bool:
    """Whether a display of this machine is there; true for others, which are not tried."""
    local = re.fullmatch(r"(?:unix)?:(\d+)(?:\.\d+)?", display)
    if local is None:
        return True
    path = str(X_SOCKETS / f"X{local[1]}")
    for address in (path, f"\0{path}"):
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            connection.connect(address)
            return True
    return False


class TargetSelector:
    """One person, one camera, one tracker."""

    def __init__(self, node: Node, options: SelectOptions) -> None:
        """Get ready to ask the tracker; `choose_image` subscribes."""
        self.node = node
        self.options = options
        self.selection = Selection(target_id=options.target_id)
        self.accepted = 0
        self._client = node.create_client(SetTargets, f"{options.tracker}/set_targets")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._source: ImageSource | None = None
        self._answer: Any = None
        self._asked_s = 0.0
        self._fault = ""
        self._has_changed = True

    def set_box(self, box: Box, stamp_ns: int = 0) -> SetTargets.Response:
        """Ask for a target and wait for the answer.

        Raises:
            SelectionError: none comes in time, or it is a refusal.
        """
        self._wait(self._client.service_is_ready, f"no service {self._client.srv_name}")
        self._submit(box, stamp_ns)
        answer = self._answer
        self._wait(answer.done, f"no answer from {self._client.srv_name}")
        self._answer = None
        response: SetTargets.Response = answer.result()
        if not response.success:
            raise SelectionError(response.message)
        return response

    def run(self, window: Window) -> int:
        """Let a person draw until the end; returns the number of boxes that were accepted.

        Raises:
            SelectionError: no image topic is known.
        """
        self._subscribe(self.options.image or self._reported_topic())
        window.open(self._on_mouse)
        try:
            while self._go_on(window):
                pass
        finally:
            window.close()
        return self.accepted

    def close(self) -> None:
        """Let go of the node."""
        if self._source is not None:
            self._source.destroy()
        self._executor.shutdown()

    def _go_on(self, window: Window) -> bool:
        """One round of messages, picture and keys; false at the end."""
        self._spin(SPIN_S)
        self._take_answer()
        self._tell_what_is_missing()
        if self._has_changed:
            window.show(draw_selection(self.selection))
            self._has_changed = False
        if self.options.once and self.accepted:
            return False
        code = window.poll()
        if code < 0:
            return window.is_open
        self._has_changed = True
        command = self.selection.key(code)
        if command is Command.SUBMIT and self._answer is None:
            self._ask()
        return command is not Command.QUIT

    def _ask(self) -> None:
        """Hand the drawn box in; the answer is taken when it comes."""
        live, box = self.selection.live, self.selection.box
        assert live is not None
        assert box is not None
        if not self._client.service_is_ready():
            self.selection.message = f"no service {self._client.srv_name}: is the tracker running?"
            return
        self._submit(box, live.stamp_ns)
        self.selection.message = "asking the tracker"

    def _submit(self, box: Box, stamp_ns: int) -> None:
        target = TargetBox(id=self.selection.target_id, label=self.options.label)
        target.x, target.y, target.width, target.height = map(float, box.xywh)
        request = SetTargets.Request(
            camera=self.options.camera,
            stamp=ns_to_stamp(stamp_ns),
            targets=[target],
            replace=self.options.replace,
        )
        self._answer = self._client.call_async(request)
        self._asked_s = time.monotonic()

    def _take_answer(self) -> None:
        if self._answer is None:
            return
        if not self._answer.done():
            if time.monotonic() - self._asked_s > self.options.timeout_s:
                self._client.remove_pending_request(self._answer)
                self._answer = None
                text = f"no answer from {self._client.srv_name} ({self.options.timeout_s:g} s)"
                self.selection.answered(success=False, message=text)
                self._has_changed = True
            return
        response, self._answer = self._answer.result(), None
        self.accepted += response.success
        self.selection.answered(success=response.success, message=response.message)
        self._has_changed = True

    def _tell_what_is_missing(self) -> None:
        """While no images come that can be shown, say why."""
        assert self._source is not None
        text = self._source.explain_silence() or self._fault
        if self.selection.live is None:
            text = text or f"waiting for {self._source.topic}"
        self._has_changed |= text != self.selection.notice
        self.selection.notice = text

    def _on_mouse(self, action: MouseAction, x: int, y: int) -> None:
        self.selection.mouse(action, x, y)
        self._has_changed = True

    def _on_image(self, message: Any) -> None:
        if self.selection.live is not None and self.selection.holds_picture:
            return  # not worth decoding
        decode = decode_compressed if hasattr(message, "format") else decode_image
        try:
            image_bgr = decode(message)
        except ImageError as error:
            self._fault = f"image not usable: {error}"
            return
        self._fault = ""
        live = LiveImage(image_bgr, stamp_to_ns(message.header.stamp))
        self._has_changed |= self.selection.offer(live)

    def _subscribe(self, topic: str) -> None:
        compressed = topic.endswith(COMPRESSED_SUFFIX)
        settings = Settings(image_transport="compressed" if compressed else "raw", qos_depth=1)
        name = topic.removesuffix(COMPRESSED_SUFFIX)
        self._source = ImageSource(self.node, name, settings, self._on_image)

    def _reported_topic(self) -> str:
        """The image topic that the tracker says it reads.

        Raises:
            SelectionError: it says nothing of the camera.
        """
        topics: dict[str, str] = {}

        def note(message: DiagnosticArray) -> None:
            for status in message.status:
                name, _, camera = status.name.partition(": camera")
                if name == NODE_NAME:
                    topics.update({camera.strip(): entry.value for entry in status.values
                                   if entry.key == "topic"})  # fmt: skip

        subscription = self.node.create_subscription(DiagnosticArray, "/diagnostics", note, 10)
        camera = self.options.camera
        try:
            what = f"no active tracker reports on /diagnostics what camera {camera!r} reads"
            self._wait(lambda: camera in topics or (not camera and topics), f"{what}: give --image")
        finally:
            self.node.destroy_subscription(subscription)
        if camera not in topics and len(topics) > 1:
            names = ", ".join(sorted(topics))
            raise SelectionError(f"the tracker has several cameras, name one: {names}")
        return topics.get(camera) or next(iter(topics.values()))

    def _wait(self, condition: Callable[[], object], complaint: str) -> None:
        end_s = time.monotonic() + self.options.timeout_s
        while not condition():
            if time.monotonic() > end_s:
                raise SelectionError(f"{complaint} ({self.options.timeout_s:g} s)")
            self._spin(0.05)

    def _spin(self, timeout_s: float) -> None:
        """Let messages in.

        Raises:
            KeyboardInterrupt: ROS was shut down, which it does by itself at Ctrl-C.
        """
        try:
            self._executor.spin_once(timeout_sec=timeout_s)
        except Exception:
            if self.node.context.ok():
                raise
        if not self.node.context.ok():
            raise KeyboardInterrupt


def select(options: SelectOptions, window: Window | None = None) -> list[str]:
    """Select targets, with a window unless the box is given.

    Args:
        options: what to select.
        window: where to draw; by default one of OpenCV's.

    Returns:
        Lines that say what was done.

    Raises:
        SelectionError: nothing could be selected.
    """
    if options.box is None and window is None:
        window = OpenCvWindow()
    rclpy.init(args=sys.argv)
    try:
        node = rclpy.create_node("select_target")
        selector = TargetSelector(node, options)
        try:
            if options.box is not None:
                return [selector.set_box(options.box).message]
            assert window is not None
            return [f"{selector.run(window)} boxes accepted"]
        finally:
            selector.close()
            node.destroy_node()
    finally:
        rclpy.try_shutdown()


def main() -> None:
    """Run `siammask select` as a ROS executable: arguments of ROS are taken too."""
    from siammask_ros.cli import main as siammask

    siammask(["select", *remove_ros_args(sys.argv)[1:]])


if __name__ == "__main__":
    main()
