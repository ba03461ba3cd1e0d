# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rebuild network_subset.npz: outputs of this package's own networks, run in float64.

These numbers are ours, not those of the reference code. They were written by the revision whose
ResNet-50 networks agreed with the reference within float32 rounding, so that a
test can tell when a later change moves them. The two-branch network has no reference code.

    python test/data/make_network_subset.py
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np
import torch

SUBSET = Path(__file__).with_name("network_subset.npz")
ARCHITECTURES = {
    "siammask_r50_refine": {},
    "siammask_r50_base": {},
    "compact": {"channels": [16, 32, 64], "width": 64, "refiner_widths": [32, 16, 8]},
    "siammask_2b_r50_refine": {"width_divisor": 4},
    "siammask_pp_r50_re": {"width_divisor": 4},
}
"""Networks and their options."""
ROWS, COLUMNS = (3, 20), (11, 24)


def hashed(count, seed):
    """Uniform numbers in [-1, 1), splitmix64: integer arithmetic, hence the same everywhere."""
    with np.errstate(over="ignore"):
        state = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state += np.uint64(seed)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def synthetic_tensor(name, shape):
    """A parameter or buffer made from its name and shape; keeps activations near 1."""
    if name.endswith("num_batches_tracked"):
        return np.zeros((), np.int64)
    values = hashed(int(np.prod(shape)), zlib.crc32(name.encode())).reshape(shape)
    if name.endswith(("running_var", "norm.weight")):
        return (1 + values / 2).astype(np.float32)
    if len(shape) == 1:
        return (values / 5).astype(np.float32)
    inputs = shape[0] if name.endswith("grow.weight") else int(np.prod(shape[1:]))
    gain = np.sqrt(6 / inputs)
    # Raw pixels and sums of 25 products come in large, predictions should go out small.
    if name == "backbone.stem.conv.weight":
        gain /= 128
    if name.endswith(("grow.weight", "hidden.conv.weight")):
        gain /= 64
    if name.endswith("expand.conv.weight"):
        gain /= 4
    return (values * gain).astype(np.float32)


def synthetic_patch(size, seed):
    """A (1, 3, size, size) patch of 8 pixel tiles with a little noise, float32 0..255."""
    tiles = hashed(3 * 32 * 32, seed).reshape(3, 32, 32).repeat(8, axis=1).repeat(8, axis=2)
    noise = hashed(3 * size * size, seed + 1).reshape(3, size, size)
    return np.rint(127.5 + 96 * tiles[:, :size, :size] + 24 * noise).astype(np.float32)[None]


def fill(network):
    """Give a network its synthetic weights."""
    state = network.state_dict()
    filled = {
        k: torch.from_numpy(np.asarray(synthetic_tensor(k, v.shape))) for k, v in state.items()
    }
    network.load_state_dict(filled)
    return network.eval()


def outputs(network, dtype):
    """Sampled outputs of a network, by name."""
    exemplar, search = (
        torch.from_numpy(synthetic_patch(size, seed)).to(dtype)
        for size, seed in ((127, 1), (255, 2))
    )
    rows, columns, samples = (torch.tensor(v) for v in (ROWS, COLUMNS, (0, 0)))
    with torch.inference_mode():
        kernels = network.exemplar(exemplar)
        output = network.search(search, kernels)
        found = {
            "kernels": torch.cat([kernel for kernel in kernels if kernel is not None])[:, ::8],
            "score_logits": output.score_logits[0, :, ::2, ::2],
            "mask_responses": output.mask_responses[0, ::8, ::6, ::6],
        }
        if network.has_boxes:
            found["box_deltas"] = output.box_deltas[0, :, ::3, ::3]
        if network.has_coarse_mask:
            found["coarse_mask"] = network.coarse_mask_at(
                output.mask_responses, rows, columns, samples
            )[:, ::3, ::3]
        if network.has_refiner:
            found["refined_mask"] = network.refined_mask_at(output, rows, columns, samples)[
                :, ::4, ::4
            ]
    return {name: value.double().numpy() for name, value in found.items()}


def main():
    """Write the file."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from siammask_ros.network import build_network  # noqa: PLC0415

    entries = {}
    for architecture, options in ARCHITECTURES.items():
        network = fill(build_network(architecture, **options)).double()
        for name, value in outputs(network, torch.float64).items():
            entries[f"{architecture}/{name}"] = value.astype(np.float32)
            print(architecture, name, value.shape, np.abs(value).max(), value.std())  # noqa: T201
    np.savez_compressed(SUBSET, **entries)


if __name__ == "__main__":
    main()
