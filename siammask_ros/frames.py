# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera frames, and the buffer of the latest ones that requests look up by stamp."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from siammask_ros.reduced_images import ReducedImage, ReducibleJpeg, largest_reduction

ImageBgr = NDArray[np.uint8]

NANOSECONDS_PER_SECOND = 1_000_000_000
MILLISECONDS_PER_SECOND = 1000


class Frame:
    """One camera image with its stamp; the pixels are decoded on first use.

    Attributes:
        sequence: position in the order of arrival at its camera, from 0.
        stamp_ns: acquisition time in nanoseconds.
        header: the header of the message, handed on untouched.
        data_bytes: size of the message's data.
        arrival_s: when it arrived, by `time.perf_counter`.
        decode_ms: what decoding took, 0 before it happened.
        reducible: the data, where less than the whole image may be decoded.
    """

    def __init__(
        self,
        *,
        sequence: int,
        stamp_ns: int,
        header: object,
        decode: Callable[[], ImageBgr],
        data_bytes: int = 0,
        reducible: ReducibleJpeg | None = None,
    ) -> None:
        self.sequence = sequence
        self.stamp_ns = stamp_ns
        self.header = header
        self.data_bytes = data_bytes
        self.arrival_s = time.perf_counter()
        self.decode_ms = 0.0
        self.reducible = reducible
        self._reduced: ReducedImage | None = None
        self._decode: Callable[[], ImageBgr] | None = decode
        self._image: ImageBgr | None = None
        self._error: ValueError | None = None
        self._lock = threading.Lock()

    @property
    def image_bgr(self) -> ImageBgr:
        """(H, W, 3) uint8; decoded once, whichever thread asks first.

        Raises:
            ValueError: the data cannot be decoded.
        """
        with self._lock:
            if self._decode is not None:
                self._run_decoder(self._decode)
            if self._error is not None:
                raise self._error
            assert self._image is not None
            return self._image

    def image_for(self, scales: Iterable[float]) -> ImageBgr | ReducedImage:
        """The image as it is needed by patches of so many image pixels a pixel.

        Raises:
            ValueError: the data cannot be decoded.
        """
        with self._lock:
            reduction = largest_reduction(scales)
            if self.reducible is not None and self._image is None and reduction > 1:
                if self._error is not None:
                    raise self._error
                if self._reduced is None or self._reduced.reduction > reduction:
                    self._reduced = self._decoded_reduced(self.reducible, reduction)
                return self._reduced
        return self.image_bgr

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        if self.reducible is not None:
            return self.reducible.size_wh
        height, width = self.image_bgr.shape[:2]
        return width, height

    @property
    def held_bytes(self) -> int:
        """Memory that the frame takes: its message's, or that of the decoded pixels."""
        image, reduced = self._image, self._reduced
        if image is None:
            return self.data_bytes + (reduced.pixels_bgr.nbytes if reduced else 0)
        return max(self.data_bytes, image.nbytes)

    @property
    def is_decodable(self) -> bool:
        """False where `image_bgr` raises; decodes."""
        try:
            return self.image_bgr is not None
        except ValueError:
            return False

    def _decoded_reduced(self, data: ReducibleJpeg, reduction: int) -> ReducedImage:
        began = time.perf_counter()
        try:
            return data.decode(reduction)
        except ValueError as error:
            self._error = error
            raise
        finally:
            self.decode_ms += (time.perf_counter() - began) * MILLISECONDS_PER_SECOND

    def _run_decoder(self, decode: Callable[[], ImageBgr]) -> None:
        began = time.perf_counter()
        try:
            self._image = decode()
        except ValueError as error:
            self._error = error
        self._decode = None  # lets go of the compressed data
        self.decode_ms += (time.perf_counter() - began) * MILLISECONDS_PER_SECOND


class FrameBuffer:
    """The latest frames of one camera, bounded in number, time and memory. Thread-safe.

    The newest frame is held in any case.
    """

    def __init__(self, *, max_frames: int, max_seconds: float, max_bytes: float = math.inf) -> None:
        self._lock = threading.Lock()
        self._frames: deque[Frame] = deque()
        self.limit(max_frames=max_frames, max_seconds=max_seconds, max_bytes=max_bytes)

    def limit(self, *, max_frames: int, max_seconds: float, max_bytes: float = math.inf) -> None:
        """Set the bounds anew; number at once, time and memory with the next frame.

        Raises:
            ValueError: nothing would be held.
        """
        if max_frames < 1 or max_seconds < 0:
            raise ValueError(f"a buffer of {max_frames} frames, {max_seconds} s holds nothing")
        with self._lock:
            self._max_age_ns = round(max_seconds * NANOSECONDS_PER_SECOND)
            self._max_bytes = max_bytes
            self._frames = deque(self._frames, maxlen=max_frames)

    def append(self, frame: Frame) -> bool:
        """Add the newest frame; one that is older than the last empties the buffer first.

        Returns:
            True when time jumped back.
        """
        with self._lock:
            jumped_back = bool(self._frames) and frame.stamp_ns < self._frames[-1].stamp_ns
            if jumped_back:
                self._frames.clear()
            self._frames.append(frame)
            while frame.stamp_ns - self._frames[0].stamp_ns > self._max_age_ns:
                self._frames.popleft()
            held_bytes = sum(held.held_bytes for held in self._frames)
            while held_bytes > self._max_bytes and len(self._frames) > 1:
                held_bytes -= self._frames.popleft().held_bytes
        return jumped_back

    def find(self, stamp_ns: int) -> Frame:
        """The frame of exactly this stamp, the newest for 0.

        Raises:
            ValueError: there is none; the text says what is held.
        """
        with self._lock:
            frames = list(self._frames)
        if not frames:
            raise ValueError("no image has arrived yet")
        if stamp_ns == 0:
            return frames[-1]
        for frame in reversed(frames):
            if frame.stamp_ns == stamp_ns:
                return frame
        oldest, newest = frames[0].stamp_ns, frames[-1].stamp_ns
        where = "in the future" if stamp_ns > newest else "no longer held"
        if oldest < stamp_ns < newest:
            where = "of no image"
        raise ValueError(
            f"stamp {format_stamp(stamp_ns)} is {where}: there are {len(frames)} images "
            f"from {format_stamp(oldest)} to {format_stamp(newest)}"
        )

    def find_shown(self, stamp_ns: int) -> Frame:
        """What a viewer showed at a time: the newest frame that is not of later, the newest for 0.

        Raises:
            ValueError: there is none; the text says what is held.
        """
        with self._lock:
            stamps_ns = [held.stamp_ns for held in self._frames]
        earlier = [held_ns for held_ns in stamps_ns if held_ns <= stamp_ns]
        return self.find(earlier[-1] if stamp_ns and earlier else stamp_ns)

    def is_ahead(self, stamp_ns: int) -> bool:
        """A frame of this stamp may still come."""
        with self._lock:
            return not self._frames or stamp_ns > self._frames[-1].stamp_ns

    def after(self, frame: Frame) -> list[Frame]:
        """The frames that arrived later than this one, in order."""
        with self._lock:
            return [held for held in self._frames if held.sequence > frame.sequence]

    def clear(self) -> None:
        """Forget all frames."""
        with self._lock:
            self._frames.clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._frames)


def format_stamp(stamp_ns: int) -> str:
    """Seconds with all nine decimals, as `sec` and `nanosec` of a stamp give them."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS_PER_SECOND)
    return f"{seconds}.{nanoseconds:09d}"
