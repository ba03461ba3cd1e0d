# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from siammask_ros.anchors import AnchorGrid
from siammask_ros.network import SiamMask, build_network, save_network
from siammask_ros.training.config import TrainingConfig
from siammask_ros.training.labels import assign_anchors, mask_windows
from siammask_ros.training.losses import (
    box_loss,
    mask_iou,
    mask_loss,
    mask_overlap_loss,
    score_loss,
)
from siammask_ros.training.rendered import SceneTargets
from siammask_ros.training.samples import SampleBatch, SampleDataset, collate
from siammask_ros.training.sources import Clip, read_davis_clips, read_polygon_clips


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; the last checkpoint is from before it."""


class LossParts(NamedTuple):
    """Losses of one batch before weighting, and the masks' IoU as a metric."""

    score: Tensor
    box: Tensor
    mask: Tensor
    mask_overlap: Tensor
    mask_iou: Tensor


@dataclass(frozen=True)
class TrainingResult:
    """Where a run ended.

    Attributes:
        checkpoint: the averaged network, loadable by `load_network`.
        steps: steps done.
        samples: samples seen.
    """

    checkpoint: Path
    steps: int
    samples: int


def learning_rate_factor(step: int, config: TrainingConfig) -> float:
    """Return the factor on the learning rate at a step: warm-up, constant, cosine to zero."""
    settings = config.optimizer
    decay_start = config.steps - settings.decay_steps
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    if step < decay_start:
        return 1.0
    progress = (step - decay_start) / max(settings.decay_steps, 1)
    return 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def batch_losses(
    network: SiamMask,
    batch: SampleBatch,
    anchors: Tensor,
    anchor_shape: tuple[int, int, int],
    config: TrainingConfig,
    generator: torch.Generator,
) -> LossParts:
    """Run the network on a batch and compare it with the labels.

    Args:
        network: in training mode, with a refiner.
        batch: N samples.
        anchors: (A*S*S, 4) float32 centre and size, search-patch pixels.
        anchor_shape: (A, S, S).
        config: loss settings and precision.
        generator: draws where in a sample the mask is trained.
    """
    labels = assign_anchors(
        batch.boxes_xyxy,
        batch.is_positive,
        anchors,
        anchor_shape=anchor_shape,
        positive_iou=config.losses.positive_iou,
        negative_iou=config.losses.negative_iou,
        generator=generator,
    )
    has_target = torch.nonzero(batch.is_positive)[:, 0]
    rows, cols = labels.rows[has_target], labels.cols[has_target]
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        kernels = network.exemplar(batch.exemplar_patches.float())
        output = network.search(batch.search_patches.float(), kernels)
        logits = network.refined_mask_at(output, rows, cols, has_target).float()
    score_logits, box_deltas = output.score_logits.float(), output.box_deltas.float()
    target = mask_windows(batch.masks[has_target], rows, cols)
    return LossParts(
        score_loss(score_logits, labels.labels, hardest=config.losses.hardest_negatives),
        box_loss(
            box_deltas,
            labels.box_deltas,
            labels.labels * batch.is_positive[:, None, None, None],
            beta=config.losses.box_beta,
        ),
        mask_loss(logits, target),
        mask_overlap_loss(logits, target),
        mask_iou(logits, target),
    )


def total_loss(parts: LossParts, config: TrainingConfig) -> Tensor:
    """Weigh and add the losses (paper, equation 5)."""
    weights = config.losses
    return (
        weights.score * parts.score
        + weights.box * parts.box
        + weights.mask * parts.mask
        + weights.mask_overlap * parts.mask_overlap
    )


def read_clips(config: TrainingConfig) -> list[Clip]:
    """Read every data set that the configuration names."""
    data = config.data
    clips: list[Clip] = []
    if data.davis_root:
        clips += read_davis_clips(Path(data.davis_root), exclude=data.davis_exclude)
    if data.polygons_root:
        clips += read_polygon_clips(Path(data.polygons_root), min_side=data.polygons_min_side)
    return clips


class Trainer:
    """One run: network, averaged network, optimiser and step, resumable from its checkpoint."""

    def __init__(self, config: TrainingConfig, output: Path) -> None:
        self.config = config
        self.output = output
        self.step = 0
        torch.manual_seed(config.seed)
        self.network = build_network(config.architecture, **config.architecture_options)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = get_ema_multi_avg_fn(  # type: ignore[no-untyped-call]
            config.optimizer.average_decay
        )
        self.averaged = AveragedModel(self.network, multi_avg_fn=average, use_buffers=True)
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": config.optimizer.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=config.optimizer.learning_rate,
        )
        grid = AnchorGrid()
        boxes = grid.boxes_in_patch(config.samples.search_size)  # (4, A, S, S)
        self.anchors = torch.from_numpy(boxes.reshape(4, -1).T.copy()).float()  # (A * S * S, 4)
        self.anchor_shape = (grid.anchors_per_response, grid.size, grid.size)

    @property
    def state_path(self) -> Path:
        """File that `resume` reads."""
        return self.output / f"{self.config.name}_state.pth"

    @property
    def network_path(self) -> Path:
        """File of the averaged network."""
        return self.output / f"{self.config.name}.pth"

    def resume(self) -> bool:
        """Continue from the last checkpoint in the output folder, if there is one."""
        if not self.state_path.is_file():
            return False
        state = torch.load(self.state_path, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        return True

    def save(self) -> None:
        """Write the run's state and the averaged network, each whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        partial = self.state_path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.state_path)
        metadata = {
            "step": str(self.step),
            "samples": str(self.step * self.config.batch_size),
            "seed": str(self.config.seed),
        }
        save_network(cast("SiamMask", self.averaged.module), self.network_path, metadata=metadata)

    def run(self, clips: list[Clip], *, show_progress: bool = True) -> TrainingResult:
        """Train to the configured number of steps."""
        self.output.mkdir(parents=True, exist_ok=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        saved_at = time.monotonic()
        with Progress(*columns, disable=not show_progress) as progress:
            task = progress.add_task("training", total=self.config.steps, completed=self.step)
            for batch in self._batches(clips):
                parts = self._optimise(batch)
                self.step += 1
                if self.step % self.config.log_steps == 0 or self.step == self.config.steps:
                    self._log(parts)
                    progress.update(task, description=describe(parts))
                progress.update(task, completed=self.step)
                if time.monotonic() - saved_at > self.config.checkpoint_minutes * 60:
                    self.save()
                    saved_at = time.monotonic()
        self.save()
        return TrainingResult(self.network_path, self.step, self.step * self.config.batch_size)

    def _batches(self, clips: list[Clip]) -> Iterator[SampleBatch]:
        config = self.config
        dataset = SampleDataset(
            clips,
            config.samples,
            seed=config.seed,
            length=config.steps * config.batch_size,
            renderer=SceneTargets() if config.data.rendered else None,
        )
        first = self.step * config.batch_size
        loader: DataLoader[SampleBatch] = DataLoader(
            dataset,  # type: ignore[arg-type]
            batch_size=config.batch_size,
            sampler=range(first, len(dataset)),
            num_workers=config.workers,
            collate_fn=collate,
        )
        return iter(loader)

    def _optimise(self, batch: SampleBatch) -> LossParts:
        config = self.config
        self.network.train()
        if self.step >= config.optimizer.freeze_norm_at * config.steps:
            freeze_batch_norm(self.network)
        factor = learning_rate_factor(self.step, config)
        for group in self.optimizer.param_groups:
            group["lr"] = config.optimizer.learning_rate * factor
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        parts = batch_losses(
            self.network, batch, self.anchors, self.anchor_shape, config, generator
        )
        loss = total_loss(parts, config)
        if not torch.isfinite(loss):
            raise NonFiniteLossError(f"loss {loss.item()} at step {self.step}: {describe(parts)}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), config.optimizer.gradient_norm)
        self.optimizer.step()
        self.averaged.update_parameters(self.network)
        return LossParts(*(part.detach() for part in parts))

    def _log(self, parts: LossParts) -> None:
        path = self.output / f"{self.config.name}_metrics.csv"
        is_new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(["time", "step", "learning_rate", *LossParts._fields])
            rate = self.optimizer.param_groups[0]["lr"]
            values = [f"{float(v):.5f}" for v in parts]
            writer.writerow([f"{time.time():.0f}", self.step, f"{rate:.6f}", *values])


def freeze_batch_norm(network: nn.Module) -> None:
    """Make every batch norm use its stored statistics."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def describe(parts: LossParts) -> str:
    """Return the loss parts as one short line."""
    return " ".join(f"{name} {value.item():.3f}" for name, value in parts._asdict().items())


def train(config: TrainingConfig, output: Path, *, show_progress: bool = True) -> TrainingResult:
    """Run a training configuration, resuming from `output` if it holds a checkpoint."""
    clips = read_clips(config)
    trainer = Trainer(config, output)
    trainer.resume()
    return trainer.run(clips, show_progress=show_progress)
