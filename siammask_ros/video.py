# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video in and out: files that FFmpeg reads (through PyAV), folders of images, H.264 MP4 files.

    with open_video("clip.mp4") as video:
        for frame in video:
            use(frame.image_bgr)

    with VideoWriter("out.mp4", fps=25) as writer:
        writer.write(image_bgr)

A file being written has a temporary name until it is complete, so that a run that ends early
never leaves half a video behind.
"""

from __future__ import annotations

import math
import os
import re
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siammask_ros.files import PartialFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType, TracebackType

    from typing_extensions import Self

Image = NDArray[np.uint8]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})
FOLDER_FPS = 25.0
"""Frame rate of a folder of images, which does not say its own."""
CRF = 18
"""H.264 constant rate factor: visually without loss."""
COLOUR_TAGS = {
    "colorspace": "smpte170m",
    "color_primaries": "bt709",
    "color_trc": "bt709",
    "color_range": "tv",
}
"""What FFmpeg makes of RGB by default (BT.601, limited range); players guess otherwise in HD."""
TIME_BASE = Fraction(1, 90_000)
"""Unit of the time stamps in files we write, the usual one of MPEG."""
LONGEST_STILL_S = 5.0
"""A pause of the source is shown no longer than this."""
SHORTEST_STEP_S = 1e-3
QUARTER_TURN = 90
CLOCKWISE_QUARTER_TURNS = {
    1: cv2.ROTATE_90_CLOCKWISE,
    2: cv2.ROTATE_180,
    3: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


@dataclass(frozen=True)
class VideoFrame:
    """A frame: its number in the source, its time there in seconds, (H, W, 3) uint8 BGR."""

    index: int
    time_s: float
    image_bgr: Image


class Video(ABC):
    """A source of frames, read once from start to end; a context manager.

    Attributes:
        name: a short name for titles and file names.
        fps: frames a second.
        frame_count: how many frames the iteration yields, None where only reading all would tell.
    """

    name: str
    fps: float
    frame_count: int | None

    @abstractmethod
    def __iter__(self) -> Iterator[VideoFrame]:
        """Read the frames."""

    def close(self) -> None:  # noqa: B027  a folder holds nothing open
        """Let go of the file; nothing can be read after."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_video(path: str | os.PathLike[str], *, start: int = 0, stop: int | None = None) -> Video:
    """Open a video file, or a folder of images that are taken in natural order of their names.

    Args:
        path: the file or folder.
        start: first frame to yield, counted from 0.
        stop: frame before which to end, None for the source's end.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: the range is empty, the folder holds no image, or the file holds no video.
        ImportError: a video file, and the package `av` is not installed.
    """
    if start < 0 or (stop is not None and stop <= start):
        raise ValueError(f"frames {start} to {stop} are no range")
    source = Path(path)
    if source.is_dir():
        return ImageFolder(source, start=start, stop=stop)
    if not source.exists():
        raise FileNotFoundError(f"no such file or folder: {source}")
    return VideoFile(source, start=start, stop=stop)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key with which frame2.png comes before frame10.png."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


class ImageFolder(Video):
    """A folder of images as a video; files that are no images are passed over."""

    def __init__(
        self, path: Path, *, start: int = 0, stop: int | None = None, fps: float = FOLDER_FPS
    ) -> None:
        names = [p.name for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES]
        if not names:
            raise ValueError(f"no image (of {', '.join(sorted(IMAGE_SUFFIXES))}) in {path}")
        if start >= len(names):
            raise ValueError(f"first frame {start}, but {path} has only {len(names)} images")
        ordered = sorted(names, key=natural_key)
        self._files = [path / name for name in ordered[start:stop]]
        self._start = start
        self.name = path.name
        self.fps = fps
        self.frame_count = len(self._files)

    def __iter__(self) -> Iterator[VideoFrame]:
        for offset, file in enumerate(self._files):
            image = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if image is None:
                raise ValueError(f"not a readable image: {file}")
            index = self._start + offset
            yield VideoFrame(index, offset / self.fps, np.asarray(image, np.uint8))


class VideoFile(Video):
    """A video file read with PyAV, turned upright as its metadata says."""

    def __init__(self, path: Path, *, start: int = 0, stop: int | None = None) -> None:
        av = _import_av()
        try:
            self._container = av.open(str(path))
        except (av.FFmpegError, ValueError) as error:
            raise ValueError(f"not a video that can be read: {path} ({_reason(error)})") from error
        if not self._container.streams.video:
            self._container.close()
            raise ValueError(f"no video stream in {path}")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._path = path
        self._start = start
        self._stop = stop
        self.name = path.stem
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate else FOLDER_FPS
        self.frame_count = None
        if self._stream.frames:
            end = self._stream.frames if stop is None else min(stop, self._stream.frames)
            self.frame_count = max(end - start, 0)

    def __iter__(self) -> Iterator[VideoFrame]:
        av = _import_av()
        first_time: float | None = None
        index = -1
        try:
            for index, frame in enumerate(self._container.decode(self._stream)):
                if self._stop is not None and index >= self._stop:
                    break
                if index < self._start:
                    continue
                time_s = frame.time if frame.time is not None else index / self.fps
                first_time = time_s if first_time is None else first_time
                image = _upright(frame.to_ndarray(format="bgr24"), frame)
                yield VideoFrame(index, time_s - first_time, image)
        except av.FFmpegError as error:
            message = f"{self._path} is damaged after frame {index}: {_reason(error)}"
            raise ValueError(message) from error
        if first_time is None:
            raise ValueError(
                f"no frame to read in {self._path}: it has {index + 1}, the first asked for is "
                f"{self._start}"
            )

    def close(self) -> None:
        """Close the file."""
        self._container.close()


class VideoClock:
    """When the frames of a source are shown in a video of it: at their own times, from 0.

    A frame that is not later than the one before follows it as `fps` says, and a pause of more than
    `LONGEST_STILL_S` is cut: clocks jump, and recordings stop and go on.

    Args:
        fps: frames a second where the times do not tell.
    """

    def __init__(self, fps: float) -> None:
        self._step_s = 1 / fps
        self._shown_s = 0.0
        self._last_s: float | None = None

    def next(self, time_s: float) -> float:
        """Seconds from the video's start at which the frame of a time is shown."""
        if self._last_s is not None:
            elapsed = time_s - self._last_s
            step = self._step_s if elapsed <= 0 else max(elapsed, SHORTEST_STEP_S)
            self._shown_s += min(step, LONGEST_STILL_S)
        self._last_s = time_s
        return self._shown_s


class VideoWriter:
    """An H.264 MP4 file that every player shows, whole or not at all.

    The file appears under its name when the `with` block ends well; after an exception, or with
    no frame written, nothing is left. The first frame decides the size; an odd width or height is
    extended by one pixel, which the format requires.

    Args:
        path: the file to write; its folder is made where missing.
        fps: frames a second of frames that come without a time.
        crf: 0 (no loss) to 51; lower is better and larger.
        bit_rate: bits a second at `fps`, in place of `crf`.
        preset: the speed of x264, "ultrafast" to "veryslow".
        threads: encoder threads, 0 for one a core.

    Raises:
        ValueError: fps is not positive.
        ImportError: the package `av` is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fps: float,
        crf: int = CRF,
        bit_rate: float | None = None,
        preset: str = "veryfast",
        threads: int = 1,
    ) -> None:
        if not (fps > 0 and math.isfinite(fps)):
            raise ValueError(f"fps {fps} is not positive")
        self._av = _import_av()
        self.path = Path(path)
        self.fps = fps
        self.frames = 0
        # Without it, x264's tree of macroblocks reads other bits on AVX-512 from run to run.
        self._options = {"preset": preset, "x264-params": "cpu-independent=1", **COLOUR_TAGS}
        if bit_rate is None:
            self._options["crf"] = str(crf)
        else:
            # The buffer of two seconds keeps the encoder to the rate also in a short video.
            self._options |= {"b": f"{bit_rate:.0f}", "maxrate": f"{bit_rate:.0f}"}
            self._options["bufsize"] = f"{2 * bit_rate:.0f}"
        self._threads = threads
        self._container: Any = None
        self._stream: Any = None
        self._file: PartialFile | None = None
        self._shape: tuple[int, ...] = ()
        self._last_pts = -1

    def write(self, image_bgr: Image, *, time_s: float | None = None) -> None:
        """Append a frame.

        Args:
            image_bgr: (H, W, 3) uint8, of the first frame's shape.
            time_s: when it is shown, seconds from the start; by default the next of `fps`.

        Raises:
            ValueError: the frame's shape or type differs, or its time does not follow.
        """
        if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
            raise ValueError(f"not an (H, W, 3) uint8 frame: {image_bgr.shape} {image_bgr.dtype}")
        if self._container is None:
            self._open(image_bgr.shape)
        elif image_bgr.shape != self._shape:
            raise ValueError(f"frame of shape {image_bgr.shape} in a video of {self._shape}")
        seconds = self.frames / self.fps if time_s is None else time_s
        pts = round(seconds / TIME_BASE)
        if pts <= self._last_pts:
            raise ValueError(f"frame at {seconds} s does not come after the one before")
        height, width = self._shape[:2]
        padded = cv2.copyMakeBorder(image_bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="bgr24")
        frame.pts = pts
        frame.time_base = TIME_BASE
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        self.frames += 1
        self._last_pts = pts

    def close(self) -> None:
        """Finish the file and give it its name; without a frame there is nothing to finish."""
        if self._container is None:
            return
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()
        self._container = None
        assert self._file is not None
        self._file.finish()

    def abort(self) -> None:
        """Drop what was written."""
        container, self._container = self._container, None
        try:
            if container is not None:
                # What could not be written cannot be written now; nobody needs it either.
                with suppress(self._av.FFmpegError):
                    container.close()
        finally:
            if self._file is not None:
                self._file.drop()

    def _open(self, shape: tuple[int, ...]) -> None:
        self._file = PartialFile(self.path)
        self._shape = shape
        height, width = shape[:2]
        # The index in front: players start before the file is read to its end.
        self._container = self._av.open(
            str(self._file.partial), "w", format="mp4", options={"movflags": "+faststart"}
        )
        rate = Fraction(self.fps).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate=rate, options=self._options)
        self._stream.width = width + width % 2
        self._stream.height = height + height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = TIME_BASE
        self._stream.codec_context.thread_count = self._threads

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self.abort()


def _import_av() -> ModuleType:
    try:
        import av  # noqa: PLC0415 - only for video files
    except ImportError as error:
        raise ImportError("video files need the package 'av' (pip install av)") from error
    # Silent. At any other level FFmpeg's threads wait for the interpreter lock to log, and a codec
    # that is being closed holds the lock and waits for its threads: both wait for ever.
    av.logging.set_level(None)
    return av


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _upright(image: NDArray[Any], frame: object) -> Image:
    """Turn a frame as its display matrix says: phones store sideways and note the turn."""
    counterclockwise = round(float(getattr(frame, "rotation", 0) or 0) / QUARTER_TURN)
    clockwise_turns = -counterclockwise % 4
    if clockwise_turns == 0:
        return np.asarray(image, np.uint8)
    return np.asarray(cv2.rotate(image, CLOCKWISE_QUARTER_TURNS[clockwise_turns]), np.uint8)
