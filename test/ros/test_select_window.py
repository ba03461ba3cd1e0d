# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask select` in a real window: Xvfb, a real mouse and real keys, a real node and camera.

Skipped where Xvfb, xdotool or an OpenCV with windows is missing.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from siammask_ros.cli.common import EXIT_INTERRUPTED
from siammask_ros.ros.select import WINDOW_TITLE
from siammask_ros.selection import BACKGROUND

SIZE_WH = (320, 240)
BOX = (60, 80, 60, 50)
PATIENCE_S = 30.0
DIGIT_SIDE = 20
STEP_S = 0.1
HEADER_FIELDS = 25
"""Of the dump of a screen (XWD), before its colours and pixels; each four bytes, big endian."""


def numbered(number):
    """A picture that shows its number as a row of black and white squares, eight bits."""
    image = np.full((SIZE_WH[1], SIZE_WH[0], 3), (90, 110, 100), np.uint8)
    left, top, width, height = BOX
    image[top : top + height, left : left + width] = (40, 60, 220)
    for bit in range(8):
        at = 40 + bit * DIGIT_SIDE
        image[40 : 40 + DIGIT_SIDE, at : at + DIGIT_SIDE] = 255 * (number >> bit & 1)
    return image


class Screen:
    """An X server of its own, with a person at it."""

    def __init__(self, folder):
        self.folder = folder
        reading, writing = os.pipe()
        self.server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x480x24",
             "-fbdir", str(folder), "-nolisten", "tcp"],
            pass_fds=[writing], stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(writing)
        with os.fdopen(reading) as stream:
            number = stream.readline().strip()
        if not number:
            pytest.skip("Xvfb does not start here")
        self.environ = {**os.environ, "DISPLAY": f":{number}"}

    def do(self, *words):
        command = ["xdotool", *map(str, words)]
        done = subprocess.run(
            command, env=self.environ, capture_output=True, text=True, check=False, timeout=20
        )
        time.sleep(STEP_S)
        return done.stdout.split()

    def drag(self, first, last):
        middle = [(a + b) // 2 for a, b in zip(first, last, strict=True)]
        self.do("mousemove", *first, "mousedown", 1)
        self.do("mousemove", *middle)
        self.do("mousemove", *last)
        self.do("mouseup", 1)

    def wait_for_window(self):
        return self.wait(lambda: self.do("search", "--name", WINDOW_TITLE))[-1]

    def wait(self, condition):
        end = time.monotonic() + PATIENCE_S
        while not (value := condition()):
            assert time.monotonic() < end, "waited in vain"
            time.sleep(STEP_S)
        return value

    def picture(self):
        """(480, 640, 3) uint8 BGR: what is on the screen, by the server's own dump."""
        data = (self.folder / "Xvfb_screen0").read_bytes()
        fields = np.frombuffer(data, ">u4", HEADER_FIELDS)
        start = int(fields[0] + 12 * fields[19])  # header and colours
        width, height, row_bytes = (int(fields[number]) for number in (4, 5, 12))
        rows = np.frombuffer(data, np.uint8, height * row_bytes, start).reshape(height, row_bytes)
        return rows[:, : 4 * width].reshape(height, width, 4)[:, :, :3]

    def shows(self, colour):
        return (self.picture()[20, 300] == colour).all()

    def number_shown(self):
        middle = DIGIT_SIDE // 2
        row = self.picture()[40 + middle, 40 + middle :: DIGIT_SIDE, 0][:8]
        return sum(int(value > 127) << bit for bit, value in enumerate(row))

    def close(self):
        self.server.kill()
        self.server.wait()


class Camera:
    """Numbered pictures on the topic of a node, when asked for."""

    def __init__(self, client):
        self.client = client
        self.number_of = {}
        self.number = 0

    def show(self, count=1):
        for _ in range(count):
            self.number += 1
            boxes = self.client.process(numbered(self.number))
            stamp = boxes.header.stamp
            self.number_of[stamp.sec * 10**9 + stamp.nanosec] = self.number
        return boxes.boxes


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if any("GUI:" in line and "NONE" in line for line in cv2.getBuildInformation().splitlines()):
        pytest.skip("this OpenCV has no windows")
    screen = Screen(tmp_path_factory.mktemp("screen"))
    yield screen
    screen.close()


@pytest.fixture(scope="module")
def scene(make_tracker, make_client):
    node = make_tracker("window", silence_seconds=600.0)
    return node, Camera(make_client("window"))


@pytest.fixture
def start(screen):
    started = []

    def start(*options):
        command = [sys.executable, "-m", "siammask_ros.ros.select", "--image", "image"]
        command += ["--tracker", "siammask_tracker", *options]
        process = subprocess.Popen(
            [*command, "--ros-args", "-r", "__ns:=/window"],
            env=screen.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        window = screen.wait_for_window()
        screen.do("windowfocus", window)
        return process, window

    yield start
    for process in started:
        process.kill()
        process.wait()


def targets_of(node):
    return dict(node._engine._cameras[""].targets)


def drag_round_the_target(screen):
    left, top, width, height = BOX
    screen.drag((left, top), (left + width, top + height))


def test_a_box_starts_a_target_on_the_very_image_in_the_window(screen, scene, start):
    node, camera = scene
    process, _ = start("--label", "cup")
    screen.wait(lambda: screen.shows(BACKGROUND))  # no image yet
    screen.wait(lambda: camera.show() is not None and screen.number_shown() == camera.number)
    screen.do("key", "7")
    drag_round_the_target(screen)
    shown = screen.number_shown()
    camera.show(5)
    assert screen.number_shown() == shown < camera.number  # it stands still under the box
    screen.do("key", "Return")
    (target,) = screen.wait(lambda: targets_of(node)).values()
    assert (target.target_id, target.label) == (7, "cup")
    assert target.box_xywh == pytest.approx(BOX, abs=1)
    assert camera.number_of[target.start.stamp_ns] == shown
    screen.wait(lambda: camera.show() and screen.number_shown() == camera.number)  # it moves on
    screen.do("key", "f")
    frozen = screen.number_shown()
    camera.show(3)
    assert screen.number_shown() == frozen
    screen.do("key", "f")
    screen.do("key", "Insert")  # is no "c"
    screen.wait(lambda: camera.show() and screen.number_shown() == camera.number)
    screen.do("key", "q")
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert "1 boxes accepted" in output


def test_a_window_of_another_size_takes_boxes_in_pixels_of_the_image(screen, scene, start):
    node, camera = scene
    process, window = start("--once", "--replace", "--id", "3")
    screen.wait(lambda: camera.show() is not None and screen.number_shown() == camera.number)
    height = int(screen.do("getwindowgeometry", window)[-1].split("x")[1])
    screen.do("windowsize", window, 2 * SIZE_WH[0], 2 * height)
    left, top, width, height = (2 * number for number in BOX)
    screen.drag((left, top), (left + width, top + height))
    screen.do("key", "space")
    target = screen.wait(lambda: targets_of(node).get(3))
    assert target.box_xywh == pytest.approx(BOX, abs=2)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors


def test_an_interrupt_ends_it_without_a_traceback(screen, scene, start):
    process, _ = start()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == EXIT_INTERRUPTED, errors
    assert "Traceback" not in errors


def test_closing_the_window_ends_it(screen, scene, start):
    reason = "python-xlib, which can close windows, is not installed"
    x11 = pytest.importorskip("Xlib.X", reason=reason)
    display = importlib.import_module("Xlib.display")
    event = importlib.import_module("Xlib.protocol.event")
    process, window = start()
    connection = display.Display(screen.environ["DISPLAY"])
    target = connection.create_resource_object("window", int(window))
    names = [connection.intern_atom(name) for name in ("WM_PROTOCOLS", "WM_DELETE_WINDOW")]
    data = (32, [names[1], x11.CurrentTime, 0, 0, 0])
    target.send_event(event.ClientMessage(window=target, client_type=names[0], data=data))
    connection.sync()
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert "0 boxes accepted" in output
    assert "Traceback" not in errors
