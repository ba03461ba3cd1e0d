# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training data sets in their public layouts, written here by tiny_data."""

from __future__ import annotations

import json
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from tiny_data import (
    BLUE,
    RED,
    write_coco,
    write_davis,
    write_davis_2017,
    write_imagenet_det,
    write_imagenet_vid,
    write_palette_png,
    write_polygons,
    write_youtube_vos,
)

from siammask_ros.training.config import (
    SOURCE_KINDS,
    DataConfig,
    SourceConfig,
    load_training_config,
)
from siammask_ros.training.datasets import READERS, DatasetError, Reading, coco, read_sources
from siammask_ros.training.datasets.files import read_foreground, read_indices
from siammask_ros.training.datasets.people import touching_people
from siammask_ros.training.samples import SampleConfig, SampleDataset
from siammask_ros.training.sources import MaskedTarget, Source, boxed_target

WRITERS: dict[str, Callable[[Path], None]] = {
    "davis": write_davis,
    "youtube_vos": write_youtube_vos,
    "coco": write_coco,
    "polygons": write_polygons,
    "imagenet_vid": write_imagenet_vid,
    "imagenet_det": write_imagenet_det,
}


def read(kind: str, root: Path, **options: Any) -> Source:
    (source,) = read_sources(DataConfig({"mine": SourceConfig(kind, str(root), **options)}))
    return source


def seen(target: MaskedTarget | None) -> MaskedTarget:
    assert target is not None
    return target


def names_and_lengths(source: Source) -> list[tuple[str, int]]:
    return [(clip.name, len(clip.frames)) for clip in source.clips]


def mean_color(target: MaskedTarget) -> np.ndarray:
    return target.image_crop[target.mask_crop > 0].mean(axis=0)


# --- Every kind


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("in_memory", [False, True])
def test_every_kind_gives_targets_of_their_colour(
    tmp_path: Path, kind: str, *, in_memory: bool
) -> None:
    WRITERS[kind](tmp_path)
    source = read(kind, tmp_path, in_memory=in_memory)
    assert source.has_masks == (not kind.startswith("imagenet"))
    assert source.targets == sum(len(clip.frames) for clip in source.clips) > 0
    for clip in source.clips:
        assert clip.is_video == (kind in {"davis", "youtube_vos", "imagenet_vid"})
        for target in map(seen, clip.frames):
            assert target.has_mask == source.has_masks
            assert min(target.size_wh) >= 16
            if kind != "davis":
                color = RED if clip.name in {"two/2", "other/2"} or "/4" in clip.name else BLUE
                np.testing.assert_allclose(mean_color(target), color, atol=12)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_gives_samples_that_other_processes_can_make(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](tmp_path)
    config = SampleConfig(
        pair_share=1.0,
        composite_share=0.0,
        negative_share=0.0,
        distractor_probability=0.0,
        occluder_probability=0.0,
    )
    dataset = SampleDataset([read(kind, tmp_path)], config, seed=0, length=2)
    sample, again = dataset[1], pickle.loads(pickle.dumps(dataset))[1]  # noqa: S301
    np.testing.assert_array_equal(sample.search_patch, again.search_patch)
    assert sample.has_mask == (not kind.startswith("imagenet"))


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_names_the_missing_image(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](tmp_path)
    used = {p for p in tmp_path.rglob("*") if p.suffix in {".jpg", ".JPEG"}} - {
        tmp_path / "images" / "no_label.jpg"
    }
    missing = min(used)
    missing.unlink()
    if kind in {"davis", "polygons"}:  # these list what images there are
        for other in used - {missing}:
            other.unlink()
        message = "no frames in|no target"
    else:
        message = f"missing image {missing}"
    with pytest.raises(DatasetError, match=message):
        read(kind, tmp_path)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_names_the_missing_folder(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DatasetError, match=f"no (folder|file) {tmp_path}"):
        read(kind, tmp_path)


def test_a_broken_image_is_named_before_training_where_images_are_kept(tmp_path: Path) -> None:
    write_davis(tmp_path)
    broken = tmp_path / "JPEGImages" / "second" / "00001.jpg"
    broken.write_bytes(b"no image")
    with pytest.raises(DatasetError, match=f"cannot read image {broken}"):
        read("davis", tmp_path, in_memory=True)
    frames = read("davis", tmp_path).clips[1].frames
    assert len(frames) == 3
    with pytest.raises(DatasetError, match=f"cannot read image {broken}"):
        frames[1]


def test_images_in_memory_are_shared_by_their_targets(tmp_path: Path) -> None:
    write_davis_2017(tmp_path)
    first, second = read("davis", tmp_path, year=2017, in_memory=True).clips
    assert seen(first.frames[0]).image_bgr is seen(second.frames[0]).image_bgr
    lazy = read("davis", tmp_path, year=2017).clips[0].frames
    assert seen(lazy[0]).image_bgr is not seen(lazy[0]).image_bgr
    assert len(lazy[1:]) == 2
    assert seen(lazy[-1]).origin_xy == seen(lazy[2]).origin_xy == (14, 20)
    with pytest.raises(IndexError):
        lazy[3]


def test_sources_without_weight_are_not_read(tmp_path: Path) -> None:
    write_davis(tmp_path)
    data = DataConfig(
        {
            "there": SourceConfig("davis", str(tmp_path), weight=0.0),
            "off": SourceConfig("coco", "nowhere", weight=0.0, cutout_weight=0.0),
        }
    )
    assert [source.name for source in read_sources(data)] == ["there"]


@pytest.mark.parametrize("kind", WRITERS)
def test_reading_tells_how_far_it_is(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](tmp_path)
    told: list[Reading] = []
    data = DataConfig({"mine": SourceConfig(kind, str(tmp_path), in_memory=True)})
    (source,) = read_sources(data, on_progress=told.append)
    assert list(dict.fromkeys(reading.work for reading in told)) == ["list mine", "read mine"]
    for work in ("list mine", "read mine"):
        counts = [(done, total) for at, done, total in told if at == work]
        total = counts[0][1]
        assert total >= 1
        assert counts == [(done, total) for done in range(total + 1)]
    assert told[-1].total >= len(source.clips)


def test_all_sources_are_checked_before_an_image_is_read(tmp_path: Path) -> None:
    write_davis(tmp_path)
    (tmp_path / "JPEGImages" / "first" / "00000.jpg").write_bytes(b"no image")
    data = DataConfig(
        {
            "broken": SourceConfig("davis", str(tmp_path), in_memory=True),
            "missing": SourceConfig("davis", str(tmp_path / "nowhere")),
        }
    )
    with pytest.raises(DatasetError, match="nowhere"):
        read_sources(data)


def test_small_targets_are_left_out_and_counted(tmp_path: Path) -> None:
    write_davis(tmp_path)
    assert read("davis", tmp_path, min_side=40).left_out == 0
    with pytest.raises(DatasetError, match="mine: no target of 41 pixels or more"):
        read("davis", tmp_path, min_side=41)


# --- DAVIS


def test_davis_frames_and_boxes(tmp_path: Path) -> None:
    write_davis(tmp_path)
    source = read("davis", tmp_path)
    assert names_and_lengths(source) == [("first", 3), ("second", 3)]
    assert source.images == 6
    target = seen(source.clips[0].frames[2])
    assert target.origin_xy == (38, 50)
    assert target.size_wh == (50, 40)
    assert target.center_xy == (38 + 24.5, 50 + 19.5)
    assert target.area == 2000


def test_davis_leaves_out_what_is_held_out(tmp_path: Path) -> None:
    write_davis(tmp_path)
    assert [c.name for c in read("davis", tmp_path, exclude=("first",)).clips] == ["second"]
    assert [c.name for c in read("davis", tmp_path, include=("first",)).clips] == ["first"]
    with pytest.raises(DatasetError, match="there is no third"):
        read("davis", tmp_path, exclude=("third",))
    with pytest.raises(DatasetError, match="nothing to read"):
        read("davis", tmp_path, exclude=("first", "second"))


def test_davis_names_the_missing_mask(tmp_path: Path) -> None:
    write_davis(tmp_path)
    missing = tmp_path / "Annotations" / "second" / "00001.png"
    missing.unlink()
    with pytest.raises(DatasetError, match=f"missing mask {missing}"):
        read("davis", tmp_path)


def test_davis_2016_takes_the_sequences_of_the_split(tmp_path: Path) -> None:
    write_davis(tmp_path)
    sets = tmp_path / "ImageSets" / "480p"
    sets.mkdir(parents=True)
    lines = [f"/JPEGImages/480p/second/{i:05d}.jpg /Annotations/480p/x.png" for i in range(3)]
    (sets / "train.txt").write_text("\n".join(lines) + "\n")
    assert [c.name for c in read("davis", tmp_path).clips] == ["second"]
    with pytest.raises(DatasetError, match=r"no list .*val\.txt"):
        read("davis", tmp_path, split="val")
    (sets / "val.txt").write_text("third\n")
    with pytest.raises(DatasetError, match=f"no folder {tmp_path / 'JPEGImages' / 'third'}"):
        read("davis", tmp_path, split="val")


def test_davis_2017_has_a_clip_a_target(tmp_path: Path) -> None:
    write_davis_2017(tmp_path)
    source = read("davis", tmp_path, year=2017)
    assert names_and_lengths(source) == [("two/1", 3), ("two/2", 2)]
    assert {clip.scene for clip in source.clips} == {"two"}
    second = seen(source.clips[1].frames[0])
    assert (second.origin_xy, second.size_wh) == ((90, 70), (50, 40))
    assert [c.name for c in read("davis", tmp_path, year=2017, split="val").clips] == [
        "other/1",
        "other/2",
    ]


def test_davis_2017_read_as_2016_is_one_target(tmp_path: Path) -> None:
    write_davis_2017(tmp_path)
    (tmp_path / "ImageSets" / "2016").mkdir()
    (tmp_path / "ImageSets" / "2016" / "train.txt").write_text("two\n")
    source = read("davis", tmp_path)
    assert names_and_lengths(source) == [("two", 3)]
    assert seen(source.clips[0].frames[0]).size_wh == (130, 90)  # both squares
    assert seen(source.clips[0].frames[2]).size_wh == (40, 40)


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    write_davis(tmp_path)
    path = tmp_path / "Annotations" / "first" / "00000.png"
    cv2.imwrite(str(path), np.full((60, 80), 255, np.uint8))
    with pytest.raises(DatasetError, match=r"00000\.png has shape \(60, 80\)"):
        read("davis", tmp_path, in_memory=True)


# --- Masks of several targets


def test_palette_indices_are_read_whatever_their_colours(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 6, (37, 53), dtype=np.uint8)
    numbers[5:20, 5:30] = 255
    colors = np.stack(np.unravel_index(rng.permutation(4096)[:256], (16, 16, 16)), axis=1) * 17
    path = tmp_path / "mask.png"
    write_palette_png(path, numbers, [tuple(c) for c in colors.tolist()])
    np.testing.assert_array_equal(read_indices(path), numbers)
    write_palette_png(path, numbers, [(9, 9, 9)] * 256)
    np.testing.assert_array_equal(read_indices(path), numbers)


def test_grey_masks_hold_the_numbers_themselves(tmp_path: Path) -> None:
    numbers = np.arange(48, dtype=np.uint8).reshape(6, 8)
    cv2.imwrite(str(tmp_path / "mask.png"), numbers)
    np.testing.assert_array_equal(read_indices(tmp_path / "mask.png"), numbers)
    np.testing.assert_array_equal(read_foreground(tmp_path / "mask.png"), numbers > 0)


def test_masks_without_numbers_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DatasetError, match="expected a palette or 8-bit grey values"):
        read_indices(path)
    path.write_bytes(b"no image")
    with pytest.raises(DatasetError, match="not an image"):
        read_indices(path)


# --- YouTube-VOS


def test_youtube_vos_lists_objects_without_reading_masks(tmp_path: Path) -> None:
    write_youtube_vos(tmp_path)
    source = read("youtube_vos", tmp_path)
    assert names_and_lengths(source) == [("other/1", 3), ("other/2", 2), ("two/1", 3), ("two/2", 2)]
    assert source.images == 6
    assert seen(source.clips[2].frames[1]).origin_xy == (12, 20)


def test_youtube_vos_objects_that_cannot_be_seen_show_on_access(tmp_path: Path) -> None:
    write_youtube_vos(tmp_path)
    index = tmp_path / "train" / "meta.json"
    meta = json.loads(index.read_text())
    meta["videos"]["two"]["objects"]["2"]["frames"].append("00010")
    index.write_text(json.dumps(meta))
    frames = read("youtube_vos", tmp_path).clips[3].frames
    assert [frame is None for frame in frames] == [False, False, True]
    source = read("youtube_vos", tmp_path, in_memory=True)
    assert (len(source.clips[3].frames), source.left_out) == (2, 1)


@pytest.mark.parametrize("content", ["{", "[]", '{"videos": {"two": {}}}', '{"videos": []}'])
def test_a_broken_index_is_named(tmp_path: Path, content: str) -> None:
    write_youtube_vos(tmp_path)
    (tmp_path / "train" / "meta.json").write_text(content)
    with pytest.raises(DatasetError, match=r"meta\.json: not"):
        read("youtube_vos", tmp_path)


# --- COCO


def test_coco_reads_polygons_and_run_lengths_and_leaves_crowds_out(tmp_path: Path) -> None:
    write_coco(tmp_path)
    source = read("coco", tmp_path)
    assert names_and_lengths(source) == [("000000000001/1", 1), ("000000000002/4", 1)]
    assert (source.images, source.left_out) == (2, 2)
    parts = seen(source.clips[0].frames[0])
    assert (parts.origin_xy, parts.size_wh) == ((10, 20), (40, 40))
    assert not parts.mask_crop[:, 22:28].any()  # between the two parts
    assert parts.area == (20 + 10) * 40
    whole = seen(source.clips[1].frames[0])
    assert (whole.origin_xy, whole.size_wh, whole.area) == ((10, 20), (40, 40), 1600)


def test_coco_images_may_be_in_a_folder_of_their_own(tmp_path: Path) -> None:
    write_coco(tmp_path, split="val2017")
    (tmp_path / "images").mkdir()
    (tmp_path / "val2017").rename(tmp_path / "images" / "val2017")
    assert len(read("coco", tmp_path, split="val2017", include=("000000000002",)).clips) == 1


def test_coco_reads_compressed_run_lengths(tmp_path: Path) -> None:
    masks = pytest.importorskip("pycocotools.mask")
    write_coco(tmp_path)
    index = tmp_path / "annotations" / "instances_train2017.json"
    content = json.loads(index.read_text())
    mask = np.zeros((120, 160), np.uint8, order="F")
    mask[30:60, 20:45] = 1
    packed = masks.encode(mask)
    content["annotations"][3]["segmentation"] = {
        "size": [120, 160],
        "counts": packed["counts"].decode(),
    }
    index.write_text(json.dumps(content))
    target = seen(read("coco", tmp_path).clips[1].frames[0])
    assert (target.origin_xy, target.size_wh) == ((20, 30), (25, 30))


def test_coco_joins_a_person_and_what_it_touches(tmp_path: Path) -> None:
    write_coco(tmp_path)
    index = tmp_path / "annotations" / "instances_train2017.json"
    content = json.loads(index.read_text())
    bicycle = [45, 30, 90, 30, 90, 70, 45, 70]
    content["annotations"][1] |= {"segmentation": [bicycle], "category_id": 2}
    index.write_text(json.dumps(content))
    source = read("coco", tmp_path, join_people=True)
    assert [c.name for c in source.clips][:3] == [f"000000000001/{n}" for n in ("1", "2", "1+2")]
    assert seen(source.clips[2].frames[0]).size_wh == (80, 50)
    assert len(read("coco", tmp_path).clips) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segmentation": [[1, 2, 3, 4]]}, r"instances_train2017\.json.*annotation 1: a polygon"),
        ({"segmentation": {"size": [9, 9], "counts": [81]}}, "annotation 1: a mask of"),
        ({"image_id": 77}, r"instances_train2017\.json: not as COCO has it: KeyError\(77\)"),
    ],
)
def test_broken_coco_annotations_are_named(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    write_coco(tmp_path)
    index = tmp_path / "annotations" / "instances_train2017.json"
    content = json.loads(index.read_text())
    content["annotations"][0] |= change
    index.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=message):
        read("coco", tmp_path)


def test_coco_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_coco(tmp_path)
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    monkeypatch.setitem(sys.modules, "pycocotools.mask", None)
    coco._coco_masks.cache_clear()
    with pytest.raises(DatasetError, match="need the package pycocotools"):
        read("coco", tmp_path)


# --- Polygons


def test_polygons_become_masks(tmp_path: Path) -> None:
    write_polygons(tmp_path)
    source = read("polygons", tmp_path)
    assert names_and_lengths(source) == [("a/0", 1)]
    assert (source.images, source.left_out) == (1, 1)
    target = seen(source.clips[0].frames[0])
    assert target.origin_xy == (50, 20)
    assert target.size_wh == (51, 51)  # x 50..100, y 20..70, both ends drawn


def test_polygons_join_a_person_and_what_it_touches(tmp_path: Path) -> None:
    write_polygons(tmp_path)
    person = "0 0.25 0.2 0.5 0.2 0.5 0.7 0.25 0.7\n"
    thing = "3 0.48 0.3 0.7 0.3 0.7 0.6 0.48 0.6\n"
    far = "3 0.8 0.3 0.95 0.3 0.95 0.6 0.8 0.6\n"
    (tmp_path / "labels" / "a.txt").write_text(person + thing + far)
    source = read("polygons", tmp_path, join_people=True)
    assert [c.name for c in source.clips] == ["a/0", "a/1", "a/2", "a/0+1"]
    assert seen(source.clips[3].frames[0]).size_wh == (91, 51)


def test_people_and_things_touch_within_four_pixels() -> None:
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(60):
        masks = []
        for x, y, width, height in rng.integers([0, 0, 8, 8], [60, 60, 60, 60], (4, 4)):
            mask = np.zeros((90, 90), bool)
            mask[y : y + height, x : x + width] = True
            masks.append(mask)
        is_person = [True, True, False, False]
        expected = []
        for person, thing in ((0, 2), (0, 3), (1, 2), (1, 3)):
            far = cv2.distanceTransform((~masks[thing]).astype(np.uint8), cv2.DIST_C, 3)
            near = np.count_nonzero(masks[person] & (far < 4.5))
            smaller = min(masks[person].sum(), masks[thing].sum())
            if smaller >= 300 and near > 0.03 * smaller:
                expected.append((person, thing))
        assert touching_people(is_person, masks) == expected
        found += len(expected)
    assert 40 < found < 200
    assert touching_people([True, True], masks[:2]) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [("3 0.25 0.2 0.5", r"a\.txt.*got 3 values"), ("3 x 0 0 1 1 1", r"a\.txt: could not convert")],
)
def test_a_broken_polygon_names_its_file(tmp_path: Path, line: str, message: str) -> None:
    write_polygons(tmp_path)
    (tmp_path / "labels" / "a.txt").write_text(f"{line}\n")
    with pytest.raises(DatasetError, match=message):
        read("polygons", tmp_path)


# --- ImageNet


def test_imagenet_vid_has_a_clip_a_track(tmp_path: Path) -> None:
    write_imagenet_vid(tmp_path)
    source = read("imagenet_vid", tmp_path)
    assert names_and_lengths(source) == [("ILSVRC2015_train_00000000/0", 3)]
    assert (source.images, source.left_out) == (3, 1)
    target = seen(source.clips[0].frames[1])
    assert (target.origin_xy, target.size_wh) == ((12, 20), (40, 40))
    assert not target.has_mask
    assert (target.mask_crop == 255).all()


def test_imagenet_det_has_a_clip_a_box(tmp_path: Path) -> None:
    write_imagenet_det(tmp_path)
    source = read("imagenet_det", tmp_path)
    assert names_and_lengths(source) == [("n01_1/0", 1), ("n01_1/1", 1)]
    assert source.images == 2
    assert seen(source.clips[1].frames[0]).origin_xy == (90, 70)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation>", "no element found"),
        ("<annotation><object/></annotation>", "without a whole bndbox"),
    ],
)
def test_a_broken_annotation_is_named(tmp_path: Path, content: str, message: str) -> None:
    write_imagenet_det(tmp_path)
    path = next(tmp_path.rglob("n01_1.xml"))
    path.write_text(content)
    with pytest.raises(DatasetError, match=f"{path}: .*{message}"):
        read("imagenet_det", tmp_path)


def test_boxes_are_cut_at_the_image(tmp_path: Path) -> None:
    write_imagenet_det(tmp_path)
    image = np.zeros((20, 30, 3), np.uint8)
    inside = seen(boxed_target(image, (-5, 10, 99, 99)))
    assert (inside.origin_xy, inside.size_wh) == ((0, 10), (30, 10))
    assert boxed_target(image, (30, 0, 40, 10)) is None


# --- The documentation


def test_documented_sources_are_valid(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parent.parent / "docs" / "datasets.md"
    examples = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    kinds = set()
    for example in map(yaml.safe_load, examples):
        data = example.get("data", {"sources": example})
        (tmp_path / "run.yaml").write_text(yaml.safe_dump({"data": data}))
        sources = load_training_config(tmp_path / "run.yaml").data.sources
        kinds |= {source.kind for source in sources.values()}
    assert kinds == set(SOURCE_KINDS) == set(READERS)


# --- The real ones, where they are


def test_real_davis_sequences_are_read(shared_dir: Path) -> None:
    source = read("davis", shared_dir / "davis16-train", include=("bear",))
    assert names_and_lengths(source) == [("bear", 82)]
    target = seen(source.clips[0].frames[0])
    assert target.image_bgr.shape == (360, 640, 3)
    assert 0.05 < target.area / (360 * 640) < 0.3


def test_real_polygons_are_read(shared_dir: Path) -> None:
    include = ("000000000009", "000000000025")
    source = read("polygons", shared_dir / "coco128-seg", include=include, min_side=32)
    assert source.images == 2
    assert len(source.clips) >= 8
