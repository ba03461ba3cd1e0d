# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each recipe, run for two steps on tiny data: what should move moves, and nothing else."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path
from typing import NamedTuple

import pytest
import tiny_data
import torch

from siammask_ros.network import build_network, save_network
from siammask_ros.training.config import TrainingConfig, load_training_config
from siammask_ros.training.datasets import read_sources
from siammask_ros.training.loop import Trainer
from siammask_ros.training.metrics import read_metrics
from siammask_ros.training.parts import set_trained
from siammask_ros.training.schedule import learning_rate

FOLDER = Path(__file__).parent.parent / "config" / "training"
RECIPES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
WRITERS = {
    "davis": tiny_data.write_davis,
    "youtube_vos": tiny_data.write_youtube_vos,
    "coco": tiny_data.write_coco,
    "polygons": tiny_data.write_polygons,
    "imagenet_vid": tiny_data.write_imagenet_vid,
    "imagenet_det": tiny_data.write_imagenet_det,
}
THIN = {"width_divisor": 16}
SMALL = {"channels": [8, 8, 8], "blocks": [1, 1, 2], "width": 8, "refiner_widths": [8, 8, 4]}
HEADS = ("adjust", "score_branch", "score_head", "mask_branch")
BOX = ("box_branch", "box_head")
CONV3_CONV4 = ("backbone.stages.2", "backbone.stages.3")


class Stage(NamedTuple):
    """What a recipe should do, by hand."""

    weights_move: tuple[str, ...]
    """Modules whose weights change; all others stay."""
    statistics_move: tuple[str, ...]
    """Modules whose batch norm counts; all others keep their statistics."""
    before: str = ""
    """Recipe that it starts from."""


STAGES = {
    "compact": Stage(("backbone", *HEADS, *BOX, "refiner"), ("backbone", *HEADS, *BOX, "refiner")),
    "siammask_r50_base": Stage(
        (*HEADS, *BOX, "coarse_mask_head", *CONV3_CONV4), (*HEADS, *BOX, "coarse_mask_head")
    ),
    "siammask_r50_refine": Stage(("mask_branch", "refiner"), ("mask_branch",), "siammask_r50_base"),
    "siammask_2b_r50_base": Stage(
        (*HEADS, "coarse_mask_head", *CONV3_CONV4), (*HEADS, "coarse_mask_head")
    ),
    "siammask_2b_r50_refine": Stage(
        ("mask_branch", "refiner"), ("mask_branch",), "siammask_2b_r50_base"
    ),
    "siammask_pp_r50_base": Stage(
        (*HEADS, *BOX, "coarse_mask_head", *CONV3_CONV4, "backbone.stages.4"),
        (*HEADS, *BOX, "coarse_mask_head"),
    ),
    "siammask_pp_r50_bi": Stage(
        ("mask_branch", "coarse_mask_head"),
        ("mask_branch", "coarse_mask_head"),
        "siammask_pp_r50_base",
    ),
    "siammask_pp_r50_re": Stage(
        ("mask_branch", "coarse_mask_head", "refiner"),
        ("mask_branch", "coarse_mask_head"),
        "siammask_pp_r50_base",
    ),
}
LATE_STAGES = [name for name, stage in STAGES.items() if stage.before]


def recipe(name: str, *overrides: str) -> TrainingConfig:
    return load_training_config(FOLDER / f"{name}.yaml", overrides=overrides)


def rates(config: TrainingConfig) -> list[float]:
    return [learning_rate(step, config) for step in range(config.steps)]


@pytest.fixture(scope="module")
def data_roots(tmp_path_factory) -> dict[str, str]:
    roots = {}
    for kind, write in WRITERS.items():
        roots[kind] = tmp_path_factory.mktemp(kind) / "data"
        write(roots[kind])
    return {kind: str(root) for kind, root in roots.items()}


def tiny(config: TrainingConfig, data_roots: dict[str, str]) -> TrainingConfig:
    """The recipe with a thin network, tiny data, and two steps: one in each half of the run."""
    sources = {
        name: dataclasses.replace(
            source, root=data_roots[source.kind], include=(), exclude=(), min_side=16
        )
        for name, source in config.data.sources.items()
    }
    shorter = 2 / config.epochs
    return dataclasses.replace(
        config,
        architecture_options=SMALL if config.architecture == "compact" else THIN,
        epochs=2,
        pairs_per_epoch=3,
        batch_size=3,
        workers=0,
        log_steps=1,
        picture_steps=0,
        schedule=tuple(
            dataclasses.replace(
                p, epochs=p.epochs * shorter, start=1e-2, end=1e-2, shape="constant"
            )
            for p in config.schedule
        ),
        trained=tuple(
            dataclasses.replace(part, from_epoch=part.from_epoch * shorter)
            for part in config.trained
        ),
        fixed_norm_from_epoch=config.fixed_norm_from_epoch * shorter,
        data=dataclasses.replace(config.data, sources=sources),
    )


def with_initial_weights(config: TrainingConfig, folder: Path) -> TrainingConfig:
    """The recipe, started from random weights of the stage before instead of trained ones."""
    if not config.initial_weights:
        return config
    stage = STAGES[config.name]
    before = recipe(stage.before) if stage.before else config
    torch.manual_seed(20)
    network = build_network(before.architecture, **config.architecture_options)
    path = folder / "initial.pth"
    save_network(network, path)
    return dataclasses.replace(config, initial_weights=str(path))


def changed(trainer: Trainer, before: dict[str, torch.Tensor]) -> set[str]:
    after = trainer.network.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def modules_of(names: set[str], modules: tuple[str, ...]) -> set[str]:
    """The module that each name lies in; a name in none stands for itself."""
    return {next((m for m in modules if name.startswith(f"{m}.")), name) for name in names}


def test_every_recipe_is_tested():
    assert set(RECIPES) == STAGES.keys()


@pytest.mark.parametrize("name", RECIPES)
def test_two_steps_move_what_trains_and_nothing_else(name, data_roots, tmp_path):
    config = with_initial_weights(tiny(recipe(name), data_roots), tmp_path)
    trainer = Trainer(config, tmp_path / "run")
    trainer.begin()
    before = {key: value.clone() for key, value in trainer.network.state_dict().items()}
    result = trainer.run(read_sources(config.data), show_progress=False)
    assert result.steps == 2
    losses = [row.loss for row in read_metrics(trainer.metrics_path)]
    assert len(losses) == 2
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)

    stage = STAGES[name]
    moved = changed(trainer, before)
    statistics = {key for key in moved if "running_" in key or "num_batches" in key}
    assert modules_of(statistics, stage.statistics_move) == set(stage.statistics_move)
    assert modules_of(moved - statistics, stage.weights_move) == set(stage.weights_move)


@pytest.mark.parametrize("name", [name for name in RECIPES if name.endswith("_base")])
def test_the_backbone_joins_at_half_time(name):
    config = dataclasses.replace(recipe(name), architecture_options=THIN)
    network = build_network(config.architecture, **THIN)
    late = {m for m in STAGES[name].weights_move if m.startswith("backbone")}
    for epoch, expected in ((0.0, set()), (9.99, set()), (10.0, late)):
        set_trained(network, config, epoch)
        trained = {n for n, p in network.named_parameters() if p.requires_grad}
        trained = modules_of(trained, STAGES[name].weights_move)
        assert {m for m in trained if m.startswith("backbone")} == expected
        assert trained - expected == set(STAGES[name].weights_move) - late


@pytest.mark.parametrize("name", LATE_STAGES)
def test_a_second_stage_starts_from_the_first(name):
    first = recipe(STAGES[name].before)
    assert recipe(name).initial_weights == f"runs/{first.name}/{first.name}.pth"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_its_run_after_itself(name):
    assert recipe(name).name == name


@pytest.mark.parametrize("name", [name for name in RECIPES if name.endswith("_base")])
def test_a_recipe_can_do_without_imagenet_weights(name):
    text = (FOLDER / f"{name}.yaml").read_text()
    overrides = ['initial_weights=""', "trained=[]", "fixed_norm=[]"]
    if "2b" not in name:
        assert "--set 'initial_weights=\"\"' --set trained=[] --set fixed_norm=[]" in text
    config = recipe(name, *overrides)
    assert (config.initial_weights, config.trained, config.fixed_norm) == ("", (), ())


# --- The numbers


@pytest.mark.parametrize("name", ["siammask_r50_base", "siammask_2b_r50_base"])
def test_the_papers_course(name):
    config = recipe(name, "pairs_per_epoch=640")
    course = rates(config)
    assert len(course) == 200
    assert course[:50] == pytest.approx([1e-3 + 4e-3 * step / 50 for step in range(50)])
    assert course[50] == pytest.approx(5e-3)
    assert course[-1] == pytest.approx(5e-4)
    ratios = [b / a for a, b in itertools.pairwise(course[50:])]
    assert ratios == pytest.approx([0.1 ** (1 / 149)] * 149)


def test_the_slides_course():
    course = rates(recipe("siammask_pp_r50_base", "pairs_per_epoch=160"))
    assert (course[0], course[50], course[-1]) == pytest.approx((1e-3, 5e-3, 2.5e-3))
    assert course[25] == pytest.approx(3e-3)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("siammask_r50_refine", 1e-2),
        ("siammask_2b_r50_refine", 1e-2),
        ("siammask_pp_r50_bi", 5e-3),
        ("siammask_pp_r50_re", 5e-3),
    ],
)
def test_the_official_course_of_second_stages(name, first):
    config = recipe(name)
    course = rates(dataclasses.replace(config, pairs_per_epoch=config.batch_size))
    expected = [first * (2.5e-3 / first) ** (epoch / 19) for epoch in range(20)]
    assert course == pytest.approx(expected)


@pytest.mark.parametrize("name", ["siammask_r50_base", "siammask_2b_r50_base"])
def test_the_papers_losses(name):
    losses = recipe(name).losses
    assert (losses.mask, losses.score) == (32.0, 1.0)  # equations 4 and 5
    assert losses.box == (0.0 if "2b" in name else 1.0)


@pytest.mark.parametrize("name", LATE_STAGES)
def test_second_stages_train_the_mask_alone_on_narrow_patches(name):
    config = recipe(name)
    assert (config.losses.score, config.losses.box, config.losses.mask) == (0.0, 0.0, 36.0)
    assert config.samples.search_size == 143
    assert config.samples.negative_share == 0.0
