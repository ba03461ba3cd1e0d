# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which parts of a network train, from when, and how fast.

The optimizer holds every part that trains at any time. A part that does not train yet has no
gradients, so the optimizer leaves it alone; when its time comes, the others keep their momentum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from siammask_ros.training.config import TrainedPart, TrainingConfig

EVERYTHING = TrainedPart(modules=("",))


def build_optimizer(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Make the optimizer of all parts that train at any time.

    Raises:
        ValueError: a part is not in the network, or two parts share a parameter.
    """
    settings = config.optimizer
    groups = trained_groups(network, config)
    if settings.kind == "adamw":
        return torch.optim.AdamW(groups)
    return torch.optim.SGD(groups, lr=0.0, momentum=settings.momentum)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate; each part gets it times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate"]


def trained_groups(network: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """Parameter groups of all parts that train at any time.

    Each has torch's own keys and "rate", the part's factor on the learning rate.

    Raises:
        ValueError: a part is not in the network, or two parts share a parameter.
    """
    settings = config.optimizer
    groups: list[dict[str, Any]] = []
    for part in _parts(network, config):
        parameters = [p for name, p in network.named_parameters() if _is_in(name, part.modules)]
        decayed = [p for p in parameters if settings.decay_all or p.ndim > 1]
        others = [p for p in parameters if not settings.decay_all and p.ndim <= 1]
        for members, decay in ((decayed, settings.weight_decay), (others, 0.0)):
            if members:
                groups.append({"params": members, "weight_decay": decay, "rate": part.rate})
    return groups


def set_trained(network: nn.Module, config: TrainingConfig, epoch: float) -> None:
    """Let gradients flow to the parts that train at an epoch, and to no other.

    Args:
        network: any network.
        config: its `trained` says which parts.
        epoch: since the start of the run, fractions are allowed.

    Raises:
        ValueError: a part is not in the network, or two parts share a parameter.
    """
    modules = _modules_at(network, config, epoch)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(_is_in(name, modules))


def set_modes(network: nn.Module, config: TrainingConfig, epoch: float) -> None:
    """Put the network into training mode, but fixed batch norms into evaluation mode.

    A batch norm keeps its stored statistics where its module does not train, where
    `fixed_norm` says so, and everywhere from `fixed_norm_from_epoch` on.

    Raises:
        ValueError: a module of `trained` or `fixed_norm` is not in the network.
    """
    trained = _modules_at(network, config, epoch)
    _require_known(network, config.fixed_norm)
    all_fixed = epoch >= config.fixed_norm_from_epoch
    network.train()
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) and (
            all_fixed or _is_in(name, config.fixed_norm) or not _is_in(name, trained)
        ):
            module.eval()


def _modules_at(network: nn.Module, config: TrainingConfig, epoch: float) -> tuple[str, ...]:
    """Names of the modules that train at an epoch."""
    parts = _parts(network, config)
    return tuple(name for part in parts if epoch >= part.from_epoch for name in part.modules)


def _parts(network: nn.Module, config: TrainingConfig) -> tuple[TrainedPart, ...]:
    """The parts that train at any time, checked."""
    if not config.trained:
        return (EVERYTHING,)
    names = [name for part in config.trained for name in part.modules]
    _require_known(network, names)
    for index, name in enumerate(names):
        for other in names[:index]:
            if _is_in(name, (other,)) or _is_in(other, (name,)):
                raise ValueError(f"trained: {name!r} and {other!r} overlap")
    return config.trained


def _is_in(name: str, modules: Iterable[str]) -> bool:
    """Whether a module or parameter is one of some modules, or below one."""
    return any(not module or name == module or name.startswith(f"{module}.") for module in modules)


def _require_known(network: nn.Module, names: Sequence[str]) -> None:
    if not names:
        return
    known = {name for name, _ in network.named_modules()}
    known |= {name for name, _ in network.named_parameters()}
    known.discard("")
    for name in names:
        if name not in known:
            parent = name
            while parent and parent not in known:
                parent = parent.rpartition(".")[0]
            beside = sorted(n for n in known if n.rpartition(".")[0] == parent)
            raise ValueError(f"the network has no module {name!r}, known: {', '.join(beside)}")
