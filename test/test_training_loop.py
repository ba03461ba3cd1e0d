# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: learns, resumes to the same numbers, stops on a bad loss or when told."""

from __future__ import annotations

import dataclasses
import io
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
import yaml
from rich.console import Console
from tiny_data import write_davis

from siammask_ros.network import load_network, read_checkpoint
from siammask_ros.training import check, journal, train
from siammask_ros.training import loop as loop_module
from siammask_ros.training.config import (
    DataConfig,
    LossConfig,
    RatePhase,
    SourceConfig,
    TrainedPart,
    TrainingConfig,
    load_training_config,
)
from siammask_ros.training.datasets import DatasetError, Reading, read_sources
from siammask_ros.training.distributed import Processes
from siammask_ros.training.loop import NonFiniteLossError, Trainer
from siammask_ros.training.metrics import Metrics, MetricsFile, read_metrics
from siammask_ros.training.samples import SampleConfig
from siammask_ros.training.state import StateError, config_digest, read_state, write_config

SMALL = {"channels": (8, 8, 8), "blocks": (1, 1, 2), "width": 8, "refiner_widths": (8, 8, 4)}
PLAIN_PAIRS = SampleConfig(
    pair_share=1.0,
    composite_share=0.0,
    negative_share=0.0,
    distractor_probability=0.0,
    occluder_probability=0.0,
)


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    """Two epochs of two steps."""
    root = tmp_path / "data"
    write_davis(root)
    return TrainingConfig(
        name="tiny",
        architecture_options=SMALL,
        epochs=2,
        pairs_per_epoch=4,
        batch_size=2,
        workers=0,
        log_steps=1,
        picture_steps=0,
        schedule=(RatePhase(epochs=2, start=1e-3, end=1e-3),),
        data=DataConfig(sources={"tiny": SourceConfig("davis", str(root))}, rendered=False),
        samples=PLAIN_PAIRS,
    )


def change(config, **changes):
    return dataclasses.replace(config, **changes)


def equal_weights(first, second) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())


def stop_after(trainer, step, monkeypatch):
    """Make the user press Ctrl-C while a step is being done."""
    optimise = trainer.optimise

    def interrupted(batch):
        if trainer.step + 1 == step:
            os.kill(os.getpid(), signal.SIGINT)
        return optimise(batch)

    monkeypatch.setattr(trainer, "optimise", interrupted)


# --- Reading


@pytest.mark.parametrize("on_terminal", [True, False])
def test_reading_is_shown(monkeypatch, capsys, on_terminal):
    if on_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(journal, "LINE_SECONDS", 0.0)
    for wanted in (False, True):
        with journal.reading_display(wanted=wanted) as show:
            for done in range(4):
                show(Reading("list [mine]", done, 3))
        said = capsys.readouterr().err
        assert ("list [mine]" in re.sub(r"\x1b\[[\d;]*m", "", said)) == wanted
    if not on_terminal:
        assert said.splitlines() == [f"list [mine]: {done} of 3" for done in range(4)]


# --- A whole run


def test_a_run_leaves_what_the_documentation_lists(config, tmp_path):
    output = tmp_path / "run"
    result = train(change(config, picture_steps=3), output, show_progress=False)
    assert (result.steps, result.samples, result.is_complete) == (4, 8, True)
    assert {path.name for path in output.iterdir()} - {"tiny_events"} == {
        "tiny.pth",
        "tiny_000003.png",
        "tiny_config.yaml",
        "tiny_curve.png",
        "tiny_epoch_1.pth",
        "tiny_epoch_2.pth",
        "tiny_metrics.csv",
        "tiny_state.pth",
    }
    assert all(path.is_file() for path in result.files)
    assert load_network(result.checkpoint).architecture == "compact"
    said = read_checkpoint(result.checkpoint).metadata
    assert (said["step"], said["samples"], said["epoch"], said["seed"]) == (4, 8, 2.0, 1)
    assert said["sources"] == {"tiny": {"kind": "davis", "targets": 6}}
    assert read_checkpoint(output / "tiny_epoch_1.pth").metadata["step"] == 2
    rows = read_metrics(output / "tiny_metrics.csv")
    assert [row.step for row in rows] == [1, 2, 3, 4]
    assert all(row.mask > 0 and row.pairs_per_second > 0 for row in rows)
    assert cv2.imread(str(output / "tiny_000003.png")).shape[0] > 100


def test_the_written_configuration_is_the_one_that_ran(config, tmp_path):
    path = write_config(tmp_path / "config.yaml", config)
    again = load_training_config(path)
    assert config_digest(again) == config_digest(config)
    assert again.data == config.data
    assert again.fixed_norm_from_epoch == math.inf


def test_two_runs_with_one_seed_are_the_same(config, tmp_path):
    config = change(config, samples=SampleConfig(), epochs=1.5)
    config = change(config, data=dataclasses.replace(config.data, rendered=True))
    first, second, other = (
        Trainer(change(config, seed=seed), tmp_path / name)
        for seed, name in ((1, "first"), (1, "second"), (2, "other"))
    )
    for trainer in (first, second, other):
        trainer.begin()
        trainer.run(read_sources(config.data), show_progress=False)
    assert equal_weights(first.network, second.network)
    assert not equal_weights(first.network, other.network)
    losses = [
        [row._replace(time=0.0, pairs_per_second=0.0) for row in read_metrics(t.metrics_path)]
        for t in (first, second)
    ]
    assert losses[0] == losses[1]


def test_workers_change_nothing(config, tmp_path):
    batches = []
    for workers in (0, 1):
        trainer = Trainer(change(config, workers=workers, epochs=1), tmp_path / "run")
        batches.append(list(trainer.batches(read_sources(config.data))))
    for one, other in zip(*batches, strict=True):
        for part, same in zip(
            [*one.samples, *one.labels], [*other.samples, *other.labels], strict=True
        ):
            assert torch.equal(part, same)


def test_workers_start_after_opencv_has_used_threads(config, tmp_path):
    run = write_config(tmp_path / "run.yaml", change(config, workers=1))
    code = f"""
import time, cv2, numpy
from pathlib import Path
from siammask_ros.training.config import load_training_config
from siammask_ros.training.datasets import read_sources
from siammask_ros.training.loop import Trainer

cv2.setNumThreads(4)
cv2.GaussianBlur(numpy.zeros((1500, 1500, 3), numpy.uint8), (7, 7), 2)
time.sleep(0.5)  # its threads wait for work now
config = load_training_config({str(run)!r})
batches = Trainer(config, Path({str(tmp_path)!r})).batches(read_sources(config.data))
assert cv2.getNumThreads() == 4
assert len(list(batches)) == config.steps
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_training_fits_one_batch(config, tmp_path):
    config = change(config, batch_size=4, epochs=40, schedule=(RatePhase(40, 5e-3, 5e-3),))
    trainer = Trainer(config, tmp_path / "run")
    batch = next(trainer.batches(read_sources(config.data)))
    history = [trainer.optimise(batch).parts for _ in range(40)]
    first, last = history[0], history[-1]
    assert last.score.value < 0.6 * first.score.value
    assert last.box.value < 0.5 * first.box.value
    assert last.mask.value < 0.5 * first.mask.value


def test_a_batch_of_negatives_has_no_mask_loss(config, tmp_path):
    samples = dataclasses.replace(PLAIN_PAIRS, pair_share=0.0, negative_share=1.0)
    trainer = Trainer(change(config, samples=samples), tmp_path / "run")
    parts = trainer.optimise(next(trainer.batches(read_sources(config.data)))).parts
    assert (float(parts.mask.value), float(parts.box.value)) == (0.0, 0.0)
    assert float(parts.score.value) > 0
    assert all(torch.isfinite(value).all() for value in trainer.network.state_dict().values())


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
def test_what_is_saved_is_the_average_if_there_is_one(config, tmp_path, average_decay):
    optimizer = dataclasses.replace(config.optimizer, average_decay=average_decay)
    trainer = Trainer(change(config, optimizer=optimizer, epochs=1), tmp_path / "run")
    trainer.begin()
    result = trainer.run(read_sources(config.data), show_progress=False)
    saved = load_network(result.checkpoint)
    assert equal_weights(saved, trainer.saved_network)
    assert equal_weights(saved, trainer.network) == (average_decay == 0.0)


def test_a_part_that_is_frozen_stays_as_it_was(config, tmp_path):
    trained = (TrainedPart(("refiner",)), TrainedPart(("backbone",), from_epoch=1.0))
    trainer = Trainer(change(config, trained=trained), tmp_path / "run")
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    moved = []
    for batch in trainer.batches(read_sources(config.data)):
        trainer.optimise(batch)
        now = trainer.network.state_dict()
        moved.append(
            {name.split(".")[0] for name in now if not torch.equal(now[name], before[name])}
        )
    assert moved == [{"refiner"}, {"refiner"}, {"refiner", "backbone"}, {"refiner", "backbone"}]


def test_gradients_are_clipped(config, tmp_path):
    optimizer = dataclasses.replace(config.optimizer, gradient_norm=1e-3)
    trainer = Trainer(change(config, optimizer=optimizer), tmp_path / "run")
    outcome = trainer.optimise(next(trainer.batches(read_sources(config.data))))
    assert outcome.gradient_norm > 1e-3
    norm = torch.stack([p.grad.norm() for p in trainer.network.parameters()]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_bfloat16_trains_too(config, tmp_path):
    trainer = Trainer(change(config, precision="bfloat16"), tmp_path / "run")
    outcome = trainer.optimise(next(trainer.batches(read_sources(config.data))))
    assert math.isfinite(outcome.loss)
    assert {p.dtype for p in trainer.network.parameters()} == {torch.float32}


def test_scaled_gradients_change_nothing_and_overflow_leaves_a_step_out(config, tmp_path):
    """What float16 does on CUDA, in float32: the scale is a power of 2."""
    plain, scaled = Trainer(config, tmp_path / "plain"), Trainer(config, tmp_path / "scaled")
    scaled.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    scaled.begin()
    batches = list(plain.batches(read_sources(config.data)))
    for batch in batches[:2]:
        assert plain.optimise(batch).gradient_norm == scaled.optimise(batch).gradient_norm
    assert equal_weights(plain.network, scaled.network)

    hook = next(scaled.network.parameters()).register_hook(lambda gradient: gradient * math.inf)
    weights = [parameter.detach().clone() for parameter in scaled.network.parameters()]
    scaled.optimise(batches[2])
    hook.remove()
    assert all(map(torch.equal, weights, scaled.network.parameters()))
    assert scaled.scaler.get_scale() == 2.0**9
    scaled.save([])
    resumed = Trainer(config, tmp_path / "scaled")
    resumed.scaler = torch.amp.GradScaler("cpu")
    resumed.begin()
    assert resumed.scaler.get_scale() == 2.0**9


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_cuda_trains(config, tmp_path, precision):
    config = change(config, precision=precision, picture_steps=2, workers=1)
    result = train(config, tmp_path / "run", device="cuda", show_progress=False)
    assert result.steps == 4
    assert all(
        map(math.isfinite, (row.loss for row in read_metrics(tmp_path / "run/tiny_metrics.csv")))
    )
    assert load_network(result.checkpoint).architecture == "compact"


# --- Interrupted and resumed


def test_a_run_that_is_interrupted_and_resumed_ends_the_same(config, tmp_path, monkeypatch):
    sources = read_sources(config.data)
    whole = Trainer(config, tmp_path / "whole")
    whole.begin()
    whole.run(sources, show_progress=False)

    first = Trainer(config, tmp_path / "parts")
    first.begin()
    stop_after(first, 3, monkeypatch)
    result = first.run(sources, show_progress=False)
    assert (result.steps, result.is_complete) == (3, False)
    # Lines of steps after the checkpoint that the next run goes on from.
    lost = Metrics(0.0, 4, *[0.5] * (len(Metrics._fields) - 2))
    MetricsFile(first.metrics_path, step=3).add(lost)

    said = []
    second = Trainer(config, tmp_path / "parts", say=said.append)
    second.begin()
    assert second.step == 3
    assert said == [f"going on from step 3 of 4: {second.state_path}"]
    assert second.run(sources, show_progress=False).is_complete

    assert equal_weights(whole.network, second.network)
    assert equal_weights(whole.saved_network, second.saved_network)
    tables = [read_metrics(t.metrics_path) for t in (whole, second)]
    numbers = [[row[1:-1] for row in table] for table in tables]
    assert numbers[0] == numbers[1]


def test_a_finished_run_is_left_alone_and_can_be_made_longer(config, tmp_path):
    output = tmp_path / "run"
    train(config, output, show_progress=False)
    written = (output / "tiny_state.pth").stat().st_mtime_ns
    assert train(config, output, show_progress=False).steps == 4
    assert (output / "tiny_state.pth").stat().st_mtime_ns == written
    longer = change(config, epochs=3, schedule=(RatePhase(3, 1e-3, 1e-3),))
    assert train(longer, output, show_progress=False).steps == 6


def test_the_state_of_another_configuration_is_refused(config, tmp_path):
    trainer = Trainer(config, tmp_path / "run")
    trainer.begin()
    trainer.save([])
    losses = dataclasses.replace(config.losses, mask=36.0)
    with pytest.raises(StateError, match=r"losses\.mask was 32\.0, is 36\.0; seed was 1, is 5"):
        Trainer(change(config, losses=losses, seed=5), tmp_path / "run").begin()
    moved = SourceConfig("davis", "elsewhere", in_memory=True)
    data = dataclasses.replace(config.data, sources={"tiny": moved})
    assert Trainer(change(config, data=data, workers=3, log_steps=7), tmp_path / "run").resume()


def test_a_damaged_state_is_refused_with_its_name(config, tmp_path):
    path = tmp_path / "tiny_state.pth"
    trainer = Trainer(config, tmp_path)
    trainer.begin()
    trainer.save([])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(StateError, match=r"tiny_state\.pth: cannot be read"):
        trainer.resume()
    torch.save({"step": 3}, path)
    with pytest.raises(StateError, match="not the state of a run"):
        trainer.resume()


def test_a_state_that_cannot_be_written_leaves_the_old_one(config, tmp_path, monkeypatch):
    trainer = Trainer(config, tmp_path)
    trainer.begin()
    trainer.save([])

    def fail(content, stream):
        stream.write(b"half")
        raise OSError("disk full")

    trainer.step = 1
    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        trainer.save([])
    monkeypatch.undo()
    assert read_state(trainer.state_path, config)["step"] == 0
    assert not list(tmp_path.glob(".*"))


def test_checkpoints_are_written_as_often_as_asked(config, tmp_path, monkeypatch):
    trainer = Trainer(change(config, checkpoint_minutes=0.0), tmp_path)
    trainer.begin()
    steps = []
    monkeypatch.setattr(loop_module, "write_state", lambda *_: steps.append(trainer.step))
    trainer.run(read_sources(config.data), show_progress=False)
    assert steps == [1, 2, 3, 4]


# --- What must stop a run


def test_a_loss_that_is_not_finite_stops_the_run(config, tmp_path):
    trainer = Trainer(config, tmp_path / "run")
    trainer.begin()
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"loss nan at step 0 \(score nan.*no checkpoint"):
        trainer.run(read_sources(config.data), show_progress=False)
    assert not trainer.state_path.exists()


def test_the_last_checkpoint_is_named_when_a_run_diverges(config, tmp_path):
    trainer = Trainer(config, tmp_path)
    trainer.begin()
    batches = trainer.batches(read_sources(config.data))
    trainer.optimise(next(batches))
    trainer.save([])
    next(trainer.network.parameters()).register_hook(lambda gradient: gradient * math.inf)
    kept = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    with pytest.raises(NonFiniteLossError, match=r"gradient norm .* at step 1 .* is of step 1"):
        trainer.optimise(next(batches))
    weights = {name for name, _ in trainer.network.named_parameters()}
    assert all(torch.equal(trainer.network.state_dict()[name], kept[name]) for name in weights)


def test_settings_that_do_not_fit_are_found_at_once(config, tmp_path):
    with pytest.raises(ValueError, match="batch_size 2 cannot be divided among 3 processes"):
        Trainer(config, tmp_path, Processes(0, 3))
    with pytest.raises(ValueError, match="float16 needs CUDA"):
        Trainer(change(config, precision="float16"), tmp_path)
    with pytest.raises(ValueError, match="mask_stage is coarse, but compact has no such mask"):
        Trainer(change(config, losses=LossConfig(mask_stage="coarse")), tmp_path)
    with pytest.raises(ValueError, match=r"no module 'bakbone', known: .*backbone"):
        Trainer(change(config, trained=(TrainedPart(("bakbone",)),)), tmp_path)


def test_a_missing_file_is_named_before_training(config, tmp_path):
    mask = tmp_path / "data" / "Annotations" / "second" / "00001.png"
    mask.unlink()
    with pytest.raises(DatasetError, match=str(mask)):
        train(config, tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()


# --- Initial weights, check, metrics


def test_a_run_begins_with_the_initial_weights(config, tmp_path):
    first = train(change(config, epochs=1), tmp_path / "first", show_progress=False)
    said = []
    second = change(config, initial_weights=str(first.checkpoint), name="second")
    trainer = Trainer(second, tmp_path / "second", say=said.append)
    trainer.begin()
    assert equal_weights(trainer.network, load_network(first.checkpoint))
    assert equal_weights(trainer.saved_network, trainer.network)
    assert said == [f"initial weights from {first.checkpoint}"]


def test_check_tells_what_would_be_done_and_does_nothing(config, tmp_path):
    console = Console(file=io.StringIO(), width=100)
    sources = dict(config.data.sources)
    sources["unused"] = SourceConfig("coco", "nowhere", weight=0, cutout_weight=0)
    data = dataclasses.replace(config.data, sources=sources)
    trained = (TrainedPart(("refiner", "mask_branch"), from_epoch=1.0, rate=0.1),)
    picture = check(change(config, data=data, trained=trained), tmp_path / "run", console=console)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["tiny_check.png"]
    assert cv2.imread(str(picture)).shape[0] > 100
    said = " ".join(console.file.getvalue().split())
    assert "│ tiny │ davis │ 6 │ 2 │ 6 │ 0 │ yes │ 100%, 100% │" in said
    assert "unused │ coco │ not read" in said
    assert "refiner, mask_branch" in said
    assert "x 0.1" in said
    assert "4 steps of 2 samples: 2 epochs of 2 steps" in said


def test_tensorboard_gets_the_curves(config, tmp_path):
    pytest.importorskip("tensorboard")
    result = train(config, tmp_path, show_progress=False)
    (events,) = (tmp_path / "tiny_events").iterdir()
    assert b"mask_iou" in events.read_bytes()
    assert result.is_complete


def test_without_tensorboard_the_user_is_told(config, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    said = []
    train(change(config, epochs=0.5), tmp_path, show_progress=False, say=said.append)
    assert said == ["TensorBoard is not installed: no event files"]


def test_metrics_of_another_version_are_not_mixed_in(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("time,step,loss\n1,2,3\n")
    with pytest.raises(ValueError, match=r"metrics\.csv: not the metrics of this version"):
        MetricsFile(path, step=2)
    MetricsFile(path, step=0)
    assert read_metrics(path) == []


def test_numbers_that_are_not_there_stay_so(tmp_path):
    file = MetricsFile(tmp_path / "metrics.csv", step=0)
    row = Metrics(1.0, 2, 0.5, 1e-3, 3.0, 1.0, math.nan, math.nan, math.nan, math.nan, 2.0, 9.0)
    file.add(row)
    (found,) = read_metrics(file.path)
    assert math.isnan(found.mask_iou)
    assert found.loss == 3.0
    assert (tmp_path / "metrics.csv").read_text().splitlines()[1] == "1,2,0.5,0.001,3,1,,,,,2,9"


# --- Configuration files


def test_settings_come_from_yaml(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("batch_size: 12\nsamples:\n  wide_shift: 30.0\n  photometric:\n    gain: 0.5\n")
    config = load_training_config(path)
    assert config.batch_size == 12
    assert config.samples.wide_shift == 30.0
    assert config.samples.photometric.gain == 0.5
    assert config.optimizer == TrainingConfig().optimizer


def test_overrides_win_over_the_file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("epochs: 8\ndata:\n  sources:\n    davis: {kind: davis, root: here}\n")
    overrides = ["epochs=7", "data.sources.davis.exclude=[bear, bus]"]
    config = load_training_config(path, overrides=overrides)
    assert config.epochs == 7
    assert config.data.sources["davis"].exclude == ("bear", "bus")
    assert config.data.sources["davis"].root == "here"
    with pytest.raises(ValueError, match="expected name=value, got 'epochs'"):
        load_training_config(path, overrides=["epochs"])
    with pytest.raises(ValueError, match="epochz"):
        load_training_config(path, overrides=["epochz=7"])


def test_numbers_may_be_written_as_people_write_them(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("optimizer:\n  weight_decay: 2e-3\n  momentum: 0\n")  # text and int in YAML
    config = load_training_config(path)
    assert config.optimizer.weight_decay == 0.002
    assert isinstance(config.optimizer.momentum, float)


def test_the_shipped_configuration_is_valid():
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
        ("epochs: [\n", "not YAML"),
        ("batch_size: many\n", "batch_size: expected int, got 'many'"),
        ("batch_size: true\n", "batch_size: expected int, got True"),
        ("batch_size: 0\n", "batch_size must be at least 1, got 0"),
        ("epochs: 11\n", "the schedule covers 10 of 11 epochs"),
        ("losses:\n  box: wide\n", "losses: box: expected float, got 'wide'"),
        ("data: {sources: {a: {kind: davis}}}\n", "data: sources: a: needs root"),
        ("data: {sources: {a: {kind: dvd, root: b}}}\n", "kind must be one of davis.*got 'dvd'"),
        ("schedule: [{epochs: 10, start: -1, end: -1}]\n", "start must be at least 0, got -1"),
        ("optimizer: {average_decay: 1}\n", "average_decay must be below 1, got 1"),
    ],
)
def test_bad_settings_are_named(tmp_path, text, message):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_training_config(path)


def test_the_run_s_own_configuration_can_be_edited_by_people(config, tmp_path):
    path = write_config(tmp_path / "config.yaml", config)
    values = yaml.safe_load(path.read_text())
    assert values["data"]["sources"]["tiny"]["kind"] == "davis"
    assert values["fixed_norm_from_epoch"] == math.inf
