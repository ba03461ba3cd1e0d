# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training run as one frozen value, read from YAML."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from siammask_ros.training.photometric import PhotometricConfig
from siammask_ros.training.samples import SampleConfig

ConfigT = TypeVar("ConfigT")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class DataConfig:
    """Which data sets are read.

    Attributes:
        davis_root: folder of DAVIS-2016 sequences, none when empty.
        davis_exclude: sequences that are held out.
        polygons_root: folder of images with polygon labels, none when empty.
        polygons_min_side: smallest side of an instance that is used, pixels.
        rendered: whether drawn targets and backgrounds take part.
    """

    davis_root: str = ""
    davis_exclude: tuple[str, ...] = ()
    polygons_root: str = ""
    polygons_min_side: int = 32
    rendered: bool = True


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses and how anchors are assigned."""

    score: float = 1.0
    box: float = 1.2
    mask: float = 32.0
    mask_overlap: float = 0.0
    positive_iou: float = 0.6
    negative_iou: float = 0.3
    hardest_negatives: int = 32
    box_beta: float = 0.1


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with warm-up, a constant phase and a cosine decay to zero.

    Attributes:
        learning_rate: of the constant phase.
        warmup_steps: linear rise from zero.
        decay_steps: length of the decay at the end of the run.
        weight_decay: decoupled, on convolution weights only.
        gradient_norm: gradients are clipped to this global norm.
        average_decay: of the exponential moving average of the weights, which is what is saved.
        freeze_norm_at: share of the run after which batch norm uses its stored statistics.
    """

    learning_rate: float = 2e-3
    warmup_steps: int = 200
    decay_steps: int = 1500
    weight_decay: float = 0.02
    gradient_norm: float = 5.0
    average_decay: float = 0.998
    freeze_norm_at: float = 0.7


@dataclass(frozen=True)
class TrainingConfig:
    """One training run.

    Attributes:
        name: names the output folder's files.
        seed: of weights, samples and their order.
        architecture: a name that `build_network` knows.
        architecture_options: its keyword arguments.
        steps: optimisation steps in all.
        batch_size: samples a step.
        workers: processes that prepare samples.
        precision: "float32", or "bfloat16" for mixed precision.
        checkpoint_minutes: time between checkpoints.
        log_steps: steps between lines of the metrics file.
    """

    name: str = "compact"
    seed: int = 1
    architecture: str = "compact"
    architecture_options: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 6000
    batch_size: int = 16
    workers: int = 1
    precision: str = "float32"
    checkpoint_minutes: float = 5.0
    log_steps: int = 20
    data: DataConfig = field(default_factory=DataConfig)
    samples: SampleConfig = field(default_factory=SampleConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {PRECISIONS}, got {self.precision!r}")


_SECTIONS: Mapping[str, type] = {
    "data": DataConfig,
    "samples": SampleConfig,
    "losses": LossConfig,
    "optimizer": OptimizerConfig,
    "photometric": PhotometricConfig,
}


def load_training_config(path: str | Path, *, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a training configuration from a YAML file.

    Args:
        path: the file.
        overrides: settings that win over the file's, as "name=value" or "section.name=value".

    Raises:
        ValueError: for an unknown setting or a value that is not allowed.
    """
    values = yaml.safe_load(Path(path).read_text())
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected a mapping of settings, got {type(values).__name__}")
    for override in overrides:
        _override(values, override)
    return _build(TrainingConfig, values, str(path))


def _override(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals:
        raise ValueError(f"expected name=value, got {override!r}")
    *sections, last = name.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ValueError(f"{section} of {override!r} is no section")
    values[last] = yaml.safe_load(text)


def _build(kind: type[ConfigT], values: Mapping[str, Any], where: str) -> ConfigT:
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{where}: unknown setting {', '.join(unknown)}")
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        if name in _SECTIONS:
            arguments[name] = _build(_SECTIONS[name], value, f"{where}: {name}")
        else:
            arguments[name] = tuple(value) if isinstance(value, list) else value
    return kind(**arguments)
