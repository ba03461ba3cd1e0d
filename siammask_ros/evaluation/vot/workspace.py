# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Workspaces of the VOT toolkit: made, or checked, with their data and trackers.

Nothing is downloaded unless asked for.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from siammask_ros.evaluation.reference import reference_factory
from siammask_ros.evaluation.vot.entrants import SIAMMASK, TRUTH
from siammask_ros.evaluation.vot.toolkit import load_toolkit, toolkit_errors, toolkit_module
from siammask_ros.files import write_whole
from siammask_ros.presets import PRESETS

if TYPE_CHECKING:
    from siammask_ros.evaluation.vot.entrants import EntrantOptions

STACKS = {
    "vot2016": "vot2016/rgb",
    "vot2018": "vot2018/shortterm",
    "vot2019": "vot2019/shortterm",
    "vot2020": "vot2020/shortterm",
    "vot2021": "vot2021/shortterm",
    "vot2022": "vot2022/shortterm",
}
"""Short names of the toolkit's stacks of short-term tracking in colour images."""

TRACKERS_FILE = "trackers.ini"
_TRACKER_MODULE = "siammask_ros.evaluation.vot.tracker"
_CONFIG_FILE = "config.yaml"
_STACK_FILE = "stack.yaml"
_LIST_FILE = "list.txt"
_SEQUENCE_FILE = "sequence"
_TRUTH_GLOB = "groundtruth*.txt"
_FIRST_IMAGE = "00000001.jpg"
_NOT_FOR_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
_DIGEST_LENGTH = 16


def prepare_workspace(
    folder: str | os.PathLike[str],
    *,
    stack: str = "",
    data: str | os.PathLike[str] | None = None,
    download: bool = False,
) -> Path:
    """Make a workspace, or check the one that is there.

    Args:
        folder: where `config.yaml`, `trackers.ini`, `results` and, unless `data` says otherwise,
            `sequences` are.
        stack: one of `STACKS`, a name of the toolkit's, or a YAML file; needed for a new one.
        data: folder of the sequences, if elsewhere.
        download: let the toolkit fetch the stack's data set if it is not there.

    Returns:
        The folder, absolute.

    Raises:
        ImportError: the toolkit is not installed.
        ValueError: no such stack, another stack or data folder than the workspace has, or no
            data; the message says what is expected where.
        RuntimeError: the toolkit cannot fetch the data.
    """
    load_toolkit()
    base = Path(folder).resolve()
    config = _configure(base, stack, None if data is None else Path(data).resolve())
    address = _read_stack(base, config["stack"]).get("dataset")
    sequences = _sequences_folder(base, config)
    if address and not (sequences / _LIST_FILE).is_file():
        if not download:
            raise ValueError(_missing_data(sequences, address))
        with toolkit_errors():
            toolkit_module("vot.workspace").Workspace.download_dataset(address, str(sequences))
        if not (sequences / _LIST_FILE).is_file():
            raise RuntimeError(f"the download to {sequences} is not complete; run it again")
    _check_sequences(sequences)
    return base


def _configure(base: Path, stack: str, data: Path | None) -> dict[str, Any]:
    """The workspace's configuration; written if there is none."""
    path = base / _CONFIG_FILE
    if not path.is_file():
        if not stack:
            raise ValueError(f"no workspace in {base}: name the stack for a new one (--stack)")
        config: dict[str, Any] = {
            "stack": _place_stack(base, stack),
            "registry": [f"./{TRACKERS_FILE}"],
        }
        if data is not None:
            config["sequences"] = str(data)
        toolkit_module("vot.workspace").Workspace.initialize(str(base), config, download=False)
        return config
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(config, dict) or "stack" not in config:
        raise ValueError(f"{path} names no stack")
    if stack and not _is_same_stack(base, config["stack"], stack):
        raise ValueError(f"{path} has the stack {config['stack']}, not {stack}")
    held = _sequences_folder(base, config)
    if data is not None and held != data:
        raise ValueError(f"{path} has its sequences in {held}, not in {data}")
    return config


def _sequences_folder(base: Path, config: dict[str, Any]) -> Path:
    return (base / str(config.get("sequences", "sequences"))).resolve()


def _place_stack(base: Path, stack: str) -> str:
    """The stack's name in the configuration; a file is copied, so that the workspace is whole."""
    if _is_file_name(stack):
        write_whole(base / _STACK_FILE, Path(stack).read_bytes())
        return _STACK_FILE
    name = STACKS.get(stack, stack)
    stacks = toolkit_module("vot.stack")
    if stacks.resolve_stack(name) is None:
        known = ", ".join((*STACKS, *sorted(stacks.list_integrated_stacks())))
        raise ValueError(f"no stack {stack!r}; there are {known}, or a YAML file")
    return name


def _is_same_stack(base: Path, held: str, asked: str) -> bool:
    if not _is_file_name(asked):
        return held == STACKS.get(asked, asked)
    copy = base / held
    return copy.is_file() and copy.read_bytes() == Path(asked).read_bytes()


def _is_file_name(stack: str) -> bool:
    return Path(stack).suffix in {".yaml", ".yml"}


def _read_stack(base: Path, name: str) -> dict[str, Any]:
    path = toolkit_module("vot.stack").resolve_stack(name, str(base))
    if path is None:
        raise ValueError(f"{base / _CONFIG_FILE} names an unknown stack {name!r}")
    description = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(description, dict) or not description.get("experiments"):
        raise ValueError(f"not a stack, it has no experiments: {path}")
    return description


def _missing_data(sequences: Path, address: str) -> str:
    return (
        f"no VOT data in {sequences}: put there {_LIST_FILE} with a sequence's name a line, and "
        f"for each NAME/groundtruth.txt with NAME/{_SEQUENCE_FILE} and NAME/color/{_FIRST_IMAGE} "
        f"and on, or NAME/{_FIRST_IMAGE} and on; or name the folder that has them (--data, for a "
        f"new workspace); or let the toolkit fetch them from {address} (--download)"
    )


def _check_sequences(folder: Path) -> None:
    """Say what is missing before the toolkit stumbles over it; data sets without a list pass."""
    listed = folder / _LIST_FILE
    if not listed.is_file():
        return
    names = [line.strip() for line in listed.read_text(encoding="utf-8").splitlines()]
    if not names or not all(names):
        raise ValueError(f"{listed} must have a sequence's name in each line")
    for name in names:
        place = folder / name
        if not any(place.glob(_TRUTH_GLOB)):
            raise ValueError(f"sequence {name} has no groundtruth.txt in {place}")
        if not (place / _SEQUENCE_FILE).is_file() and not (place / _FIRST_IMAGE).is_file():
            raise ValueError(
                f"sequence {name} has neither {_FIRST_IMAGE} nor a file {_SEQUENCE_FILE} in "
                f"{place}; for images in its folder color, that file has the lines "
                "channels.color=color/%08d.jpg and fps=30"
            )


# --- Trackers


def entrant_name(options: EntrantOptions) -> str:
    """A name for the workspace: the tracker, its weights and settings, and what it reports."""
    words = [options.tracker, *(Path(name).stem for name in options.files)]
    if options.preset != "auto":
        words.append(options.preset)
    if options.precision != "auto":
        words.append(options.precision)
    return _NOT_FOR_NAMES.sub("-", "-".join([*words, *options.settings, options.region]))


def entrant_words(options: EntrantOptions) -> str:
    """All of the options that results depend on, in one line; of weights their content's digest.

    Raises:
        ValueError: an unknown tracker, preset or setting.
        OSError: weights cannot be read.
        RuntimeError: this OpenCV lacks the tracker.
    """
    words = [options.tracker]
    if options.tracker == SIAMMASK:
        _check_settings(options)
        words += [f"preset {options.preset}", *options.settings]
        if options.precision != "auto":
            words.append(f"precision {options.precision}")
    elif options.tracker != TRUTH:
        reference_factory(options.tracker, options.files)
    for name in options.files:
        digest = hashlib.sha256(_weights_file(name).read_bytes()).hexdigest()
        words.append(f"weights {Path(name).name} sha256 {digest[:_DIGEST_LENGTH]}")
    return ", ".join([*words, f"reports {options.region}"])


def _check_settings(options: EntrantOptions) -> None:
    # Imported here: it needs torch, which takes seconds.
    from siammask_ros.tracker_config import TrackerConfig, parse_settings  # noqa: PLC0415

    name = next(iter(PRESETS)) if options.preset == "auto" else options.preset
    TrackerConfig.preset(name, **parse_settings(options.settings))


def _weights_file(name: str) -> Path:
    path = Path(name)
    if path.is_file():
        return path
    from siammask_ros.network.checkpoints import BUNDLED  # noqa: PLC0415 - needs torch

    return BUNDLED.get(name, path)


def register_entrant(folder: str | os.PathLike[str], name: str, options: EntrantOptions) -> None:
    """Write the entrant into the workspace's `trackers.ini`, or write it anew.

    Raises:
        ValueError: the name does not suit the toolkit, or has results of other settings.
        OSError, RuntimeError: see `entrant_words`.
    """
    base = Path(folder).resolve()
    if not name or _NOT_FOR_NAMES.search(name):
        raise ValueError(f"a tracker's name has letters, digits, - and _ only, got {name!r}")
    words = entrant_words(options)
    path = base / TRACKERS_FILE
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    section = re.compile(rf"^\[{re.escape(name)}\]\n(?:(?!\[).*\n?)*", re.MULTILINE)
    held = section.search(text)
    results = base / "results" / name
    if results.is_dir():
        said = re.search(r"^meta_settings = (.*)$", held.group() if held else "", re.MULTILINE)
        of = said.group(1) if said else "settings that are not known"
        if of != _escaped(words):
            raise ValueError(
                f"{results} are results of {of}, not of {words}: give another name, or remove them"
            )
    written = _section(name, options, words)
    if held:
        text = text[: held.start()] + written + text[held.end() :]
    else:
        text = f"{text.rstrip()}\n\n{written}".lstrip()
    write_whole(path, text)


def _section(name: str, options: EntrantOptions, words: str) -> str:
    # The toolkit runs trackers in another folder.
    files = tuple(str(Path(f).resolve()) if Path(f).is_file() else f for f in options.weights)
    tracker, colon, attribute = options.tracker.rpartition(":")
    if colon and Path(tracker).is_file():
        attribute = f"{Path(tracker).resolve()}:{attribute}"
    else:
        attribute = options.tracker
    there = replace(options, tracker=attribute, weights=files)
    folders = [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH", "")]
    if colon:
        folders.append(str(Path.cwd()))  # a user's own module may be here
    lines = {
        "label": name,
        "protocol": "trax",
        "command": shlex.join([sys.executable, "-m", _TRACKER_MODULE, *there.command_line()]),
        "env_pythonpath": os.pathsep.join(filter(None, folders)),
        "meta_settings": words,
    }
    return f"[{name}]\n" + "".join(f"{key} = {_escaped(value)}\n" for key, value in lines.items())


def _escaped(value: str) -> str:
    return value.replace("%", "%%")  # the toolkit reads the file with interpolation
