# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The state of a run on disk, and which settings must stay the same to go on with it."""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from siammask_ros.files import whole_file, write_whole
from siammask_ros.training.config import TrainingConfig

FORMAT = "siammask_ros/training/1"
BOOKKEEPING = (
    "name",
    "initial_weights",
    "workers",
    "checkpoint_minutes",
    "log_steps",
    "picture_steps",
    "data.sources.*.root",
    "data.sources.*.in_memory",
)
"""Settings that do not change what is learned from the run's state on."""
COURSE = ("epochs", "schedule", "fixed_norm_from_epoch")
"""Settings that may change when a run goes on: it can be made longer, or the rate lowered."""


class StateError(ValueError):
    """A run's state cannot be read, or belongs to another configuration."""


def write_state(path: Path, config: TrainingConfig, content: Mapping[str, object]) -> None:
    """Write a run's state so that the file is there whole or, after an error, as it was.

    Args:
        path: the file; missing folders are made.
        config: what the state belongs to.
        content: tensors, numbers, text, and lists and dicts of them.
    """
    settings = json.dumps(_flat(config))
    with whole_file(path) as stream:
        torch.save({"format": FORMAT, "settings": settings, **content}, stream)
        stream.flush()
        os.fsync(stream.fileno())  # a run goes on from it after a power failure too


def read_state(path: Path, config: TrainingConfig) -> dict[str, Any]:
    """Read what `write_state` wrote.

    Raises:
        StateError: the file is damaged or no state, or a setting is another one than in `config`;
            those of BOOKKEEPING and COURSE may differ.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise StateError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise StateError(f"{path}: not the state of a run of this version")
    changes = changed_settings(json.loads(content["settings"]), _flat(config))
    if changes:
        raise StateError(
            f"{path} belongs to a run with other settings: {'; '.join(changes)}. "
            "Give that run's settings, or another --output"
        )
    return content


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Say which settings differ that must not, as "losses.mask was 32.0, is 36.0"."""
    free = (*BOOKKEEPING, *COURSE)
    names = sorted(name for name in {*old, *new} if not _matches(name, free))
    absent = "absent"
    return [
        f"{name} was {old.get(name, absent)}, is {new.get(name, absent)}"
        for name in names
        if old.get(name, absent) != new.get(name, absent)
    ]


def config_digest(config: TrainingConfig) -> str:
    """16 hexadecimal digits that tell configurations apart, BOOKKEEPING left out."""
    kept = {name: value for name, value in _flat(config).items() if not _matches(name, BOOKKEEPING)}
    text = json.dumps(json.loads(json.dumps(kept), parse_int=float), sort_keys=True)  # 2 as 2.0
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_config(path: Path, config: TrainingConfig) -> Path:
    """Write a configuration, every setting of it, as `load_training_config` reads it."""
    plain = json.loads(json.dumps(dataclasses.asdict(config)))  # tuples become lists
    return write_whole(path, yaml.safe_dump(plain, sort_keys=False))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _flat(config: TrainingConfig) -> dict[str, Any]:
    """Settings by their dotted names, such as "losses.mask", as JSON has them."""
    flat: dict[str, Any] = {}

    def collect(values: Mapping[str, Any], prefix: str) -> None:
        for name, value in values.items():
            if isinstance(value, dict) and value:
                collect(value, f"{prefix}{name}.")
            else:
                flat[prefix + name] = value

    collect(json.loads(json.dumps(dataclasses.asdict(config))), "")
    return flat
