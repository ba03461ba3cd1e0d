# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label images, as Pillow reads and writes them too."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from siammask_ros.label_images import (
    PALETTE,
    encode_label_image,
    is_indexed_png,
    read_foreground,
    read_label_image,
)


@pytest.fixture
def labels():
    """Every number there is, and a rectangle."""
    drawn = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(3, axis=1)
    drawn[4:9, 10:30] = 7
    return drawn


def test_pillow_reads_what_is_written(tmp_path, labels):
    path = tmp_path / "a.png"
    path.write_bytes(encode_label_image(labels))
    with Image.open(path) as image:
        assert image.mode == "P"
        assert (np.array(image) == labels).all()
        assert (np.array(image.convert("RGB")) == PALETTE[labels]).all()
    assert is_indexed_png(path)
    assert (read_label_image(path) == labels).all()
    assert (read_foreground(path) == (labels > 0)).all()


def test_palette_is_that_of_davis():
    assert PALETTE[:9].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
        [0, 128, 128],
        [128, 128, 128],
        [64, 0, 0],
    ]
    assert len({tuple(colour) for colour in PALETTE.tolist()}) == 256
    assert PALETTE[255].tolist() == [224, 224, 192]


@pytest.mark.parametrize("most", [1, 3, 15, 255])
def test_what_pillow_writes_is_read(tmp_path, labels, most):
    """Few colours are stored with fewer bits a pixel, and two may look alike."""
    wanted = np.minimum(labels, most)
    path = tmp_path / "a.png"
    image = Image.fromarray(wanted, mode="P")
    image.putpalette([10, 20, 30] * (most + 1))
    image.save(path, bits={1: 1, 3: 2, 15: 4}.get(most, 8), transparency=0)
    assert is_indexed_png(path)
    assert (read_label_image(path) == wanted).all()


def test_grey_values_are_numbers(tmp_path, labels):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), labels)
    assert not is_indexed_png(path)
    assert (read_label_image(path) == labels).all()


def test_other_images_are_refused(tmp_path, labels):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.dstack([labels] * 3))
    with pytest.raises(ValueError, match=r"a\.png: expected a palette or 8-bit grey"):
        read_label_image(path)
    cv2.imwrite(str(path), labels.astype(np.uint16))
    with pytest.raises(ValueError, match="expected a palette or 8-bit grey"):
        read_label_image(path)
    for content in (b"", b"no image", encode_label_image(labels)[:60]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not an image"):
            read_label_image(path)
    with pytest.raises(ValueError, match="not an image"):
        read_foreground(path)
    with pytest.raises(FileNotFoundError):
        read_label_image(tmp_path / "none.png")
