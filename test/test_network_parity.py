# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks' numbers: against the reference code where its data are at hand, and our own."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from siammask_ros.network import build_network, fuse_for_inference, load_network

DATA = Path(__file__).parent / "data"
# What the reference code itself differs by between float32 and float64.
TOLERANCES = {
    "zf": 1e-4,
    "xf": 1e-4,
    "cls": 5e-5,
    "loc": 2e-6,
    "mask_logits": 5e-5,
    "refine_logits": 5e-5,
}
# The reference states none for these; values reach 30, and 6000 for the responses.
INNER_TOLERANCE, RESPONSE_TOLERANCE = 1e-4, 1e-2
MODELS = {
    "siammask_sharp": ("siammask_r50_refine", "davis"),
    "siammask_base": ("siammask_r50_base", "base"),
    "pysot_siammask_r50_l3": ("siammask_r50_refine", "pysot"),
    "siammask_pp_bi": ("siammask_pp_r50_bi", "siammask_pp"),
    "siammask_pp_re": ("siammask_pp_r50_re", "siammask_pp"),
}


def load_module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Reference(NamedTuple):
    """A model's golden numbers, and our network with its weights."""

    name: str
    golden: np.lib.npyio.NpzFile
    meta: dict
    network: torch.nn.Module


@pytest.fixture(scope="module", params=MODELS)
def reference(request, shared_dir, tmp_path_factory):
    folder, model = shared_dir / "golden", request.param
    recipe = load_module(folder / "recipe.py")
    keys = json.loads((folder / f"keys_{model}.json").read_text())
    golden = np.load(folder / f"golden_{model}.npz")
    meta = json.loads(str(golden["meta"]))
    weights = recipe.fill([(key, shape) for key, shape, _ in keys], meta["seed"])
    assert recipe.crc(weights) == meta["weights_crc32"]
    path = tmp_path_factory.mktemp(model) / "checkpoint.pth"
    state = {key: torch.from_numpy(np.asarray(value)) for key, value in weights.items()}
    torch.save({"state_dict": state}, path)
    return Reference(model, golden, meta, load_network(path))


def tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def stage_samples(network, patch, golden):
    """Outputs of stem and stages at the places that the golden file has."""
    maps = network.backbone(patch)
    stages = {"search_stem_sub": maps.pyramid[0][0, ::8, ::25, ::25]}
    layer1, layer2 = maps.pyramid[1:]
    deeper = [stage for stage in maps.deep if stage is not layer2]
    for number, stage in enumerate((layer1, layer2, *deeper), start=1):
        step = max(1, stage.shape[2] // 5)
        stages[f"search_layer{number}_sub"] = stage[0, ::16, ::step, ::step]
    assert set(stages) == {
        name for name in golden.files if name.startswith("search_") and "_sub" in name
    }
    return stages


def feature_samples(network, exemplar, search):
    """Adjusted features as the golden file has them, the levels of SiamMask++ one by one."""
    zf, xf = (network.features(patch)[0][0] for patch in (exemplar, search))
    if not network.architecture.startswith("siammask_pp"):
        return {"zf": zf, "xf": xf}
    levels = zip((2, 3, 4), zf.chunk(3), xf.chunk(3), strict=True)
    return {
        name: feature
        for level, z, x in levels
        for name, feature in ((f"zf_level{level}", z), (f"xf_level{level}_sub3", x[:, ::3, ::3]))
    }


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
def test_outputs_are_those_of_the_reference(reference, fused):
    golden = reference.golden
    network = fuse_for_inference(reference.network) if fused else reference.network
    exemplar, search = tensor(golden["template_u8"]), tensor(golden["search_u8"])
    rows, columns = torch.tensor(reference.meta["positions_row_col"]).T
    samples = torch.zeros_like(rows)
    with torch.inference_mode():
        output = network.search(search, network.exemplar(exemplar))
        found = {
            **feature_samples(network, exemplar, search),
            "cls": output.score_logits[0],
            "loc": output.box_deltas[0],
            "mask_logits": network.coarse_mask_at(output.mask_responses, rows, columns, samples),
            **stage_samples(network, search, golden),
        }
        if "corr_sub6" in golden:
            found["corr_sub6"] = output.mask_responses[0, :, ::6, ::6]
        if network.has_refiner:
            found["refine_logits"] = network.refined_mask_at(output, rows, columns, samples)
    assert set(found) == set(golden.files) - {"meta", "template_u8", "search_u8"}
    for name, value in found.items():
        inner = RESPONSE_TOLERANCE if name == "corr_sub6" else INNER_TOLERANCE
        np.testing.assert_allclose(
            value.numpy(), golden[name], rtol=0, atol=TOLERANCES.get(name, inner), err_msg=name
        )


def test_the_whole_coarse_map_is_that_of_the_reference(reference):
    golden, network = reference.golden, reference.network
    with torch.inference_mode():
        kernels = network.exemplar(tensor(golden["template_u8"]))
        output = network.search(tensor(golden["search_u8"]), kernels)
        masks = network.coarse_masks(output.mask_responses)
    for index, (row, column) in enumerate(reference.meta["positions_row_col"]):
        np.testing.assert_allclose(
            masks[0, :, row, column].reshape(63, 63).numpy(),
            golden["mask_logits"][index],
            rtol=0,
            atol=TOLERANCES["mask_logits"],
        )


def test_architecture_and_preset_are_found_from_the_keys(reference):
    found = reference.network.architecture, reference.network.default_preset
    assert found == MODELS[reference.name]


@pytest.fixture(scope="module")
def subset():
    return load_module(DATA / "make_network_subset.py")


@pytest.mark.parametrize(
    "architecture",
    [
        *("siammask_r50_refine", "siammask_r50_base", "compact"),
        *("siammask_2b_r50_refine", "siammask_pp_r50_re"),
    ],
)
def test_outputs_are_those_that_we_once_checked(subset, architecture):
    expected = np.load(subset.SUBSET)
    network = subset.fill(build_network(architecture, **subset.ARCHITECTURES[architecture]))
    for candidate in (network, fuse_for_inference(network)):
        found = subset.outputs(candidate, torch.float32)
        names = {f"{architecture}/{name}" for name in found}
        assert names == {name for name in expected.files if name.startswith(architecture)}
        for name, value in found.items():
            want = expected[f"{architecture}/{name}"]
            atol = 2e-5 * np.abs(want).max()
            np.testing.assert_allclose(value, want, rtol=0, atol=atol, err_msg=name)


def test_the_synthetic_numbers_are_those_of_splitmix64(subset):
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]  # seed 0
    numbers = (subset.hashed(3, 0) + 1) * 2**52
    assert [int(number) for number in numbers] == [value >> 11 for value in published]
    assert subset.hashed(100_000, 7).std() == pytest.approx(3**-0.5, abs=0.01)
