# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop.

`Trainer.run` is a run, `Trainer.optimise` a step of it; both read from top to bottom. What a step
does depends only on the configuration, the state that `save` writes, and the samples, which depend
only on the seed and their numbers: a run that is interrupted and resumed ends as one that is not.
"""

from __future__ import annotations

import functools
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, cast

import cv2
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Sampler

from siammask_ros.interruption import Interruption
from siammask_ros.network import SiamMask, build_network, load_initial_weights, save_network
from siammask_ros.pictures import write_png
from siammask_ros.plots import write_chart
from siammask_ros.training.config import TrainingConfig
from siammask_ros.training.datasets import read_sources
from siammask_ros.training.distributed import Processes, join_batch_norms, joined
from siammask_ros.training.journal import Journal, StepOutcome, reading_display
from siammask_ros.training.labels import AnchorLabels, TrainingGrid, label_batch
from siammask_ros.training.losses import LossParts, batch_losses, joint_parts, total_loss
from siammask_ros.training.metrics import read_metrics
from siammask_ros.training.parts import (
    build_optimizer,
    set_learning_rate,
    set_modes,
    set_trained,
)
from siammask_ros.training.pictures import SAMPLES_SHOWN, curve_chart, predict, sample_sheet
from siammask_ros.training.rendered import SceneTargets
from siammask_ros.training.samples import Sample, SampleBatch, SampleDataset, collate
from siammask_ros.training.schedule import learning_rate
from siammask_ros.training.sources import Source
from siammask_ros.training.state import config_digest, read_state, write_config, write_state

SECONDS_PER_MINUTE = 60.0
PATIENCE_S = 2.0
"""A second signal after this time stops at once. `torchrun` sends one more right after Ctrl-C."""
NOTICE = "stopping after this step; once more to stop at once"


class LabelledBatch(NamedTuple):
    """What a step learns from."""

    samples: SampleBatch
    labels: AnchorLabels


class Shares(Sampler[list[int]]):
    """Numbers of the samples that a process needs for each step: its share of the step's batch.

    Args:
        share: places in the batch.
        batch_size: of all processes together.
        steps: those to come.
    """

    def __init__(self, share: range, batch_size: int, steps: range) -> None:
        self._share, self._batch_size, self._steps = share, batch_size, steps

    def __iter__(self) -> Iterator[list[int]]:
        for step in self._steps:
            yield [step * self._batch_size + place for place in self._share]

    def __len__(self) -> int:
        return len(self._steps)


class NonFiniteLossError(RuntimeError):
    """The loss or its gradient became NaN or infinite; the last checkpoint is from before it."""


@dataclass(frozen=True)
class TrainingResult:
    """Where a run ended.

    Attributes:
        checkpoint: the network (its average, if there is one), loadable by `load_network`.
        steps: steps done, of all runs that led here.
        samples: samples seen.
        is_complete: False if it was interrupted; the state is saved, and `train` goes on from it.
        files: what the run left, in the main process only.
    """

    checkpoint: Path
    steps: int
    samples: int
    is_complete: bool = True
    files: tuple[Path, ...] = ()


def train(
    config: TrainingConfig,
    output: Path,
    *,
    device: str = "auto",
    show_progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> TrainingResult:
    """Run a training configuration, going on from what `output` holds of it.

    Args:
        config: the run.
        output: folder for all it writes; made if it is missing.
        device: "auto" (CUDA where it is), "cpu", "cuda" or "cuda:1".
        show_progress: whether standard error shows how far it is.
        say: takes lines for the user, in the main process only.

    Raises:
        ValueError: the configuration, the device or the state in `output` do not fit.
        DatasetError: a data set is incomplete; nothing has been trained then.
        CheckpointError: the initial weights do not fit.
        NonFiniteLossError: the run diverged.
    """
    with joined(device) as processes:
        trainer = Trainer(config, output, processes, say=say)
        with reading_display(wanted=show_progress and processes.is_main) as show:
            sources = read_sources(config.data, on_progress=show)
        trainer.begin()
        return trainer.run(sources, show_progress=show_progress)


class Trainer:
    """One run: the network, its average, the optimizer and the step.

    Args:
        config: the run.
        output: folder for all it writes.
        processes: those that train together.
        say: takes lines for the user.

    Raises:
        ValueError: the settings do not fit each other or the processes.
    """

    def __init__(
        self,
        config: TrainingConfig,
        output: Path,
        processes: Processes | None = None,
        *,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.config = config
        self.output = output
        self.processes = processes or Processes()
        self.step = 0
        self._say = say if self.processes.is_main else _ignore
        self._saved_step = -1
        self._saved_at = time.monotonic()
        device = self.processes.device
        torch.manual_seed(config.seed)
        network = build_network(config.architecture, **config.architecture_options)
        check_settings(config, network, self.processes)
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.processes.count > 1:
            join_batch_norms(self.network)
        self.grid = TrainingGrid(config.samples.search_size, has_anchors=network.has_boxes)
        self.average = _average_of(self.network, config.optimizer.average_decay)
        self.optimizer = build_optimizer(self.network, config)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "float16")

    @property
    def state_path(self) -> Path:
        """File that a run goes on from."""
        return self.output / f"{self.config.name}_state.pth"

    @property
    def network_path(self) -> Path:
        """File of the network as it is at the end, or as far as the run came."""
        return self.output / f"{self.config.name}.pth"

    @property
    def metrics_path(self) -> Path:
        """Table of losses and rates."""
        return self.output / f"{self.config.name}_metrics.csv"

    @property
    def saved_network(self) -> SiamMask:
        """The network that is saved: the average, if there is one."""
        return self.network if self.average is None else cast("SiamMask", self.average.module)

    def begin(self) -> None:
        """Go on from the state in the output folder, or begin with the initial weights."""
        if self.processes.is_main:
            self.output.mkdir(parents=True, exist_ok=True)
        if self.resume():
            self._say(f"going on from step {self.step} of {self.config.steps}: {self.state_path}")
        elif self.config.initial_weights:
            random = load_initial_weights(self.network, self.config.initial_weights)
            self.saved_network.load_state_dict(self.network.state_dict())
            self._say(initial_weights_line(self.config.initial_weights, random))
        if self.processes.is_main:
            write_config(self.output / f"{self.config.name}_config.yaml", self.config)

    def resume(self) -> bool:
        """Take the state in the output folder, if there is one.

        Only the main process reads it: other machines need not see the folder.

        Raises:
            StateError: the file is damaged or of another configuration.
        """
        found = self.processes.is_main and self.state_path.is_file()
        state = self.processes.from_main(
            read_state(self.state_path, self.config) if found else None
        )
        if state is None:
            return False
        self.network.load_state_dict(state["network"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.step = self._saved_step = state["step"]
        return True

    def run(self, sources: Sequence[Source], *, show_progress: bool = True) -> TrainingResult:
        """Train to the configured number of steps, or until the user or the system interrupts.

        Raises:
            NonFiniteLossError: the loss or its gradient is not finite.
            ValueError: the sources give no sample.
        """
        config = self.config
        files = [self.network_path, self.state_path, self.metrics_path]
        is_complete = self.step >= config.steps
        batches = self.batches(sources)  # forks, so before the journal begins threads
        noted = Interruption(NOTICE, patience_s=PATIENCE_S)
        with noted as interruption, self._journal(show_progress=show_progress) as journal:
            for batch in batches:
                outcome = self.optimise(batch)
                journal.add(outcome, self.step)
                is_complete = self.step >= config.steps
                if config.picture_steps and self.step % config.picture_steps == 0:
                    files += self.draw(batch)
                if self.step % config.steps_per_epoch == 0:
                    files += self.save_epoch(sources)
                if self._minutes_since_saved() > config.checkpoint_minutes:
                    self.save(sources)
                if self.processes.any(interruption.requested):
                    break
        self.save(sources)
        files += self.draw_curve()
        samples = self.step * config.batch_size
        written = tuple(files) if self.processes.is_main else ()
        return TrainingResult(self.network_path, self.step, samples, is_complete, written)

    def optimise(self, batch: LabelledBatch) -> StepOutcome:
        """Do one step with this process's share of a batch.

        Raises:
            NonFiniteLossError: the loss or its gradient is not finite.
        """
        config, processes, network = self.config, self.processes, self.network
        epoch = self.step / config.steps_per_epoch
        rate = learning_rate(self.step, config)
        set_trained(network, config, epoch)
        set_modes(network, config, epoch)
        set_learning_rate(self.optimizer, rate)

        parts = batch_losses(
            network, batch.samples, batch.labels, config, self.grid, device=processes.device
        )
        loss = total_loss(parts, config.losses, sum_over_processes=processes.sum)
        joint = joint_parts(parts, processes.sum)
        joint_loss = float(total_loss(joint, config.losses))
        self._require_finite("loss", joint_loss, joint)

        network.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        processes.average_gradients(network.parameters())
        self.scaler.unscale_(self.optimizer)
        limit = config.optimizer.gradient_norm or math.inf
        norm = float(nn.utils.clip_grad_norm_(network.parameters(), limit))
        if not self.scaler.is_enabled():  # else it leaves such a step out, and scales less
            self._require_finite("gradient norm", norm, joint)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(network)
        self.step += 1
        return StepOutcome(joint_loss, joint, gradient_norm=norm, learning_rate=rate)

    def batches(self, sources: Sequence[Source]) -> Iterator[LabelledBatch]:
        """This process's share of each batch that is still to come, labels included."""
        config = self.config
        dataset = sample_dataset(config, sources)
        share = self.processes.share(config.batch_size)
        loader: DataLoader[Sample] = DataLoader(
            dataset,
            batch_sampler=Shares(share, config.batch_size, range(self.step, config.steps)),
            num_workers=config.workers,
            collate_fn=functools.partial(labelled, grid=self.grid, config=config),
            pin_memory=self.processes.device.type == "cuda",
            worker_init_fn=_prepare_worker,
        )
        with _one_opencv_thread():
            return iter(cast("DataLoader[LabelledBatch]", loader))

    def save(self, sources: Sequence[Source]) -> None:
        """Write the state and the network, each whole or not at all; the main process does."""
        self._saved_at = time.monotonic()
        if not self.processes.is_main or self._saved_step == self.step:
            return
        state = {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
        }
        write_state(self.state_path, self.config, state)
        self._save_network(self.network_path, sources)
        self._saved_step = self.step

    def save_epoch(self, sources: Sequence[Source]) -> list[Path]:
        """Write the network under the number of the epoch that has just ended."""
        if not self.processes.is_main:
            return []
        epoch = self.step // self.config.steps_per_epoch
        path = self.output / f"{self.config.name}_epoch_{epoch}.pth"
        self._save_network(path, sources)
        return [path]

    def draw(self, batch: LabelledBatch) -> list[Path]:
        """Write a picture of some samples, what they should give and what the network says."""
        if not self.processes.is_main:
            return []
        stage = self.config.losses.mask_stage
        shown = SampleBatch(*(part[:SAMPLES_SHOWN] for part in batch.samples))
        sheet = sample_sheet(
            f"{self.config.name}, step {self.step}",
            shown,
            batch.labels,
            self.grid,
            predictions=predict(self.saved_network, shown, self.grid, mask_stage=stage),
        )
        return [write_png(self.output / f"{self.config.name}_{self.step:06d}.png", sheet)]

    def draw_curve(self) -> list[Path]:
        """Write a picture of the metrics file."""
        rows = read_metrics(self.metrics_path) if self.processes.is_main else []
        if not rows:
            return []
        path = self.output / f"{self.config.name}_curve.png"
        return [write_chart(path, curve_chart(self.config.name, rows))]

    def _journal(self, *, show_progress: bool) -> Journal:
        return Journal(
            self.config,
            self.metrics_path,
            self.output / f"{self.config.name}_events",
            step=self.step,
            is_active=self.processes.is_main,
            show_progress=show_progress,
            say=self._say,
        )

    def _minutes_since_saved(self) -> float:
        return (time.monotonic() - self._saved_at) / SECONDS_PER_MINUTE

    def _save_network(self, path: Path, sources: Sequence[Source]) -> None:
        described = {
            "step": self.step,
            "epoch": self.step / self.config.steps_per_epoch,
            "samples": self.step * self.config.batch_size,
            "seed": self.config.seed,
            "config": config_digest(self.config),
            "sources": {
                source.name: {"kind": source.config.kind, "targets": source.targets}
                for source in sources
            },
            "rendered": self.config.data.rendered,
            "version": package_version(),
        }
        save_network(self.saved_network, path, metadata=described)

    def _require_finite(self, what: str, value: float, parts: LossParts) -> None:
        if math.isfinite(value):
            return
        values = ", ".join(f"{n} {float(p.value):g}" for n, p in parts._asdict().items())
        last = f"the last checkpoint, {self.state_path}, is of step {self._saved_step}"
        raise NonFiniteLossError(
            f"{what} {value} at step {self.step} ({values}); "
            + (last if self._saved_step >= 0 else "there is no checkpoint yet")
        )


def check_settings(config: TrainingConfig, network: SiamMask, processes: Processes) -> None:
    """Find what does not fit before anything long begins.

    Raises:
        ValueError: the batch cannot be shared, the precision is not of the device, or the network
            has no masks of the stage that is trained.
    """
    processes.share(config.batch_size)
    if config.precision == "float16" and processes.device.type != "cuda":
        raise ValueError(f"precision float16 needs CUDA, not {processes.device}: take bfloat16")
    stage = config.losses.mask_stage
    if (stage == "refined" and not network.has_refiner) or (
        stage == "coarse" and not network.has_coarse_mask
    ):
        raise ValueError(
            f"losses.mask_stage is {stage}, but {config.architecture} has no such mask"
        )


def sample_dataset(config: TrainingConfig, sources: Sequence[Source]) -> SampleDataset:
    """All samples of a run, by their numbers."""
    return SampleDataset(
        sources,
        config.samples,
        seed=config.seed,
        length=config.steps * config.batch_size,
        renderer=SceneTargets() if config.data.rendered else None,
    )


def labelled(
    samples: Sequence[Sample], *, grid: TrainingGrid, config: TrainingConfig
) -> LabelledBatch:
    """Samples as a batch with its labels; runs in the processes that prepare samples."""
    batch = collate(samples)
    return LabelledBatch(batch, label_batch(batch, grid, config.losses, seed=config.seed))


def initial_weights_line(path: str, random: Sequence[str]) -> str:
    """Say what a run begins with.

    Args:
        path: of the checkpoint.
        random: names of parameters that it lacks.
    """
    parts = sorted({name.split(".")[0] for name in random})
    rest = f", random in {', '.join(parts)}" if parts else ""
    return f"initial weights from {path}{rest}"


def package_version() -> str:
    """The version of this package, or that it is not installed."""
    try:
        return metadata.version("siammask_ros")
    except metadata.PackageNotFoundError:
        return "source tree"


def _average_of(network: nn.Module, decay: float) -> AveragedModel | None:
    if not decay:
        return None
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """End OpenCV's threads while processes are forked, which get one thread each.

    A forked process has OpenCV's record of its threads but not the threads: `cv2.setNumThreads`
    there waits for ever for a thread to leave its condition variable.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _prepare_worker(_number: int) -> None:
    """Leave Ctrl-C to the process that trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _ignore(_text: str) -> None:
    pass
