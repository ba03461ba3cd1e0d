# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lists of targets as YAML files.

targets:
  - box: [300, 110, 165, 250]        # x, y, width, height in pixels
    label: cup                       # optional
    id: 1                            # optional, 1 to 255; otherwise the lowest that is free
    stamp: 1700000000.123456789      # the image it is drawn on, by its stamp;
                                     # or frame: 12, its number; or time: 0.48, in seconds
                                     # after the first; without any of them, the first
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from siammask_ros.engine import TargetRequest
from siammask_ros.frames import NANOSECONDS_PER_SECOND
from siammask_ros.geometry import Box, parse_box_xywh
from siammask_ros.longterm import MAX_TARGETS

if TYPE_CHECKING:
    import os

TOP_KEY = "targets"
KEYS = ("box", "frame", "id", "label", "stamp", "time")
MOMENT_KEYS = ("frame", "stamp", "time")
_STAMP = re.compile(r"(\d+)(?:\.(\d{1,9}))?")


class ListedTarget(NamedTuple):
    """A target of a list, and the image that it is drawn on: at most one of three says which.

    Attributes:
        request: id (0: any), label and box.
        name: which of the list it is, for messages.
        frame: number of the image among those of its topic, from 0.
        stamp_ns: its stamp in nanoseconds.
        time_s: its time in seconds after the first image.
    """

    request: TargetRequest
    name: str
    frame: int | None = None
    stamp_ns: int | None = None
    time_s: float | None = None


def read_targets(path: str | os.PathLike[str]) -> list[ListedTarget]:
    """Read a list of targets.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a list; the text names file, target, and what is wrong.
    """
    import yaml  # noqa: PLC0415 - only for lists

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such list of targets: {path}")
    try:
        # The base loader keeps numbers as text: a stamp has more digits than a float.
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or set(content) != {TOP_KEY}:
        found = ", ".join(map(repr, content)) if isinstance(content, dict) else repr(content)
        raise ValueError(f"{path}: the only key must be '{TOP_KEY}', got {found}")
    entries = content[TOP_KEY]
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path}: '{TOP_KEY}' must be a list of targets, got {entries!r}")
    return [
        _target(entry, f"{path}, target {number}") for number, entry in enumerate(entries, start=1)
    ]


def parse_stamp(text: str) -> int:
    """Seconds with up to nine decimals, as nanoseconds.

    Raises:
        ValueError: the text is something else.
    """
    match = _STAMP.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a stamp: seconds with up to nine decimals")
    return int(match[1]) * NANOSECONDS_PER_SECOND + int((match[2] or "").ljust(9, "0"))


def _target(entry: Any, name: str) -> ListedTarget:  # noqa: ANN401 - whatever the file says
    if not isinstance(entry, dict):
        raise ValueError(f"{name}: {entry!r} is no target, it needs a box: [x, y, width, height]")
    unknown = [key for key in entry if key not in KEYS]
    if unknown:
        raise ValueError(f"{name}: unknown key {unknown[0]!r}, known are {', '.join(KEYS)}")
    moments = [key for key in MOMENT_KEYS if key in entry]
    if len(moments) > 1:
        raise ValueError(f"{name}: {' and '.join(moments)} are both given, one is enough")
    if "box" not in entry:
        raise ValueError(f"{name}: the key 'box' is missing")
    try:
        request = TargetRequest(
            _target_id(entry.get("id", "0")), _text(entry.get("label", "")), _box(entry["box"]).xywh
        )
        moment = {key: _MOMENTS[key][1](_text(entry[key])) for key in moments}
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return ListedTarget(request, name, **{_MOMENTS[key][0]: moment[key] for key in moments})


def _text(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a single value")
    return value


def _target_id(value: Any) -> int:  # noqa: ANN401
    text = _text(value)
    if not text.isdecimal() or not 0 <= int(text) <= MAX_TARGETS:
        raise ValueError(f"id {text!r} is not a number from 1 to {MAX_TARGETS}")
    return int(text)


def _box(value: Any) -> Box:  # noqa: ANN401
    text = ",".join(map(str, value)) if isinstance(value, list) else _text(value)
    return parse_box_xywh(text)


def _frame(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"frame {text!r} is not a number of an image, from 0")
    return int(text)


def _time(text: str) -> float:
    try:
        time_s = float(text)
    except ValueError:
        time_s = math.nan
    if not 0 <= time_s < math.inf:
        raise ValueError(f"time {text!r} is not a number of seconds, from 0")
    return time_s


_MOMENTS: dict[str, tuple[str, Any]] = {
    "frame": ("frame", _frame),
    "stamp": ("stamp_ns", parse_stamp),
    "time": ("time_s", _time),
}
"""For each key that names an image, the attribute it becomes and what reads it."""
