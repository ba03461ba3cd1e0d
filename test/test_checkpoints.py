# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of all kinds load strictly; whatever else is refused, named, and never executed."""

from __future__ import annotations

import io
import os
import pickle
import re
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from siammask_ros.network import (
    CheckpointError,
    build_network,
    checked_device,
    fuse_for_inference,
    load_network,
    read_checkpoint,
    save_network,
)
from siammask_ros.network.key_names import detect_layout, published_names

OPTIONS = {"channels": [4, 4, 8], "blocks": [1, 1, 1], "width": 8, "refiner_widths": [4, 4, 4]}
REFINE, BASE = "siammask_r50_refine", "siammask_r50_base"


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return build_network("compact", **OPTIONS).eval()


def published(architecture, layout):
    """A published checkpoint: every tensor is full of one number, its own; the file is small."""
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in build_network(architecture).state_dict().items()}
    state = OrderedDict()
    for number, (name, ours) in enumerate(published_names(shapes, layout).items()):
        dtype = torch.int64 if name.endswith("num_batches_tracked") else torch.float32
        state[name] = torch.tensor(number, dtype=dtype).expand(shapes[ours])
    return state


def is_loaded(ours, state, layout):
    """Whether tensors by our names are those of a published checkpoint, all and only these."""
    names = published_names(ours, layout)
    return names.keys() == state.keys() and all(
        ours[own].shape == state[name].shape and bool((ours[own] == state[name]).all())
        for name, own in names.items()
    )


def same(network, state):
    loaded = network.state_dict()
    return loaded.keys() == state.keys() and all(torch.equal(loaded[k], state[k]) for k in state)


@pytest.mark.parametrize("layout", ["official", "pysot"])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("new_zip", [False, True], ids=["legacy", "zip"])
def test_published_checkpoints_load_in_every_wrapping(tmp_path, layout, wrapped, prefix, new_zip):
    expected = published(REFINE, layout)
    state = {prefix + name: value for name, value in expected.items()}
    path = tmp_path / "checkpoint.pth"
    content = {"epoch": 20, "state_dict": state} if wrapped else state
    torch.save(content, path, _use_new_zipfile_serialization=new_zip)
    checkpoint = read_checkpoint(path)
    assert (checkpoint.layout, checkpoint.architecture) == (layout, REFINE)
    assert checkpoint.default_preset == {"official": "davis", "pysot": "pysot"}[layout]
    assert is_loaded(checkpoint.state_dict, expected, layout)


def test_the_official_base_model_loads(tmp_path):
    expected = published(BASE, "official")
    torch.save(expected, tmp_path / "base.pth")
    loaded = load_network(tmp_path / "base.pth")
    assert (loaded.architecture, loaded.default_preset) == (BASE, "base")
    assert not loaded.has_refiner
    assert not loaded.training
    assert is_loaded(loaded.state_dict(), expected, "official")


@pytest.mark.parametrize(
    ("architecture", "count"), [("siammask_pp_r50_bi", 519), ("siammask_pp_r50_re", 551)]
)
def test_siammask_plus_plus_loads(tmp_path, architecture, count):
    expected, path = published(architecture, "siammask_pp"), tmp_path / "pp.pth"
    assert len(expected) == count
    torch.save({"epoch": 20, "state_dict": expected}, path)
    checkpoint = read_checkpoint(path)
    assert (checkpoint.layout, checkpoint.architecture) == ("siammask_pp", architecture)
    assert checkpoint.default_preset == "siammask_pp"
    names = published_names(checkpoint.state_dict, "siammask_pp")
    for name, ours in {
        "features.downsample3.downsample.0.weight": "adjust.levels.2.project.conv.weight",
        "rpn_model.cls_weight": "score_head.level_weights",
        "rpn_model.rpn2.rpn_pred_loc.head.3.bias": "box_head.levels.0.predict.bias",
        "mask_model.mask4.rpn_pred_mask.conv_kernel.1.bias": (
            "mask_branch.levels.2.exemplar_conv.norm.bias"
        ),
        "features.features.layer4.2.conv2.weight": "backbone.stages.4.2.spatial.conv.weight",
    }.items():
        assert names[name] == ours
    assert is_loaded(checkpoint.state_dict, expected, "siammask_pp")


def test_names_are_those_of_the_published_files():
    with torch.device("meta"):
        names = published_names(build_network(REFINE).state_dict(), "official")
    assert len(names) == len(set(names.values())) == 356
    for name, ours in {
        "features.features.conv1.weight": "backbone.stem.conv.weight",
        "features.features.layer2.0.downsample.0.weight": (
            "backbone.stages.2.0.shortcut.conv.weight"
        ),
        "features.downsample.downsample.1.running_var": "adjust.project.norm.running_var",
        "rpn_model.loc.head.3.bias": "box_head.predict.bias",
        "mask_model.mask.conv_search.1.num_batches_tracked": (
            "mask_branch.search_conv.norm.num_batches_tracked"
        ),
        "refine_model.v2.0.weight": "refiner.levels.0.lateral.first.weight",
        "refine_model.post2.bias": "refiner.levels.2.narrow.bias",
    }.items():
        assert names[name] == ours
    assert detect_layout(["something.else"]) is None
    with pytest.raises(ValueError, match="'stranger' has no name"):
        published_names(["stranger"], "official")


def training_checkpoint(state, path, *, old_numpy):
    """A training checkpoint with NumPy numbers in its optimizer, as the official trainer makes."""
    content = {
        "epoch": 3,
        "arch": "Custom",
        "state_dict": state,
        "best_acc": np.float32(0.5),
        "optimizer": {"param_groups": [{"lr": np.float64(0.01), "params": [1, 2]}], "state": {}},
        "anchor_cfg": {"stride": 8, "ratios": [0.33, 0.5, 1, 2, 3], "spaces": np.arange(3.0)},
    }
    torch.save(content, path, _use_new_zipfile_serialization=False)
    # NumPy 1 and 2 name the module differently; names in such a pickle have no length field.
    old, new = b"cnumpy.core.", b"cnumpy._core."
    present, wanted = (new, old) if old_numpy else (old, new)
    path.write_bytes(path.read_bytes().replace(present, wanted))


@pytest.mark.parametrize("old_numpy", [False, True])
def test_training_checkpoints_with_numpy_numbers_load(tmp_path, old_numpy):
    expected, path = published(BASE, "official"), tmp_path / "e3.pth"
    training_checkpoint(expected, path, old_numpy=old_numpy)
    assert (b"cnumpy.core." in path.read_bytes()) == old_numpy
    assert is_loaded(read_checkpoint(path).state_dict, expected, "official")


def test_only_norm_counters_may_be_absent(tmp_path):
    state = published(REFINE, "official")
    counters = [name for name in state if name.endswith("num_batches_tracked")]
    for name in counters:
        del state[name]
    torch.save(state, tmp_path / "old.pth")
    checkpoint = read_checkpoint(tmp_path / "old.pth")
    assert checkpoint.absent_counters == len(counters) > 50
    state.pop("features.features.bn1.running_var")
    torch.save(state, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match=r"1 missing: features\.features\.bn1\.running_var$"):
        read_checkpoint(tmp_path / "bad.pth")


def test_every_wrong_key_is_told(tmp_path):
    state = published(REFINE, "official")
    del state["rpn_model.cls.head.3.bias"]
    state["rpn_model.cls.head.9.bias"] = torch.zeros(1)
    state["features.features.layer2.0.downsample.0.weight"] = torch.zeros(512, 256, 1, 1)
    torch.save(state, tmp_path / "wrong.pth")
    with pytest.raises(CheckpointError) as caught:
        load_network(tmp_path / "wrong.pth")
    message = str(caught.value)
    assert str(tmp_path / "wrong.pth") in message
    assert "1 missing: rpn_model.cls.head.3.bias;" in message
    assert "1 unknown: rpn_model.cls.head.9.bias;" in message
    shapes = "downsample.0.weight (512, 256, 1, 1) for (512, 256, 3, 3)"
    assert f"1 of another shape: features.features.layer2.0.{shapes}" in message


def test_long_lists_are_shortened_and_counted(tmp_path):
    state = {k: v for k, v in published(REFINE, "official").items() if "refine" not in k}
    state.update({f"refine_model.w{index}": torch.zeros(1) for index in range(20)})
    torch.save(state, tmp_path / "wrong.pth")
    with pytest.raises(CheckpointError) as caught:
        load_network(tmp_path / "wrong.pth")
    assert re.search(r"32 missing: .* and 24 more; 20 unknown: .* and 12 more$", str(caught.value))
    assert set(caught.value.missing) == published(REFINE, "official").keys() - state.keys()
    assert caught.value.unknown == tuple(f"refine_model.w{index}" for index in range(20))
    assert caught.value.misshaped == ()


@pytest.mark.parametrize("key", ["layer1.0.weight", "net.fc.weight"])
def test_another_models_checkpoint_is_refused(tmp_path, key):
    torch.save({key: torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=rf"another model, its 1 keys .*: {re.escape(key)}"):
        load_network(tmp_path / "other.pth")


def test_numbers_must_be_numbers(tmp_path):
    state = published(REFINE, "official")
    state["rpn_model.cls.head.3.bias"] = torch.full((10,), float("nan"))
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(CheckpointError, match=r"rpn_model\.cls\.head\.3\.bias holds .* NaN"):
        load_network(tmp_path / "nan.pth")
    state["rpn_model.cls.head.3.bias"] = torch.zeros(10, dtype=torch.int64)
    torch.save(state, tmp_path / "integers.pth")
    with pytest.raises(CheckpointError, match=r"is torch\.int64, expected torch\.float32"):
        load_network(tmp_path / "integers.pth")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tensor: tensor.to_sparse(), "is a sparse tensor"),
        (lambda tensor: tensor.to("meta"), "without numbers"),
        (lambda tensor: torch.full_like(tensor, 1e300, dtype=torch.float64), "too large"),
    ],
)
def test_tensors_that_hold_no_float32_numbers(small, tmp_path, change, reason):
    path = tmp_path / "odd.pth"
    save_network(small, path)
    content = torch.load(path, weights_only=True)
    name = "backbone.stages.0.0.conv.weight"
    content["state_dict"][name] = change(content["state_dict"][name])
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=rf"odd\.pth: {re.escape(name)} .*{reason}"):
        load_network(path)


@pytest.mark.parametrize("wrap", [dict, lambda state: {"state_dict": state}])
@pytest.mark.parametrize("architecture", [BASE, "compact"])
def test_our_own_state_dict_alone_is_refused_as_such(tmp_path, architecture, wrap):
    with torch.device("meta"):
        names = build_network(architecture).state_dict()
    path = tmp_path / "alone.pth"
    torch.save(wrap({name: torch.zeros(1) for name in names}), path)
    with pytest.raises(CheckpointError, match=r"alone\.pth: a state_dict alone .*save_network"):
        load_network(path)


def test_half_precision_files_become_float32(small, tmp_path):
    path = tmp_path / "half.pth"
    save_network(small, path)
    content = torch.load(path, weights_only=True)
    content["state_dict"] = {
        k: v.half() if v.is_floating_point() else v for k, v in content["state_dict"].items()
    }
    torch.save(content, path)
    assert {p.dtype for p in load_network(path).parameters()} == {torch.float32}


class Payload:
    """Would make a folder if it were unpickled carelessly."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["bare pickle", "legacy", "zip"])
def test_code_in_a_file_is_refused_and_not_executed(tmp_path, kind):
    path, trap = tmp_path / "evil.pth", tmp_path / "executed"
    content = {"state_dict": {"features.features.conv1.weight": torch.zeros(1)}, "x": Payload(trap)}
    if kind == "bare pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(CheckpointError, match=r"evil\.pth: (refused|not a checkpoint)"):
        load_network(path)
    assert not trap.exists()
    if kind == "zip":
        with pytest.raises(CheckpointError, match=r"refused, nothing of it was executed: .*mkdir"):
            load_network(path)


def as_zip(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("hello.txt", content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends early"),
        (b"<html>404</html>" * 50, "not a checkpoint"),
        (b"\x80\x02garbage that is no pickle at all", "not a checkpoint"),
        (bytes(range(256)) * 20, "not a checkpoint"),
        (as_zip("no tensors"), "not a checkpoint"),
        (pickle.dumps([1, 2, 3], protocol=2), "not a checkpoint"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path, content, reason):
    path = tmp_path / "file.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"file\.pth: .*{reason}"):
        load_network(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([torch.zeros(1)], "it holds a list"),
        (torch.zeros(3), "it holds a Tensor"),
        ({}, "empty"),
        ({"state_dict": 5}, "no dict"),
        ({"epoch": 3, "loss": 0.5}, "of 2 entries, 2 are not tensors with a name: epoch, loss"),
        ({1: torch.zeros(1), "a": torch.zeros(1)}, "1 are not tensors with a name: 1"),
        ({"format": "siammask_ros/99"}, "format 'siammask_ros/99' is unknown"),
        ({"format": "siammask_ros/1", "architecture": "x"}, "architecture 'x' is unknown"),
        ({"format": "siammask_ros/1", "architecture": "compact"}, "no state_dict"),
        (
            {"format": "siammask_ros/1", "architecture": "compact", "options": {"hue": 1}},
            "no state_dict",
        ),
    ],
)
def test_saved_things_that_are_no_checkpoints(tmp_path, content, reason):
    torch.save(content, tmp_path / "thing.pth")
    with pytest.raises(CheckpointError, match=reason):
        load_network(tmp_path / "thing.pth")


@pytest.mark.parametrize("new_zip", [False, True], ids=["legacy", "zip"])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_truncated_files_are_told(small, tmp_path, new_zip, share):
    path = tmp_path / "cut.pth"
    content = {"format": "siammask_ros/1", "architecture": "compact", "options": OPTIONS}
    torch.save(
        {**content, "state_dict": small.state_dict()}, path, _use_new_zipfile_serialization=new_zip
    )
    load_network(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match=r"cut\.pth: .*(truncated|damaged|not a checkpoint)"):
        load_network(path)


def test_paths_that_cannot_be_read(tmp_path):
    with pytest.raises(CheckpointError, match=r"missing\.pth: cannot be read: No such file"):
        load_network(tmp_path / "missing.pth")
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        load_network(tmp_path)


def test_saved_networks_come_back(small, tmp_path):
    path = tmp_path / "own.pth"
    save_network(small, path, metadata={"steps": 12, "mix": [0.5, 0.5], "note": "trial"})
    checkpoint = read_checkpoint(path)
    assert checkpoint.layout == "siammask_ros"
    assert checkpoint.options == OPTIONS
    assert checkpoint.metadata == {"steps": 12, "mix": [0.5, 0.5], "note": "trial"}
    loaded = load_network(path)
    assert same(loaded, small.state_dict())
    patch = torch.rand(1, 3, 127, 127, generator=torch.Generator().manual_seed(0)) * 255
    for expected, found in zip(small.exemplar(patch), loaded.exemplar(patch), strict=True):
        assert torch.equal(expected, found)
    save_network(loaded, path)  # replaces the file
    assert [entry.name for entry in tmp_path.iterdir()] == ["own.pth"]


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("compact", {**OPTIONS, "two_branch": True}),
        ("siammask_2b_r50_refine", {"width_divisor": 16}),
        (
            "siammask_pp_r50_re",
            {"width_divisor": 16, "backbone": "resnext50", "correlation": "up_channel"},
        ),
    ],
)
def test_every_kind_of_network_comes_back(tmp_path, architecture, options):
    network, path = build_network(architecture, **options), tmp_path / "own.pth"
    save_network(network, path)
    loaded = load_network(path)
    assert (loaded.architecture, loaded.options) == (architecture, options)
    assert loaded.default_preset == network.default_preset
    assert loaded.has_boxes == network.has_boxes
    assert same(loaded, network.state_dict())


def test_a_failed_save_leaves_the_old_file(small, tmp_path, monkeypatch):
    path = tmp_path / "own.pth"
    save_network(small, path)
    before = path.read_bytes()

    def fill_disk(_, stream):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fill_disk)
    with pytest.raises(OSError, match="No space left"):
        save_network(small, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["own.pth"]


def test_what_cannot_be_saved(small, tmp_path):
    with pytest.raises(ValueError, match="fused for inference cannot be saved"):
        save_network(fuse_for_inference(small), tmp_path / "fused.pth")
    with pytest.raises(ValueError, match=r"metadata\['loss'\]\[0\] is a float64"):
        save_network(small, tmp_path / "bad.pth", metadata={"loss": [np.float64(1)]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("available", "name"), [(True, "cuda:0"), (False, "cpu")])
def test_the_automatic_device_is_cuda_where_it_is(monkeypatch, available, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert checked_device("auto") == torch.device(name)


def test_devices_that_do_not_exist():
    assert checked_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="unknown device 'tpu9'"):
        checked_device("tpu9")
    with pytest.raises(ValueError, match="device 'meta' is not available"):
        checked_device("meta")
    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ValueError, match=f"device '{absent}' is not available"):
        checked_device(absent)
