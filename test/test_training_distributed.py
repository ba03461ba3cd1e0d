# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes train as one would with the joint batch. `torchrun` runs this file too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_data import write_davis
from torch import nn

from siammask_ros.training.config import (
    DataConfig,
    OptimizerConfig,
    RatePhase,
    SourceConfig,
    TrainingConfig,
    load_training_config,
)
from siammask_ros.training.datasets import read_sources
from siammask_ros.training.distributed import JointBatchNorm, Processes, join_batch_norms, joined
from siammask_ros.training.loop import Trainer
from siammask_ros.training.metrics import read_metrics
from siammask_ros.training.state import write_config

SIZES = (3, 1)
"""Samples of each process: batch norm must weigh them."""


def joint_batch():
    generator = torch.Generator().manual_seed(4)
    inputs = torch.randn((sum(SIZES), 3, 5, 4), generator=generator, dtype=torch.float64)
    return 7.0 + 3.0 * inputs, torch.randn(inputs.shape, generator=generator, dtype=torch.float64)


def small_network():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Tanh(), nn.BatchNorm2d(3))
    network.append(nn.Conv2d(3, 3, 1))
    network[4].weight.requires_grad_(False)
    return network.double()


def trained(network, inputs, weights, processes):
    """One step's gradients and the state after it; the loss is a mean over joint samples."""
    loss = processes.count * (network(inputs) * weights).sum() / sum(SIZES)
    network[4].zero_grad()
    loss.backward()
    processes.average_gradients(network.parameters())
    return {
        "gradients": {name: p.grad for name, p in network.named_parameters()},
        "state": network.state_dict(),
        "loss": processes.sum(loss) / processes.count,
    }


def run_config(root: Path) -> TrainingConfig:
    """Four steps of four samples, negatives among them; batch norm trains until the last.

    SGD, for AdamW divides rounding errors by gradients that are nothing but rounding errors.
    """
    return TrainingConfig(
        name="tiny",
        architecture_options={
            "channels": [8, 8, 8],
            "blocks": [1, 1, 2],
            "width": 8,
            "refiner_widths": [8, 8, 4],
        },
        epochs=2.0,
        pairs_per_epoch=8,
        batch_size=4,
        workers=0,
        log_steps=1,
        picture_steps=2,
        fixed_norm_from_epoch=1.5,
        schedule=(RatePhase(epochs=2.0, start=1e-3, end=1e-3),),
        data=DataConfig(sources={"tiny": SourceConfig("davis", str(root))}, rendered=False),
        optimizer=OptimizerConfig(kind="sgd", gradient_norm=10.0),
    )


def exact_trainer(config: TrainingConfig, output: Path, processes: Processes) -> Trainer:
    """A trainer in float64: a step or two make 1e-5 of float32's rounding errors."""
    trainer = Trainer(config, output, processes)
    for network in (trainer.network, trainer.saved_network):
        network.double()
        network.backbone.register_forward_pre_hook(lambda _, inputs: inputs[0].double())
    return trainer


def whole_run(config: TrainingConfig, output: Path, processes: Processes):
    """A run of all steps, then the last half of them again, resumed."""
    sources = read_sources(config.data)
    first = exact_trainer(config, output, processes)
    first.begin()
    losses = []
    for batch in first.batches(sources):
        outcome = first.optimise(batch)
        losses.append([outcome.loss, *(float(part.value) for part in outcome.parts)])
        if first.step == 2:
            first.save(sources)
    state = first.network.state_dict()
    second = exact_trainer(config, output, processes)
    second.begin()
    assert second.step == 2
    result = second.run(sources, show_progress=False)
    return {
        "losses": torch.tensor(losses),
        "state": state,
        "resumed": second.network.state_dict(),
        "files": [path.name for path in result.files],
    }


def in_one_of_many(output: Path) -> None:
    """What each process of the test does; it leaves its results in a file."""
    with joined("cpu") as processes:
        config = load_training_config(output / "config.yaml")
        run = whole_run(config, output / "run", processes)
        network = small_network()
        join_batch_norms(network)
        inputs, weights = joint_batch()
        begin = sum(SIZES[: processes.rank])
        own = slice(begin, begin + SIZES[processes.rank])
        results = trained(network, inputs[own], weights[own], processes)
        results["rank"], results["count"] = processes.rank, processes.count
        results["from_main"] = processes.from_main({"rank": processes.rank})
        with_gradient = nn.Parameter(torch.ones(2))
        without = nn.Parameter(torch.ones(3))
        if processes.rank == 1:
            with_gradient.grad = torch.tensor([4.0, 6.0])
        processes.average_gradients([with_gradient, without])
        results["lone"] = (with_gradient.grad, without.grad)
        torch.save(results | {"run": run}, output / f"{processes.rank}.pth")


def torchrun(*arguments, cwd: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    write_davis(folder / "data")
    write_config(folder / "config.yaml", run_config(folder / "data"))
    torchrun(Path(__file__).resolve(), folder, cwd=folder)
    return folder, [torch.load(folder / f"{rank}.pth") for rank in range(2)]


@pytest.fixture(scope="module")
def processes_of_two(of_two):
    return of_two[1]


def test_processes_know_each_other(processes_of_two):
    assert [(found["rank"], found["count"]) for found in processes_of_two] == [(0, 2), (1, 2)]
    assert [found["from_main"] for found in processes_of_two] == [{"rank": 0}] * 2


def test_two_processes_are_as_one_with_the_joint_batch(processes_of_two):
    expected = trained(small_network(), *joint_batch(), Processes())
    for found in processes_of_two:
        torch.testing.assert_close(found["loss"], expected["loss"])
        torch.testing.assert_close(found["state"], expected["state"])
        assert found["gradients"].pop("4.weight") is None
        reference = {n: g for n, g in expected["gradients"].items() if n != "4.weight"}
        torch.testing.assert_close(found["gradients"], reference)


def test_a_run_of_two_processes_is_that_of_one(of_two, tmp_path):
    """Losses of each step, batch norm statistics, weights, and what is left on disk."""
    folder, found = of_two
    expected = whole_run(run_config(folder / "data"), tmp_path, Processes())
    assert (expected["losses"][:, 1:4] > 0).all()
    for process in found:
        run = process["run"]
        torch.testing.assert_close(run["losses"], expected["losses"], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(run["state"], expected["state"], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(run["resumed"], run["state"], rtol=0, atol=0)
    assert [process["run"]["files"] for process in found] == [expected["files"], []]
    tables = [read_metrics(path / "tiny_metrics.csv") for path in (folder / "run", tmp_path)]
    assert [row.step for row in tables[0]] == [row.step for row in tables[1]] == [3, 4]
    names = [sorted(p.name for p in path.iterdir()) for path in (folder / "run", tmp_path)]
    assert names[0] == names[1]


def test_a_gradient_of_one_process_counts_for_all(processes_of_two):
    for found in processes_of_two:
        with_gradient, without = found["lone"]
        assert with_gradient.tolist() == [2.0, 3.0]
        assert without is None


def test_the_shares_make_the_batch():
    shares = [Processes(rank, 4).share(12) for rank in range(4)]
    assert [number for share in shares for number in share] == list(range(12))
    with pytest.raises(ValueError, match="batch_size 10 cannot be divided among 4 processes"):
        Processes(1, 4).share(10)


def test_alone_nothing_is_exchanged():
    with joined("cpu") as processes:
        assert (processes.rank, processes.count, processes.is_main) == (0, 1, True)
        value = torch.tensor([1.0, 2.0])
        assert processes.sum(value).tolist() == [1.0, 2.0]
        assert processes.from_main("text") == "text"


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no CUDA device 0 for process 0"), joined("cuda"):
        pass
    with pytest.raises(ValueError, match="unknown device 'gpu'"), joined("gpu"):
        pass
    with joined("auto") as processes:
        assert processes.device == torch.device("cpu")


def test_joint_norms_hold_the_tensors_of_those_they_replace():
    network = small_network()
    tensors = {name: value.data_ptr() for name, value in network.state_dict().items()}
    expected = network.eval()(joint_batch()[0])
    join_batch_norms(network)
    assert sum(isinstance(module, JointBatchNorm) for module in network.modules()) == 2
    assert {name: value.data_ptr() for name, value in network.state_dict().items()} == tensors
    assert not network[1].training
    torch.testing.assert_close(network(joint_batch()[0]), expected, rtol=0, atol=0)


# Only in the processes that torchrun starts.
if __name__ == "__main__":
    in_one_of_many(Path(sys.argv[1]))
