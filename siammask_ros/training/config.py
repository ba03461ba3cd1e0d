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
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml

from siammask_ros.training.samples import SampleConfig

ConfigT = TypeVar("ConfigT")
PRECISIONS = ("float32", "bfloat16", "float16")
OPTIMIZERS = ("sgd", "adamw")
SHAPES = ("constant", "linear", "logarithmic", "cosine")
SOURCE_KINDS = ("davis", "youtube_vos", "coco", "polygons", "imagenet_vid", "imagenet_det")
MASK_STAGES = ("none", "coarse", "refined")


def _require_one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}")


def _require_least(config: object, **least: float) -> None:
    for name, bound in least.items():
        value = getattr(config, name)
        if not value >= bound:
            raise ValueError(f"{name} must be at least {bound:g}, got {value}")


@dataclass(frozen=True)
class SourceConfig:
    """One data set.

    Attributes:
        kind: layout of the files, one of SOURCE_KINDS.
        root: its folder.
        split: of the data set, such as "train"; empty for the kind's usual one.
        include: sequences (or images) that are read; all of the split when empty.
        exclude: sequences that are held out.
        year: of DAVIS, 2016 (one target a sequence) or 2017 (several).
        weight: how often its pairs are drawn, relative to the other sources.
        cutout_weight: how often its targets and images serve as cut-outs, distractors and
            backgrounds, relative to the other sources.
        frame_range: how many frames apart the two of a pair may be.
        any_frame_probability: how often they may be any two frames of the video instead.
        min_side: targets whose box is narrower or lower are left out, pixels.
        join_people: a person and a thing that touch are also one target (kinds coco, polygons).
        in_memory: decode every image once at the start; else when it is drawn.
    """

    kind: str
    root: str
    split: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    year: int = 2016
    weight: float = 1.0
    cutout_weight: float = 1.0
    frame_range: int = 20
    any_frame_probability: float = 0.0
    min_side: int = 16
    join_people: bool = False
    in_memory: bool = False

    def __post_init__(self) -> None:
        _require_one_of("kind", self.kind, SOURCE_KINDS)
        _require_one_of("year", self.year, (2016, 2017))
        _require_least(self, weight=0, cutout_weight=0, frame_range=0, min_side=1)


@dataclass(frozen=True)
class DataConfig:
    """What is read.

    Attributes:
        sources: data sets by a name of your choice.
        rendered: whether drawn targets and backgrounds take part; they need no files.
    """

    sources: Mapping[str, SourceConfig] = field(default_factory=dict)
    rendered: bool = True


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses (paper, equation 5) and how anchors are assigned (section 3.2).

    Attributes:
        score, box, mask, mask_overlap: weights; zero leaves a loss out.
        mask_stage: which masks are trained: "coarse", "refined" or "none".
        mask_positions: positions a sample where the mask is trained, drawn among the positive
            ones; 0 for all of them.
        positive_iou, negative_iou: anchors above are positive, below negative, between ignored.
        best_is_positive: the anchor that fits best is positive whatever its IoU.
        max_positives: positive anchors drawn a sample, 0 for all.
        max_anchors: positive and negative anchors drawn a sample, 0 for all.
        negative_pair_anchors: negatives drawn among the central ones of a search without its
            target, 0 for all.
        hardest_negatives: the hardest negatives of each sample count as much as all; 0: not so.
        box_beta: where the box loss turns from square to linear, in deltas; 0 for L1.
    """

    score: float = 1.0
    box: float = 1.2
    mask: float = 32.0
    mask_overlap: float = 0.0
    mask_stage: str = "refined"
    mask_positions: int = 1
    positive_iou: float = 0.6
    negative_iou: float = 0.3
    best_is_positive: bool = True
    max_positives: int = 0
    max_anchors: int = 0
    negative_pair_anchors: int = 0
    hardest_negatives: int = 32
    box_beta: float = 0.1

    def __post_init__(self) -> None:
        _require_one_of("mask_stage", self.mask_stage, MASK_STAGES)
        counts = ("mask_positions", "max_positives", "max_anchors", "negative_pair_anchors")
        _require_least(self, hardest_negatives=0, **dict.fromkeys(counts, 0))
        _require_least(self, score=0, box=0, mask=0, mask_overlap=0, box_beta=0)


@dataclass(frozen=True)
class OptimizerConfig:
    """How weights follow gradients.

    Attributes:
        kind: "sgd" with momentum, or "adamw".
        momentum: of SGD.
        weight_decay: of SGD as in the paper, decoupled with AdamW.
        decay_all: also biases and batch norm; else only convolution weights.
        gradient_norm: gradients are clipped to this global norm, 0 for never.
        average_decay: of the exponential moving average of the weights, which is then what is
            saved; 0 for none.
    """

    kind: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.02
    decay_all: bool = False
    gradient_norm: float = 5.0
    average_decay: float = 0.998

    def __post_init__(self) -> None:
        _require_one_of("kind", self.kind, OPTIMIZERS)
        _require_least(self, momentum=0, weight_decay=0, gradient_norm=0, average_decay=0)
        if self.average_decay >= 1:
            raise ValueError(f"average_decay must be below 1, got {self.average_decay}")


@dataclass(frozen=True)
class RatePhase:
    """A stretch of the learning rate's course.

    Attributes:
        epochs: its length; fractions are allowed.
        start, end: learning rates.
        shape: how it goes from one to the other.
        by_epoch: it changes once an epoch, as in the official code, instead of every step.
        reaches_end: the last epoch (or step) has `end`; else the one after it would.
    """

    epochs: float
    start: float
    end: float
    shape: str = "constant"
    by_epoch: bool = False
    reaches_end: bool = True

    def __post_init__(self) -> None:
        _require_one_of("shape", self.shape, SHAPES)
        _require_least(self, epochs=0, start=0, end=0)
        if self.shape == "logarithmic" and min(self.start, self.end) <= 0:
            raise ValueError(f"a logarithmic phase needs positive rates, got {self.end}")
        if self.shape == "constant" and self.start != self.end:
            raise ValueError(f"a constant phase has one rate, got {self.start} and {self.end}")


@dataclass(frozen=True)
class TrainedPart:
    """Modules of the network that train, and from when.

    Attributes:
        modules: names of modules ("adjust", "backbone.stages.3"); all below them train too.
        from_epoch: they are frozen before.
        rate: factor on the learning rate.
    """

    modules: tuple[str, ...]
    from_epoch: float = 0.0
    rate: float = 1.0


@dataclass(frozen=True)
class TrainingConfig:
    """One training run.

    Attributes:
        name: names the output folder's files.
        seed: of weights, samples and their order.
        architecture: a name that `build_network` knows.
        architecture_options: its keyword arguments.
        initial_weights: checkpoint that the run starts from; parts that it lacks start random.
        epochs: passes of `pairs_per_epoch` samples; fractions are allowed.
        pairs_per_epoch: samples that make an epoch.
        batch_size: samples a step, of all processes together.
        workers: processes that prepare samples, for each training process.
        precision: "float32", or "bfloat16" or "float16" for mixed precision.
        schedule: the learning rate's course; it must cover all epochs.
        trained: what trains; everything when empty.
        fixed_norm: modules whose batch norm keeps its stored statistics from the start.
        fixed_norm_from_epoch: every batch norm keeps its statistics from here on.
        checkpoint_minutes: time between checkpoints.
        log_steps: steps between lines of the metrics file.
        picture_steps: steps between pictures of samples and predictions, 0 for none.
    """

    name: str = "compact"
    seed: int = 1
    architecture: str = "compact"
    architecture_options: Mapping[str, Any] = field(default_factory=dict)
    initial_weights: str = ""
    epochs: float = 10.0
    pairs_per_epoch: int = 16000
    batch_size: int = 16
    workers: int = 1
    precision: str = "float32"
    schedule: tuple[RatePhase, ...] = (RatePhase(epochs=10.0, start=2e-3, end=2e-3),)
    trained: tuple[TrainedPart, ...] = ()
    fixed_norm: tuple[str, ...] = ()
    fixed_norm_from_epoch: float = math.inf
    checkpoint_minutes: float = 5.0
    log_steps: int = 20
    picture_steps: int = 1000
    data: DataConfig = field(default_factory=DataConfig)
    samples: SampleConfig = field(default_factory=SampleConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        _require_one_of("precision", self.precision, PRECISIONS)
        _require_least(self, batch_size=1, log_steps=1, workers=0, picture_steps=0)
        _require_least(self, pairs_per_epoch=self.batch_size, checkpoint_minutes=0)
        if not 0 < self.epochs < math.inf:
            raise ValueError(f"epochs must be positive, got {self.epochs}")
        covered = math.fsum(phase.epochs for phase in self.schedule)
        if covered < self.epochs - 1e-6:
            raise ValueError(f"the schedule covers {covered:g} of {self.epochs:g} epochs")

    @property
    def steps_per_epoch(self) -> int:
        """Optimisation steps an epoch."""
        return self.pairs_per_epoch // self.batch_size

    @property
    def steps(self) -> int:
        """Optimisation steps in all, at least 1."""
        return max(round(self.epochs * self.steps_per_epoch), 1)


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
    settings = {n: _setting(kinds[n], v, f"{where}: {n}") for n, v in values.items()}
    missing = sorted(
        f.name
        for f in dataclasses.fields(cast("Any", kind))
        if f.name not in settings
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    )
    if missing:
        raise ValueError(f"{where}: needs {', '.join(missing)}")
    return kind(**settings)


def _setting(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - what a field may hold
    """A value from YAML as the type of its field."""
    if dataclasses.is_dataclass(kind):
        return _build(cast("type[Any]", kind), value, where)
    if kind is float and not isinstance(value, bool):
        with contextlib.suppress(TypeError, ValueError):
            return float(value)  # text too: YAML 1.1 takes 2e-3 for one
    elif get_origin(kind) is tuple:
        if isinstance(value, list):
            entry = get_args(kind)[0]
            return tuple(_setting(entry, v, f"{where}[{i}]") for i, v in enumerate(value))
    elif get_origin(kind) is Mapping:
        if isinstance(value, Mapping):
            entry = get_args(kind)[1]
            return {str(k): _setting(entry, v, f"{where}: {k}") for k, v in value.items()}
    elif kind is Any or type(value) is kind:
        return value
    expected = kind.__name__ if isinstance(kind, type) else str(kind)
    raise ValueError(f"{where}: expected {expected}, got {value!r}")
