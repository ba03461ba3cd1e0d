# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video files and folders: what is written is read back, and bad input is named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from siammask_ros.video import ImageFolder, VideoFile, VideoWriter, natural_key, open_video

pytest.importorskip("av")


def grey_frame(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def write_clip(path: Path, levels: list[int], *, fps: float = 20.0) -> None:
    with VideoWriter(path, fps=fps) as writer:
        for level in levels:
            writer.write(grey_frame(level))


def fail_while_writing(path: Path) -> None:
    try:
        with VideoWriter(path, fps=25) as writer:
            writer.write(grey_frame(200))
            writer.write("not a frame")
    except AttributeError:
        pass


def test_written_frames_are_read_back_in_order(tmp_path):
    levels = [10, 60, 110, 160, 210, 250]
    write_clip(tmp_path / "clip.mp4", levels)
    with open_video(tmp_path / "clip.mp4") as video:
        frames = list(video)
        assert isinstance(video, VideoFile)
        assert video.fps == pytest.approx(20.0)
        assert video.frame_count == len(levels)
        assert video.name == "clip"
    assert [frame.index for frame in frames] == list(range(len(levels)))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 20 for i in range(6)])
    for frame, level in zip(frames, levels, strict=True):
        assert frame.image_bgr.shape == (48, 64, 3)
        assert frame.image_bgr.dtype == np.uint8
        assert abs(float(frame.image_bgr.mean()) - level) < 4


def test_colours_keep_their_channels(tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)
    image[...] = (200, 60, 20)  # blue, green, red
    with VideoWriter(tmp_path / "blue.mp4", fps=10) as writer:
        writer.write(image)
    with open_video(tmp_path / "blue.mp4") as video:
        mean = next(iter(video)).image_bgr.reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(mean, (200, 60, 20), atol=8)


def test_the_file_is_h264_that_players_show(tmp_path):
    import av  # noqa: PLC0415

    write_clip(tmp_path / "clip.mp4", [0, 100])
    with av.open(str(tmp_path / "clip.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert context.name == "h264"
        assert context.pix_fmt == "yuv420p"
        # BT.601 in limited range: without a word, players take BT.709 for HD.
        assert (int(context.colorspace), int(context.color_range)) == (6, 1)


def test_range_of_frames(tmp_path):
    write_clip(tmp_path / "clip.mp4", [20, 60, 100, 140, 180])
    with open_video(tmp_path / "clip.mp4", start=1, stop=4) as video:
        assert video.frame_count == 3
        frames = list(video)
    assert [frame.index for frame in frames] == [1, 2, 3]
    assert frames[0].time_s == 0.0
    assert abs(float(frames[0].image_bgr.mean()) - 60) < 4


def test_given_times_are_kept(tmp_path):
    times = [0.0, 0.1, 0.5]
    with VideoWriter(tmp_path / "slow.mp4", fps=25) as writer:
        for time_s in times:
            writer.write(grey_frame(100), time_s=time_s)
    with open_video(tmp_path / "slow.mp4") as video:
        assert [frame.time_s for frame in video] == pytest.approx(times)


def test_a_bit_rate_is_kept_to(tmp_path):
    noise = np.random.default_rng(0)
    with VideoWriter(tmp_path / "rate.mp4", fps=10, bit_rate=80_000) as writer:
        for _ in range(50):
            writer.write(noise.integers(0, 256, (120, 160, 3), np.uint8))
    seconds, bytes_per_second = 5, 10_000
    assert (tmp_path / "rate.mp4").stat().st_size < 1.5 * seconds * bytes_per_second


def test_odd_size_is_extended_by_one_pixel(tmp_path):
    with VideoWriter(tmp_path / "odd.mp4", fps=25) as writer:
        writer.write(grey_frame(100, width=63, height=47))
    with open_video(tmp_path / "odd.mp4") as video:
        assert next(iter(video)).image_bgr.shape == (48, 64, 3)


def test_failed_run_leaves_nothing(tmp_path):
    target = tmp_path / "new" / "clip.mp4"
    fail_while_writing(target)
    assert list(target.parent.iterdir()) == []


def test_failed_run_keeps_the_old_file(tmp_path):
    target = tmp_path / "clip.mp4"
    write_clip(target, [10, 20])
    before = target.read_bytes()
    fail_while_writing(target)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_no_frame_makes_no_file(tmp_path):
    with VideoWriter(tmp_path / "empty.mp4", fps=25):
        pass
    assert list(tmp_path.iterdir()) == []


def test_writer_refuses_what_does_not_fit(tmp_path):
    with pytest.raises(ValueError, match="fps 0"):
        VideoWriter(tmp_path / "a.mp4", fps=0)
    with VideoWriter(tmp_path / "a.mp4", fps=25) as writer:
        writer.write(grey_frame(1))
        with pytest.raises(ValueError, match=r"\(50, 64, 3\)"):
            writer.write(grey_frame(1, height=50))
        with pytest.raises(ValueError, match="uint8"):
            writer.write(np.zeros((48, 64), np.uint8))
        with pytest.raises(ValueError, match="does not come after"):
            writer.write(grey_frame(1), time_s=0.0)


def test_folder_in_natural_order(tmp_path):
    for number in (10, 9, 2, 1):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), grey_frame(number * 10))
    (tmp_path / "notes.txt").write_text("not an image")
    with open_video(tmp_path) as video:
        assert isinstance(video, ImageFolder)
        assert video.frame_count == 4
        levels = [int(frame.image_bgr[0, 0, 0]) for frame in video]
    assert levels == [10, 20, 90, 100]
    with open_video(tmp_path, start=1, stop=3) as video:
        assert [frame.index for frame in video] == [1, 2]


def test_natural_key_mixes_numbers_and_words():
    names = ["b1", "a10", "a2", "10", "9", "a"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "a2", "a10", "b1"]


def test_damaged_image_is_named(tmp_path):
    (tmp_path / "00.png").write_bytes(b"not a picture")
    with open_video(tmp_path) as video, pytest.raises(ValueError, match=r"00\.png"):
        list(video)


@pytest.mark.parametrize("content", [b"", b"plain text, no video at all" * 20])
def test_not_a_video(tmp_path, content):
    file = tmp_path / "notes.mp4"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.mp4"):
        open_video(file)


def test_truncated_video_is_refused(tmp_path):
    write_clip(tmp_path / "clip.mp4", list(range(0, 250, 10)))
    whole = (tmp_path / "clip.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(ValueError, match=r"cut\.mp4"), open_video(tmp_path / "cut.mp4") as video:
        list(video)


def test_missing_source_and_bad_ranges(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.mp4"):
        open_video(tmp_path / "nowhere.mp4")
    with pytest.raises(ValueError, match="no image"):
        open_video(tmp_path)
    write_clip(tmp_path / "clip.mp4", [1, 2])
    with pytest.raises(ValueError, match="3 to 3"):
        open_video(tmp_path / "clip.mp4", start=3, stop=3)
    with (
        open_video(tmp_path / "clip.mp4", start=5) as video,
        pytest.raises(ValueError, match="no frame"),
    ):
        list(video)


def test_ffmpeg_does_not_log_through_python(tmp_path):
    """Its threads would wait for the interpreter lock that closing a codec holds: a deadlock."""
    import av  # noqa: PLC0415

    av.logging.set_level(av.logging.FATAL)
    write_clip(tmp_path / "clip.mp4", [1, 2])
    with open_video(tmp_path / "clip.mp4") as video:
        next(iter(video))
    assert av.logging.get_level() is None
