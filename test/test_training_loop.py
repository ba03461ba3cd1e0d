# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: learns, resumes to the same numbers, stops on a bad loss."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest
import torch
from tiny_data import write_davis

from siammask_ros.network import load_network
from siammask_ros.training.config import DataConfig, TrainingConfig, load_training_config
from siammask_ros.training.loop import (
    NonFiniteLossError,
    Trainer,
    learning_rate_factor,
    read_clips,
    train,
)
from siammask_ros.training.samples import SampleConfig

SMALL = {"channels": (8, 8, 8), "blocks": (1, 1, 2), "width": 8, "refiner_widths": (8, 8, 4)}
PLAIN_PAIRS = SampleConfig(
    video_share=1.0,
    image_share=0.0,
    composite_share=0.0,
    negative_share=0.0,
    distractor_probability=0.0,
    occluder_probability=0.0,
)


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    root = tmp_path / "data"
    write_davis(root)
    return TrainingConfig(
        name="tiny",
        architecture_options=SMALL,
        steps=4,
        batch_size=2,
        workers=0,
        log_steps=1,
        data=DataConfig(davis_root=str(root), rendered=False),
    )


def test_a_run_leaves_a_loadable_network_and_metrics(
    config: TrainingConfig, tmp_path: Path
) -> None:
    result = train(config, tmp_path / "run", show_progress=False)
    assert (result.steps, result.samples) == (4, 8)
    network = load_network(result.checkpoint)
    assert network.architecture == "compact"
    rows = list(csv.DictReader((tmp_path / "run" / "tiny_metrics.csv").open()))
    assert [int(r["step"]) for r in rows] == [1, 2, 3, 4]
    assert all(float(r["mask"]) > 0 for r in rows)


def test_a_resumed_run_ends_with_the_same_weights(config: TrainingConfig, tmp_path: Path) -> None:
    whole = Trainer(config, tmp_path / "whole")
    whole.run(read_clips(config), show_progress=False)

    first = Trainer(config, tmp_path / "parts")
    first.output.mkdir()
    batches = first._batches(read_clips(config))
    for _ in range(2):
        first._optimise(next(batches))
        first.step += 1
    first.save()
    second = Trainer(config, tmp_path / "parts")
    assert second.resume()
    assert second.step == 2
    second.run(read_clips(config), show_progress=False)

    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(second.network.state_dict()[name], value, rtol=0, atol=0)


def test_training_fits_one_batch(config: TrainingConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(
        config,
        steps=60,
        batch_size=4,
        samples=PLAIN_PAIRS,
        optimizer=dataclasses.replace(config.optimizer, warmup_steps=5, decay_steps=10),
    )
    trainer = Trainer(config, tmp_path / "run")
    batch = next(trainer._batches(read_clips(config)))
    history = []
    for _ in range(config.steps):
        history.append(trainer._optimise(batch))
        trainer.step += 1
    first, last = history[0], history[-1]
    assert last.score < 0.6 * first.score
    assert last.box < 0.5 * first.box
    assert last.mask < 0.5 * first.mask


def test_a_loss_that_is_not_finite_stops_the_run(config: TrainingConfig, tmp_path: Path) -> None:
    trainer = Trainer(config, tmp_path / "run")
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match="step 0"):
        trainer.run(read_clips(config), show_progress=False)
    assert not trainer.state_path.exists()


def test_a_batch_of_negatives_has_no_mask_loss(config: TrainingConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(
        config, samples=dataclasses.replace(PLAIN_PAIRS, video_share=0.0, negative_share=1.0)
    )
    trainer = Trainer(config, tmp_path / "run")
    parts = trainer._optimise(next(trainer._batches(read_clips(config))))
    assert (float(parts.mask), float(parts.box)) == (0.0, 0.0)
    assert float(parts.score) > 0
    assert all(torch.isfinite(value).all() for value in trainer.network.state_dict().values())


def test_the_learning_rate_rises_stays_and_falls() -> None:
    config = TrainingConfig(steps=1000)
    config = dataclasses.replace(
        config, optimizer=dataclasses.replace(config.optimizer, warmup_steps=100, decay_steps=200)
    )
    factors = [learning_rate_factor(step, config) for step in range(1000)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[99:801] == [1.0] * 702
    assert factors[900] == pytest.approx(0.5)
    assert factors[999] < 1e-3
    assert sorted(factors[800:], reverse=True) == factors[800:]


def test_settings_come_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("steps: 12\nsamples:\n  wide_shift: 30.0\n  photometric:\n    gain: 0.5\n")
    config = load_training_config(path)
    assert config.steps == 12
    assert config.samples.wide_shift == 30.0
    assert config.samples.photometric.gain == 0.5
    assert config.optimizer == TrainingConfig().optimizer


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("steps: 12\n")
    config = load_training_config(path, overrides=["steps=7", "data.davis_exclude=[bear, bus]"])
    assert config.steps == 7
    assert config.data.davis_exclude == ("bear", "bus")
    with pytest.raises(ValueError, match="expected name=value, got 'steps'"):
        load_training_config(path, overrides=["steps"])
    with pytest.raises(ValueError, match="stpes"):
        load_training_config(path, overrides=["stpes=7"])


def test_numbers_may_be_written_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        "optimizer:\n  learning_rate: 2e-3\n  weight_decay: 0\n"
    )  # text and int in YAML
    config = load_training_config(path)
    assert config.optimizer.learning_rate == 0.002
    assert isinstance(config.optimizer.weight_decay, float)


def test_the_shipped_configuration_is_valid() -> None:
    shipped = Path(__file__).parent.parent / "config" / "training"
    names = sorted(path.name for path in shipped.glob("*.yaml"))
    assert "compact.yaml" in names
    for name in names:
        assert load_training_config(shipped / name).steps > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stpes: 3\n", "stpes"),
        ("samples:\n  colour: 1\n", "samples: unknown setting colour"),
        ("precision: float8\n", "float8"),
        ("- a\n", "expected a mapping"),
        ("samples:\n", "samples: expected a mapping of settings, got NoneType"),
        ("1: 2\n", "unknown setting 1"),
        ("steps: [\n", "not YAML"),
        ("steps: many\n", "steps: expected int, got 'many'"),
        ("steps: true\n", "steps: expected int, got True"),
        ("steps: 0\n", "steps must be at least 1, got 0"),
        ("losses:\n  box: wide\n", "losses: box: expected float, got 'wide'"),
        ("data:\n  davis_exclude: bear\n", "davis_exclude: expected .*, got 'bear'"),
        ("optimizer:\n  learning_rate: -1\n", "learning_rate must be positive, got -1"),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_training_config(path)
