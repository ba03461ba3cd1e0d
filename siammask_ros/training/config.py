# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training run as one frozen value, read from YAML."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast, get_origin, get_type_hints

import yaml

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

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")


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
        for name, least in (("steps", 1), ("batch_size", 1), ("log_steps", 1), ("workers", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


def load_training_config(path: str | Path, *, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a training configuration from a YAML file.

    Args:
        path: the file.
        overrides: settings that win over the file's, as "name=value" or "section.name=value".

    Raises:
        ValueError: for an unknown setting or a value that is not allowed.
    """
    values = _parse(Path(path).read_text(), str(path))
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected a mapping of settings, got {type(values).__name__}")
    for override in overrides:
        _override(values, override)
    return _build(TrainingConfig, values, str(path))


def _parse(text: str, where: str) -> Any:  # noqa: ANN401 - whatever the YAML holds
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: not YAML: {' '.join(str(error).split())}") from None


def _override(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals:
        raise ValueError(f"expected name=value, got {override!r}")
    *sections, last = name.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ValueError(f"{section} of {override!r} is no section")
    values[last] = _parse(text, repr(override))


def _build(kind: type[ConfigT], values: object, where: str) -> ConfigT:
    if not isinstance(values, Mapping):
        raise ValueError(f"{where}: expected a mapping of settings, got {type(values).__name__}")
    kinds = get_type_hints(kind)
    unknown = sorted(str(name) for name in values.keys() - kinds.keys())
    if unknown:
        raise ValueError(f"{where}: unknown setting {', '.join(unknown)}")
    return kind(
        **{name: _setting(kinds[name], value, f"{where}: {name}") for name, value in values.items()}
    )


def _setting(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - what a field may hold
    """A value from YAML as the type of its field."""
    if dataclasses.is_dataclass(kind):
        return _build(cast("type[Any]", kind), value, where)
    if kind is float and not isinstance(value, bool):
        with contextlib.suppress(TypeError, ValueError):
            return float(value)  # text too: YAML 1.1 takes 2e-3 for one
    elif get_origin(kind) is tuple:
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            return tuple(value)
    elif get_origin(kind) is Mapping:
        if isinstance(value, Mapping):
            return value
    elif type(value) is kind:
        return value
    expected = kind.__name__ if isinstance(kind, type) else str(kind)
    raise ValueError(f"{where}: expected {expected}, got {value!r}")
