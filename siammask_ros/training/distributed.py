# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many processes that train one network as if they were one: each has a share of every batch.

`torchrun` starts them. Sums over processes make the losses' denominators, the batch norm
statistics and the gradients those of the joint batch, so the number of processes changes nothing
but the speed (and the rounding).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Processes:
    """This process and those it trains with.

    Attributes:
        rank: number of this process, from 0.
        count: number of all processes.
        device: where this one computes.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that prints and writes."""
        return self.rank == 0

    def share(self, batch_size: int) -> range:
        """Which samples of a joint batch are this process's: as many for each, contiguous.

        Raises:
            ValueError: the batch cannot be divided evenly.
        """
        if batch_size % self.count:
            raise ValueError(
                f"batch_size {batch_size} cannot be divided among {self.count} processes: "
                f"choose a multiple of {self.count}"
            )
        size = batch_size // self.count
        return range(self.rank * size, (self.rank + 1) * size)

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes, without gradient, the same in each."""
        return _summed(value.detach())

    def any(self, flag: bool) -> bool:  # noqa: FBT001 - any(flag) reads as it should
        """Whether a flag is set in any process."""
        if self.count == 1:
            return flag
        return bool(self.sum(torch.tensor(float(flag), device=self.device)))

    def from_main(self, value: ValueT) -> ValueT:
        """The main process's value, in every process."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, device=self.device)
        return box[0]

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over processes.

        One sum after the backward pass, instead of `DistributedDataParallel`'s sums within it: what
        trains changes during a run, and a batch without masks leaves the mask branch without
        gradient in some processes. A gradient that no process has stays None, so that the
        optimizer leaves its parameter alone.
        """
        if self.count == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        if not trained:
            return
        pieces = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        present = torch.tensor([float(p.grad is not None) for p in trained])
        flat = torch.cat([*(piece.reshape(-1) for piece in pieces), present.to(pieces[0])])
        distributed.all_reduce(flat)
        sizes = [p.numel() for p in trained]
        *means, holders = torch.split(flat, [*sizes, len(trained)])
        for parameter, mean, held in zip(trained, means, holders.tolist(), strict=True):
            if held:
                parameter.grad = (mean / self.count).view_as(parameter)


@contextlib.contextmanager
def joined(device: str = "auto") -> Iterator[Processes]:
    """Join the processes that `torchrun` started, if it did, for the time of the block.

    Args:
        device: "cpu", "cuda", "cuda:1" or "auto" (CUDA where it is). Of many processes on one
            machine each gets the CUDA device of its local number.

    Raises:
        ValueError: CUDA is asked for and absent, or the machine has fewer devices than processes.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = _device(device, local_rank=int(os.environ.get("LOCAL_RANK", "0")), count=count)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if count == 1:
        yield Processes(device=chosen)
        return
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), count, chosen)
    finally:
        distributed.destroy_process_group()


def _device(name: str, *, local_rank: int, count: int) -> torch.device:
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if devices else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}: auto, cpu, cuda or cuda:N") from None
    if device.type != "cuda":
        return device
    index = (device.index or 0) if count == 1 else local_rank
    if index >= devices:
        raise ValueError(
            f"no CUDA device {index} for process {local_rank} of this machine: {devices} found"
        )
    return torch.device("cuda", index)


class JointBatchNorm(nn.BatchNorm2d):
    """Batch norm whose statistics, in training mode, are those of all processes' samples.

    In evaluation mode it is `nn.BatchNorm2d`. `nn.SyncBatchNorm` does the same on CUDA only;
    this one is the same code everywhere, so what the tests run is what a cluster runs.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise (N, C, H, W) by the joint mean and variance of each channel.

        N may differ between processes, and be 0 in some.
        """
        if not self.training:
            return super().forward(inputs)
        exact = inputs if inputs.dtype is torch.float64 else inputs.float()
        local_count = exact.new_tensor([inputs.numel() / max(inputs.shape[1], 1)])
        joint = sum_with_gradient(torch.cat([exact.sum((0, 2, 3)), local_count]))
        count = joint[-1].detach().clamp(min=1.0)
        mean = joint[:-1] / count
        centred = exact - mean[:, None, None]
        variance = sum_with_gradient(centred.square().sum((0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach(), count)
        factor = torch.rsqrt(variance + self.eps)
        if self.affine:
            factor = factor * self.weight
        outputs = centred * factor[:, None, None]
        if self.affine:
            outputs = outputs + self.bias[:, None, None]
        return outputs.to(inputs.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if not self.track_running_stats:
            return
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        weight = 1.0 / float(self.num_batches_tracked) if momentum is None else momentum
        unbiased = variance * count / (count - 1.0).clamp(min=1.0)
        self.running_mean.lerp_(mean.to(self.running_mean), weight)
        self.running_var.lerp_(unbiased.to(self.running_var), weight)


def join_batch_norms(network: nn.Module) -> None:
    """Replace every batch norm of a network, in place, by a joint one with the same tensors."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, _as_joint(child))


def _as_joint(norm: nn.BatchNorm2d) -> JointBatchNorm:
    joint = JointBatchNorm(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    # The tensors themselves, not copies: optimizers and averages may hold them already.
    joint.weight, joint.bias = norm.weight, norm.bias
    joint.running_mean, joint.running_var = norm.running_mean, norm.running_var
    joint.num_batches_tracked = norm.num_batches_tracked
    return joint.train(norm.training)


def sum_with_gradient(value: Tensor) -> Tensor:
    """The sum over processes; its gradient is the sum of all processes' gradients.

    A process that trains alone gets what it gave.
    """
    joint: Tensor = _JointSum.apply(value)  # type: ignore[no-untyped-call]
    return joint


class _JointSum(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, value: Tensor) -> Tensor:  # noqa: ANN401 - torch's context
        return _summed(value.detach())

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401
        return _summed(gradients[0])


def _summed(value: Tensor) -> Tensor:
    joint = value.clone()
    if distributed.is_initialized():
        distributed.all_reduce(joint)
    return joint
