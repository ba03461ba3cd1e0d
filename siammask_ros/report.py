# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run as one page (HTML) with everything in it: video, tables and charts, nothing to fetch."""

from __future__ import annotations

import base64
import hashlib
import math
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from siammask_ros.files import write_whole
from siammask_ros.history import History, counted, target_name
from siammask_ros.plots import png
from siammask_ros.report_video import ReportVideo
from siammask_ros.run_plots import run_figure, state_colour
from siammask_ros.sinks import FileSink
from siammask_ros.target_status import TargetStatus

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from siammask_ros.history import StateChange, TargetSummary
    from siammask_ros.tracked import TrackedFrame

MOST_CHANGES = 500
"""Rows of the table of changes; of more, the first are shown, and it says so."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2228; --paper: #f5f6f8; --card: #fff; --line: #d5dae0;
  --quiet: #57606a; --accent: #0a5fb4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --paper: #14171b; --card: #1d2126;
  --line: #3a4149; --quiet: #a3adb8; --accent: #7db9f5; }
  img { filter: brightness(.9); } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1.5rem 1rem 3rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { margin: 0 0 .7rem; font-size: 1.15rem; }
section { margin-top: 1.2rem; padding: 1rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .5rem; }
video, img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
img { border-radius: .3rem; }
video { width: 100%; max-height: 80vh; background: #000; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--quiet); padding-bottom: .4rem; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
td { overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.quiet { color: var(--quiet); }
.state { white-space: nowrap; }
.state::before { content: ""; display: inline-block; width: .75em; height: .75em;
  margin-right: .4em; border-radius: .15em; }
STATE_RULES
button { font: inherit; color: var(--accent); background: none; border: 0; padding: 0;
  text-decoration: underline; cursor: pointer; }
"""
SCRIPT = """
"use strict";
const video = document.querySelector("video");
if (video) {
  // Some browsers seek in a blob, but not in a data: address.
  const bytes = Uint8Array.from(atob(video.src.split(",")[1]), (c) => c.charCodeAt(0));
  video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  for (const cell of document.querySelectorAll("[data-shown]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "show in the video";
    button.textContent = cell.textContent;
    button.addEventListener("click", () => {
      video.pause();
      video.currentTime = Number(cell.dataset.shown);
      video.scrollIntoView({ block: "nearest" });
    });
    cell.replaceChildren(button);
  }
}
"""


class ReportSink(FileSink):
    """One page (HTML) about a run, which needs no other file and no network.

    Its size is bounded: the video by `report_video.MOST_BYTES`, the tables by `MOST_CHANGES` and
    the number of targets; see `ReportVideo` for how a long video is made to fit.

    Args:
        path: the file.
        name: the title.
        fps: frames a second where the times of frames do not tell.
        settings: names and values, shown in a table as they are.
        keep_interrupted: see `FileSink`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str,
        fps: float,
        settings: Sequence[tuple[str, str]] = (),
        keep_interrupted: bool = False,
    ) -> None:
        super().__init__(path, keep_interrupted=keep_interrupted)
        self._name = name
        self._fps = fps
        self._settings = settings
        self._history = History()
        self._shown_s: list[float] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._video: ReportVideo | None = None

    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame."""
        if self._video is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            prefix = f".{self.path.name}-"
            self._folder = tempfile.TemporaryDirectory(dir=self.path.parent, prefix=prefix)
            self._video = ReportVideo(Path(self._folder.name), fps=self._fps)
        shown_s = self._video.add(tracked)
        self._shown_s += [shown_s] * len(self._history.add(tracked))

    def finish(self) -> bool:
        """Write the page."""
        if self._video is None:
            return False
        content = self._video.content()
        chart = png(run_figure(self._history)) if self._history.courses else None
        page = Report(
            name=self._name,
            history=self._history,
            shown_s=self._shown_s,
            settings=self._settings,
            video=content,
            video_note=_video_note(self._video, self._history.size_wh),
            chart=chart,
        )
        write_whole(self.path, report_page(page))
        return True

    def drop(self) -> None:
        """Remove the video."""
        if self._video is not None:
            self._video.abort()
        if self._folder is not None:
            self._folder.cleanup()


class Report(NamedTuple):
    """What a page shows.

    Attributes:
        name: the title.
        history: the run.
        shown_s: for each of its changes of state, when its frame is shown in the video.
        settings: names and values.
        video: content of an MP4 file.
        video_note: a sentence on what the video leaves out.
        chart: content of a PNG file; None without a target.
    """

    name: str
    history: History
    shown_s: Sequence[float]
    settings: Sequence[tuple[str, str]]
    video: bytes
    video_note: str
    chart: bytes | None


def report_page(report: Report) -> str:
    """The page as HTML. Names, labels and settings are shown as text, whatever is in them."""
    style = STYLE.replace("STATE_RULES", _state_rules())
    summaries = report.history.summaries()
    # The policy lets nothing in from outside, and no script but this one.
    policy = (
        "default-src 'none'; img-src data:; media-src data: blob:; "
        f"style-src '{_source_hash(style)}'; script-src '{_source_hash(SCRIPT)}'"
    )
    return "\n".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(report.name)}: tracking report</title>",
            f"<style>{style}</style>\n</head>\n<body>\n<main>",
            f"<header><h1>{_text(report.name)}</h1>",
            f'<p class="quiet">{_summary_line(report.history, summaries)}</p></header>',
            _section("Video", _video(report)),
            _section("Targets", _targets_table(summaries)),
            _section("Changes of state", _changes_table(report)),
            _section("Over time", _chart(report, summaries)),
            _section("Settings", _settings_table(report.settings)),
            f"</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        )
    )


def _text(value: str) -> str:
    """Any text as HTML shows it: nothing in it is markup, and it can be written as UTF-8."""
    printable = "".join(
        c if c.isprintable() or c == " " else "\N{REPLACEMENT CHARACTER}" for c in value
    )
    return escape(printable)


def _section(title: str, content: str) -> str:
    anchor = title.lower().replace(" ", "-")
    heading = f'<h2 id="{anchor}">{title}</h2>'
    return f'<section aria-labelledby="{anchor}">\n{heading}\n{content}\n</section>'


def _table(caption: str, header: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already.

    Args:
        caption: above it.
        header: the name of each column, and whether it holds numbers.
        rows: cells, the first of each the row's header.
    """
    kinds = [' class="number"' if is_number else "" for _, is_number in header]
    names = [f'<th scope="col"{k}>{n}</th>' for (n, _), k in zip(header, kinds, strict=True)]
    lines = ['<div class="wide" tabindex="0"><table>', f"<caption>{caption}</caption>"]
    lines.append(f"<thead><tr>{''.join(names)}</tr></thead>\n<tbody>")
    for first, *others in rows:
        cells = [f"<td{k}>{cell}</td>" for cell, k in zip(others, kinds[1:], strict=True)]
        lines.append(f'<tr><th scope="row"{kinds[0]}>{first}</th>{"".join(cells)}</tr>')
    lines.append("</tbody></table></div>")
    return "\n".join(lines)


def _summary_line(history: History, summaries: Sequence[TargetSummary]) -> str:
    width, height = history.size_wh
    losses = sum(summary.losses for summary in summaries)
    returns = sum(summary.returns for summary in summaries)
    words = [
        counted(history.frames, "frame"),
        f"{history.last_time_s - history.first_time_s:.1f} s",
        f"{width} &times; {height} pixels",
        counted(len(summaries), "target"),
        f"lost {counted(losses, 'time')}",
        f"found again {counted(returns, 'time')}",
    ]
    return ", ".join(words)


def _video(report: Report) -> str:
    encoded = base64.b64encode(report.video).decode("ascii")
    note = f'\n<p class="quiet">{report.video_note}</p>' if report.video_note else ""
    return (
        '<video controls muted playsinline preload="auto" aria-label="The results drawn on the '
        f'frames" src="data:video/mp4;base64,{encoded}"></video>{note}'
    )


def _video_note(video: ReportVideo, size_wh: tuple[int, int]) -> str:
    """What the video leaves out, so that the page stays small."""
    words = []
    if video.size_wh != size_wh:
        words.append(f"scaled to {video.size_wh[0]} &times; {video.size_wh[1]} pixels")
    if video.stride > 1:
        words.append(f"one frame of {video.stride} is shown")
    return f"In this page: {', '.join(words)}." if words else ""


def _targets_table(summaries: Sequence[TargetSummary]) -> str:
    if not summaries:
        return "<p>No target was given.</p>"
    header = [("target", False), ("frames", True), ("tracking", True), ("uncertain", True)]
    header += [("lost", True), ("times lost", True), ("times found again", True)]
    header += [("median confidence", True)]
    rows = [
        (
            _text(target_name(summary.target_id, summary.label)),
            f"{summary.frames:,}",
            _percent(summary.tracked_share),
            _percent(summary.uncertain_share),
            _percent(summary.lost_share),
            str(summary.losses),
            str(summary.returns),
            _dash_or(f"{summary.median_confidence:.2f}", summary.median_confidence),
        )
        for summary in summaries
    ]
    caption = (
        "Shares are of the frames after the one that the target was given in; the median is over "
        "the frames in which it was not lost."
    )
    return _table(caption, header, rows)


def _percent(share: float) -> str:
    return _dash_or(f"{100 * share:.1f} %", share)


def _dash_or(text: str, value: float) -> str:
    return "&ndash;" if math.isnan(value) else text


def _changes_table(report: Report) -> str:
    changes = report.history.changes
    if not changes:
        return "<p>None.</p>"
    header = [("time (s)", True), ("frame", True), ("target", False), ("state", False)]
    rows = [
        (
            f'<span data-shown="{shown_s:.4f}">{change.time_s:.2f}</span>',
            str(change.frame),
            _text(target_name(change.target_id, change.label)),
            _change(change),
        )
        for change, shown_s in zip(changes[:MOST_CHANGES], report.shown_s, strict=False)
    ]
    caption = "A time shows its frame in the video."
    if len(changes) > MOST_CHANGES:
        caption += f" These are the first {MOST_CHANGES} of {len(changes):,}."
    return _table(caption, header, rows)


def _change(change: StateChange) -> str:
    before = "" if change.before is None else f"{_state(change.before)} &rarr; "
    return before + (_state(change.after) if change.after is not None else "removed")


def _state(state: TargetStatus) -> str:
    return f'<span class="state {state.name.lower()}">{state.name}</span>'


def _state_rules() -> str:
    return "\n".join(
        f".{state.name.lower()}::before {{ background: {state_colour(state)}; }}"
        for state in TargetStatus
    )


def _chart(report: Report, summaries: Sequence[TargetSummary]) -> str:
    if report.chart is None:
        return "<p>No target was given.</p>"
    told = "; ".join(
        f"{target_name(summary.target_id, summary.label)}: median confidence "
        f"{summary.median_confidence:.2f}, lost {counted(summary.losses, 'time')}"
        for summary in summaries
    )
    about = f"States, confidence, size, angle and path of each target over time. {told}."
    encoded = base64.b64encode(report.chart).decode("ascii")
    return f'<img alt="{_text(about)}" src="data:image/png;base64,{encoded}">'


def _settings_table(settings: Sequence[tuple[str, str]]) -> str:
    if not settings:
        return "<p>None were given.</p>"
    rows = [(_text(name), _text(value)) for name, value in settings]
    return _table("How the run was made.", [("setting", False), ("value", False)], rows)


def _source_hash(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
