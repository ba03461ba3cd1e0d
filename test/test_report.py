# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page about a run: all in it, nothing from outside, and a browser shows it."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from browser import BROWSER_VARIABLE, Page, find_browser
from made_run import FPS, run

from siammask_ros import report
from siammask_ros.report import MOST_CHANGES, ReportSink
from siammask_ros.report_video import LONGEST_SIDE, TIGHT_LONGEST_SIDE, ReportVideo
from siammask_ros.tracked import TrackedFrame
from siammask_ros.video import VideoFrame, open_video

pytest.importorskip("av")

SCRIPT = "I" + "T" * 20 + "U" * 3 + "L" * 10 + "T" * 16
NASTY = '</script><script>alert(1)</script><img src=http://x.example/y onerror="alert(1)">&amp;'
SETTINGS = [("command", "siammask track a.mp4"), ("weights <b>", "\x00\udcff" + NASTY)]
VOID = {"meta", "img"}
FETCHED = {"src", "srcset", "href", "poster", "data", "action", "background", "content", "style"}


class Reader(HTMLParser):
    """The texts of elements, by tag, and all attributes; elements must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.texts = {}
        self.attributes = []
        self._open = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.texts.setdefault(tag, []).append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        for tag in self._open:
            self.texts[tag][-1] += data

    def values(self, tag, attribute):
        return [v for t, name, v in self.attributes if (t, name) == (tag, attribute)]


def write(path, *scripts, name="clip", labels=("car",), settings=SETTINGS, **options):
    with ReportSink(path, name=name, fps=FPS, settings=settings) as sink:
        for tracked in run(*scripts, labels=labels, **options):
            sink.add(tracked)
    assert sink.finished
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report on two targets with labels, name and settings that try to be markup."""
    path = tmp_path_factory.mktemp("report") / "r.html"
    labels = [NASTY, r"$\bad{ 日本語"]
    write(path, SCRIPT, "   ITTTT", name=f"clip {NASTY}", labels=labels)
    return path


def test_nothing_comes_from_outside(page):
    text = page.read_text(encoding="utf-8")
    reader = Reader(text)
    for tag, name, value in reader.attributes:
        if name in FETCHED and (tag, name) != ("meta", "content"):
            assert (value or "").startswith(("data:video/mp4;base64,", "data:image/png;base64,"))
        assert not name.startswith("on")
    assert "link" not in reader.texts
    assert not re.search(r"@import|url\(", text)
    (policy,) = [value for value in reader.values("meta", "content") if "default-src" in value]
    assert policy.startswith("default-src 'none'; img-src data:; media-src data: blob:; ")
    assert [path.name for path in page.parent.iterdir()] == ["r.html"]


def test_what_users_write_is_text(page):
    reader = Reader(page.read_text(encoding="utf-8"))
    assert len(reader.texts["script"]) == 1
    assert len(reader.texts["img"]) == 1
    assert reader.texts["h1"] == [f"clip {NASTY}"]
    assert f"#1 {NASTY}" in reader.texts["th"]
    (value,) = [text for text in reader.texts["td"] if text.startswith("\N{REPLACEMENT CHARACTER}")]
    assert value == "\N{REPLACEMENT CHARACTER}" * 2 + NASTY


def test_tables_tell_of_targets_changes_and_settings(tmp_path):
    reader = Reader(write(tmp_path / "r.html", SCRIPT, settings=SETTINGS[:1]))
    targets, changes, settings = reader.texts["tbody"]
    assert " ".join(targets.split()) == "#1 car4973.5 %6.1 %20.4 %110.40"
    rows = [row.strip() for row in changes.splitlines() if row.strip()]
    assert rows == [
        "0.000#1 carINITIALIZING",
        "0.051#1 carINITIALIZING → TRACKING",
        "1.0521#1 carTRACKING → UNCERTAIN",
        "1.2024#1 carUNCERTAIN → LOST",
        "1.7034#1 carLOST → TRACKING",
    ]
    assert reader.values("span", "data-shown") == ["0.0000", "0.0500", "1.0500", "1.2000", "1.7000"]
    assert settings.strip() == "commandsiammask track a.mp4"
    line = reader.texts["header"][0].splitlines()[-1]
    assert line.split(", ")[0] == "50 frames"
    assert line.split(", ")[3:] == ["1 target", "lost 1 time", "found again 1 time"]


def test_it_can_be_read_without_seeing_it(page):
    reader = Reader(page.read_text(encoding="utf-8"))
    assert reader.values("html", "lang") == ["en"]
    (alt,) = reader.values("img", "alt")
    assert "lost 1 time" in alt
    assert reader.values("video", "aria-label")
    assert len(reader.texts["caption"]) == len(reader.texts["table"]) == 3
    assert set(reader.values("th", "scope")) == {"col", "row"}
    titles = reader.values("h2", "id")
    assert reader.values("section", "aria-labelledby") == titles
    assert len(set(titles)) == len(titles)


def test_video_and_chart_are_in_the_page(page, tmp_path):
    reader = Reader(page.read_text(encoding="utf-8"))
    (video,) = reader.values("video", "src")
    (tmp_path / "v.mp4").write_bytes(base64.b64decode(video.split(",")[1]))
    with open_video(tmp_path / "v.mp4") as frames:
        assert [frame.time_s for frame in frames] == pytest.approx([k / FPS for k in range(50)])
    (chart,) = reader.values("img", "src")
    pixels = np.frombuffer(base64.b64decode(chart.split(",")[1]), np.uint8)
    assert cv2.imdecode(pixels, cv2.IMREAD_COLOR).std() > 10


def test_many_changes_are_cut_and_no_target_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MOST_CHANGES", 5)
    reader = Reader(write(tmp_path / "many.html", "I" + "TL" * 10))
    assert "first 5 of 21." in reader.texts["caption"][1]
    assert len(reader.values("span", "data-shown")) == 5
    assert MOST_CHANGES > 100
    reader = Reader(write(tmp_path / "none.html", "   ", settings=()))
    assert reader.texts["section"][1].split() == ["Targets", "No", "target", "was", "given."]
    assert "img" not in reader.texts
    assert "video" in reader.texts


def noise(frames, size_wh):
    rng = np.random.default_rng(0)
    for k in range(frames):
        image = rng.integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
        yield TrackedFrame(VideoFrame(k, k / FPS, image), ())


@pytest.mark.parametrize("most_bytes", [100_000, 20_000])
def test_video_keeps_within_its_bytes(tmp_path, most_bytes):
    """Noise, which cannot be made small: frames are left out, and those that stay keep time."""
    video = ReportVideo(tmp_path, fps=FPS, most_bytes=most_bytes)
    for tracked in noise(40, (128, 96)):
        video.add(tracked)
    content = video.content()
    assert most_bytes / 8 < len(content) <= most_bytes
    (tmp_path / "v.mp4").write_bytes(content)
    with open_video(tmp_path / "v.mp4") as frames:
        times = [frame.time_s for frame in frames]
    assert video.stride > 1 or most_bytes >= 100_000
    assert times == pytest.approx([k / FPS for k in range(0, 40, video.stride)])


def test_large_frames_are_scaled_and_it_is_said(tmp_path):
    text = write(tmp_path / "large.html", "ITT", size_wh=(1920, 1080))
    assert f"scaled to {LONGEST_SIDE} &times; 540 pixels" in text
    video = ReportVideo(tmp_path, fps=FPS, most_bytes=300_000)
    for tracked in noise(4, (360, 720)):
        video.add(tracked)
    video.content()
    assert max(video.size_wh) == TIGHT_LONGEST_SIDE


@pytest.fixture
def browser():
    found = find_browser()
    if found is None:
        pytest.skip(f"no Chromium on the PATH, nor named by {BROWSER_VARIABLE}")
    return found


PLAYED = """(async () => {
  const video = document.querySelector("video");
  await video.play();
  const start = video.currentTime;
  while (video.currentTime < start + 0.2) await new Promise((done) => setTimeout(done, 20));
  return [video.readyState, video.duration, video.videoWidth, video.error === null];
})()"""
SOUGHT = """(async () => {
  const video = document.querySelector("video");
  const sought = new Promise((done) => video.addEventListener("seeked", done, {once: true}));
  [...document.querySelectorAll("[data-shown] button")].at(-1).click();
  await sought;
  return [video.currentTime, video.paused];
})()"""


def test_a_browser_shows_it_offline(page, browser, tmp_path):
    with Page(browser, tmp_path / "profile") as shown:
        shown.open(page.as_uri())
        ready, duration, width, is_fine = shown.evaluate(PLAYED)
        assert ready >= 3  # HAVE_FUTURE_DATA
        assert duration == pytest.approx(50 / FPS, abs=0.1)
        assert width == 96
        assert is_fine
        assert shown.evaluate(SOUGHT) == [pytest.approx(34 / FPS), True]
        widths = shown.evaluate("[...document.images].map((image) => image.naturalWidth)")
        assert len(widths) == 1
        assert min(widths) > 500
        assert shown.requests == [page.as_uri()]
        assert shown.messages == []
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
        light = cv2.imdecode(np.frombuffer(shown.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    with Page(browser, tmp_path / "dark", width=400, dark=True) as shown:
        shown.open(page.as_uri())
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
        dark = cv2.imdecode(np.frombuffer(shown.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert light[3, 3].min() > 200
    assert dark[3, 3].max() < 60
