# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A page in a headless Chromium that reaches no network, driven through its DevTools pipe."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time

BROWSER_VARIABLE = "SIAMMASK_BROWSER"
NAMES = (
    "chromium-headless-shell",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
)
PATIENCE_S = 60.0
START = """
import os, sys
commands, replies = map(int, sys.argv[1:3])
os.dup2(commands, 3)  # where a browser expects its pipes
os.dup2(replies, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_browser():
    """The program that SIAMMASK_BROWSER names, or one of NAMES on the PATH, or None."""
    named = os.environ.get(BROWSER_VARIABLE)
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


def _apart(descriptor):
    """The same file under a number that START does not use."""
    apart = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 20)
    os.close(descriptor)
    return apart


class Page:
    """A page; a context manager that ends the browser.

    Attributes:
        messages: what the console and the browser's log said, and uncaught exceptions.
        requests: addresses that the page asked for, data: and blob: apart.
    """

    def __init__(self, program, profile, *, width=1200, height=900, dark=False):
        self.messages = []
        self.requests = []
        self._answers = {}
        self._events = set()
        self._number = 0
        self._buffer = b""
        commands_in, self._commands = map(_apart, os.pipe())
        self._replies, replies_out = map(_apart, os.pipe())
        command = [sys.executable, "-c", START, str(commands_in), str(replies_out), program]
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-pipe",
            "--autoplay-policy=no-user-gesture-required",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
        ]
        self._process = subprocess.Popen(
            [*command, *options],
            pass_fds=(commands_in, replies_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands_in)
        os.close(replies_out)
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        scheme = "dark" if dark else "light"
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._process.kill()
        self._process.wait()
        os.close(self._commands)
        os.close(self._replies)

    def open(self, address):
        """Load an address and wait until all of it is there."""
        self._events.discard("Page.loadEventFired")
        if problem := self.call("Page.navigate", url=address).get("errorText"):
            raise RuntimeError(f"{address}: {problem}")
        self._receive_until(lambda: "Page.loadEventFired" in self._events)

    def evaluate(self, expression):
        """The value of a JavaScript expression, of a promise the value that it comes to."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def screenshot(self):
        """The whole page as the content of a PNG file."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        options = {"format": "png", "captureBeyondViewport": True, "clip": clip}
        return base64.b64decode(self.call("Page.captureScreenshot", **options)["data"])

    def call(self, method, **parameters):
        """Send a command of the DevTools protocol; its result."""
        self._number += 1
        number = self._number
        command = {"id": number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        self._receive_until(lambda: number in self._answers)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _receive_until(self, is_done):
        end = time.monotonic() + PATIENCE_S
        while not is_done():
            ready, _, _ = select.select([self._replies], [], [], max(end - time.monotonic(), 0))
            data = os.read(self._replies, 1 << 20) if ready else b""
            if not data:
                raise TimeoutError("the browser says nothing any more")
            *whole, self._buffer = (self._buffer + data).split(b"\0")
            for text in whole:
                self._take(json.loads(text))

    def _take(self, message):
        if "id" in message:
            self._answers[message["id"]] = message
            return
        method, content = message["method"], message["params"]
        self._events.add(method)
        if method == "Runtime.consoleAPICalled":
            self.messages.append(str([part.get("value") for part in content["args"]]))
        elif method == "Runtime.exceptionThrown":
            self.messages.append(str(content["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.messages.append(content["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            address = content["request"]["url"]
            if not address.startswith(("data:", "blob:")):
                self.requests.append(address)
