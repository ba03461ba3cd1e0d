# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start a training from weights of another network: a stage before, or a pre-trained backbone."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from siammask_ros.network.checkpoints import (
    CheckpointError,
    bare_state_dict,
    converted_tensor,
    read_checkpoint,
    read_tensors_only,
    shortened,
)
from siammask_ros.network.key_names import NORM_COUNTER, resnet_names
from siammask_ros.network.siammask import SiamMask

IMAGENET_MEAN_RGB = (0.485, 0.456, 0.406)
IMAGENET_STD_RGB = (0.229, 0.224, 0.225)
"""Of pixels in 0..1; the usual ImageNet networks are trained with images normalised so."""
WHITE = 255.0


def load_initial_weights(network: SiamMask, path: str | os.PathLike[str]) -> list[str]:
    """Give a network the weights that a file has for it; the rest stays as it is.

    A part of the network (a top-level module; of the backbone its stem and every stage) gets
    all of its weights or none, and what a file has of parts that the network lacks is left out.
    Accepted are

    - every checkpoint that :func:`load_network` reads, such as one of the stage before;
    - the bare state dict of a ResNet with the projections of SiamMask (3x3), as the official
      authors' `resnet.model`, which is taken as it is;
    - the bare state dict of an ordinary ImageNet ResNet or ResNeXt (projections 1x1), by the usual
      names. A 1x1 projection becomes the centre of a 3x3 one. Its images are taken to be RGB in
      0..1, normalised by the usual mean and deviation; that is folded into the stem, which then
      computes the same from BGR 0..255.

    Args:
        network: is changed.
        path: the file; nothing in it is ever executed.

    Returns:
        Names of the parameters that the file does not have, in the network's order.

    Raises:
        CheckpointError: if the file cannot be read, has a part of the network incompletely or in
            another shape, or has none of its parts. The network is unchanged then.
    """
    path = Path(path)
    tensors = _tensors_by_our_names(path, network)
    chosen = _whole_parts(path, tensors, network.state_dict())
    with torch.no_grad():
        network.load_state_dict({**network.state_dict(), **chosen}, strict=True)
    return [name for name, _ in network.named_parameters() if name not in chosen]


def _tensors_by_our_names(path: Path, network: SiamMask) -> dict[str, Tensor]:
    content = read_tensors_only(path)
    if isinstance(content, Mapping) and "format" not in content:
        tensors = bare_state_dict(path, content)
        names = resnet_names(tensors)
        if names is not None:
            found = {
                ours: converted_tensor(
                    path, name, tensors[name], torch.int64 if _is_counter(name) else torch.float32
                )
                for name, ours in names.items()
            }
            return _with_our_geometry(found, network.state_dict())
    return read_checkpoint(path).state_dict


def _with_our_geometry(
    tensors: dict[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """An ordinary ResNet's weights as those of SiamMask's backbone; others as they are."""
    ordinary = [
        name
        for name, tensor in tensors.items()
        if name.endswith("shortcut.conv.weight")
        and tensor.shape[2:] == (1, 1)
        and name in expected
        and expected[name].shape[2:] == (3, 3)
    ]
    if not ordinary:
        return tensors
    centred = {name: torch.nn.functional.pad(tensors[name], (1, 1, 1, 1)) for name in ordinary}
    return {**tensors, **centred, **_stem_for_bgr(tensors)}


def _stem_for_bgr(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The stem of a network for normalised RGB, for BGR 0..255; exact as it has no padding.

    conv((x / 255 - mean) / std) = conv'(x) - offset, and batch norm subtracts its running mean.
    """
    conv, mean = "backbone.stem.conv.weight", "backbone.stem.norm.running_mean"
    if conv not in tensors or mean not in tensors:
        return {}
    weight = tensors[conv].double() / torch.tensor(IMAGENET_STD_RGB).double()[:, None, None]
    offset = (weight * torch.tensor(IMAGENET_MEAN_RGB).double()[:, None, None]).sum(dim=(1, 2, 3))
    return {
        conv: (weight.flip(1) / WHITE).float(),  # RGB -> BGR
        mean: (tensors[mean].double() + offset).float(),
    }


def _whole_parts(
    path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The file's tensors of those parts that it has.

    Raises:
        CheckpointError: if a part fits only partly, or none does.
    """
    present, wanted = _by_part(tensors), _by_part(expected)
    shared = [part for part in wanted if set(wanted[part]) & set(present.get(part, ()))]
    missing = [
        n for part in shared for n in wanted[part] if n not in tensors and not _is_counter(n)
    ]
    unknown = [n for part in shared for n in present[part] if n not in expected]
    misshaped = [
        f"{name} {tuple(tensors[name].shape)} for {tuple(expected[name].shape)}"
        for part in shared
        for name in wanted[part]
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    if missing or unknown or misshaped or not shared:
        lists = (("missing", missing), ("unknown", unknown), ("of another shape", misshaped))
        reasons = [f"{len(keys)} {kind}: {shortened(keys)}" for kind, keys in lists if keys]
        raise CheckpointError(
            f"{path}: cannot start this network: "
            + ("; ".join(reasons) or f"it has no part of it, but {shortened(present)}"),
            missing=missing,
            unknown=unknown,
            misshaped=misshaped,
        )
    return {name: tensors[name] for part in shared for name in wanted[part] if name in tensors}


def _by_part(names: Iterable[str]) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = defaultdict(list)
    for name in names:
        match = re.match(r"backbone\.(stem|stages\.\d+)|\w+", name)
        assert match is not None
        parts[match[0]].append(name)
    return parts


def _is_counter(name: str) -> bool:
    return name.endswith(NORM_COUNTER)
