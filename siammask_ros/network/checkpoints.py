# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read checkpoints of the official code, of PySOT, of SiamMask++ and our own; write our own."""

from __future__ import annotations

import os
import pickle
import re
import struct
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from siammask_ros.network.build import ARCHITECTURES, build_network
from siammask_ros.network.key_names import (
    NORM_COUNTER,
    detect_layout,
    published_names,
    refiner_prefix,
)
from siammask_ros.network.siammask import SiamMask

OWN_FORMAT = "siammask_ros/1"
AUTO_DEVICE = "auto"
BUNDLED = {"compact": Path(__file__).resolve().parent.parent / "checkpoints" / "compact.pth"}
"""Checkpoints that come with the package, by name."""
LISTED_KEYS = 8
"""How many keys of a kind an error message lists; it always tells their number."""


class CheckpointError(ValueError):
    """A file is not a checkpoint that this package can load; the message names file and reason.

    Attributes:
        missing, unknown, misshaped: all keys of each kind, where it is another model's; the
            message lists the first of them.
    """

    def __init__(
        self,
        message: str,
        *,
        missing: Sequence[str] = (),
        unknown: Sequence[str] = (),
        misshaped: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.missing = tuple(missing)
        self.unknown = tuple(unknown)
        self.misshaped = tuple(misshaped)


class Checkpoint(NamedTuple):
    """A checkpoint that has been read and checked against its architecture, key by key."""

    layout: Literal["official", "pysot", "siammask_pp", "siammask_ros"]
    """Whose file it is."""
    architecture: str
    """Name for :func:`build_network`."""
    options: dict[str, Any]
    """Options for :func:`build_network`."""
    default_preset: str
    """Name of the tracker preset that suits it."""
    metadata: dict[str, Any]
    """What the file says about itself; empty for published ones."""
    state_dict: dict[str, Tensor]
    """Tensors by our names, on the CPU, floating ones as float32."""
    absent_counters: int
    """How many batch norm counters the file lacks (they are zero then, inference ignores them)."""


def load_network(
    name_or_path: str | os.PathLike[str], *, device: str | torch.device = "cpu"
) -> SiamMask:
    """Load a network in evaluation mode.

    Args:
        name_or_path: "compact" for the bundled one, or the path of an official, a PySOT, a
            SiamMask++ or our own checkpoint. The architecture is found from the file.
        device: "cpu", "cuda", "cuda:1", ..., or "auto" (`checked_device`).

    Raises:
        CheckpointError: if the file cannot be loaded; nothing in it is ever executed.
        ValueError: if the device does not exist.
    """
    target = checked_device(device)
    checkpoint = read_checkpoint(BUNDLED.get(str(name_or_path), Path(name_or_path)))
    network = _skeleton(checkpoint.architecture, checkpoint.options)
    network.load_state_dict(checkpoint.state_dict, strict=True, assign=True)
    network.default_preset = checkpoint.default_preset
    return network.eval().to(target)


def checked_device(device: str | torch.device) -> torch.device:
    """The torch device of this name; `auto` is the first CUDA device, or the CPU without one.

    Raises:
        ValueError: if the name is unknown to torch or the device is absent.
    """
    if device == AUTO_DEVICE:
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        target = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"unknown device {device!r}: {_first_line(error)}") from None
    if target.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (target.index or 0) >= count:
            raise ValueError(f"device '{device}' is not available: {count} CUDA devices found")
    else:
        try:
            torch.zeros(1, device=target).item()
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device '{device}' is not available: {_first_line(error)}") from None
    return target


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint and check every key of it.

    Accepts official checkpoints with and without refinement, PySOT's siammask_r50_l3, those of
    SiamMask++ with and without refinement, and our own; bare or wrapped in `state_dict`, with or
    without a leading `module.`; zip or legacy. Names, shapes and numbers must be right without
    exception, but for absent batch norm counters.

    Raises:
        CheckpointError: with the file and the reason.
    """
    path = Path(path)
    content = read_tensors_only(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: not a checkpoint, it holds a {type(content).__name__}")
    if "format" in content:
        return _read_own(path, content)
    tensors = bare_state_dict(path, content)
    layout = detect_layout(tensors)
    if layout is None:
        raise CheckpointError(
            f"{path}: a checkpoint of another model, its {len(tensors)} keys are not SiamMask's: "
            f"{shortened(tensors)}"
        )
    if layout == "siammask_ros":
        raise CheckpointError(
            f"{path}: a state_dict alone of a network of this package does not say which network "
            "it is of: write it with siammask_ros.network.save_network"
        )
    has_refiner = any(name.startswith(refiner_prefix(layout)) for name in tensors)
    if layout == "siammask_pp":
        architecture = "siammask_pp_r50_re" if has_refiner else "siammask_pp_r50_bi"
    else:
        architecture = "siammask_r50_refine" if has_refiner else "siammask_r50_base"
    network = _skeleton(architecture, {})
    names = published_names(network.state_dict(), layout)
    ours, absent = _translate(path, architecture, tensors, names, network)
    return Checkpoint(
        layout=layout,
        architecture=architecture,
        options={},
        default_preset="pysot" if layout == "pysot" else network.default_preset,
        metadata={},
        state_dict=ours,
        absent_counters=absent,
    )


def save_network(
    network: SiamMask, path: str | os.PathLike[str], *, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a network in our own format; the file is there whole or not at all.

    Args:
        network: not a fused one.
        path: file to write or replace; its folder must exist.
        metadata: what the file shall say about itself: text, numbers, lists and dicts of them.

    Raises:
        ValueError: if the network is fused, or metadata hold anything else.
        OSError: if the file cannot be written.
    """
    if network.is_fused:
        raise ValueError("a network fused for inference cannot be saved, save the original")
    metadata = dict(metadata or {})
    _require_plain(metadata, "metadata")
    content = {
        "format": OWN_FORMAT,
        "architecture": network.architecture,
        "options": network.options,
        "default_preset": network.default_preset,
        "metadata": metadata,
        "state_dict": {
            name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
        },
    }
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            torch.save(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class _Ignored:
    """Stands for NumPy scalars and arrays while a file is read.

    The optimizer's part of official training checkpoints holds some. We do not need them, and
    need not trust NumPy's unpickling with them.
    """

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


_IGNORED_NAMES = (
    "numpy.dtype",
    "numpy.ndarray",
    *(
        f"numpy.{core}.multiarray.{name}"
        for core in ("core", "_core")
        for name in ("scalar", "_reconstruct")
    ),
)

_DAMAGE = (
    RuntimeError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    struct.error,
)
"""What reading a damaged file can raise, besides what names it."""


def read_tensors_only(path: Path) -> object:
    """Whatever a file of torch.save holds, without executing anything from it."""
    try:
        with path.open("rb") as stream:
            is_zip = stream.read(2) == b"PK"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or _first_line(error)
        raise CheckpointError(f"{path}: cannot be read: {reason}") from None
    if is_zip and not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path}: truncated, the file ends before its table of contents")
    try:
        with torch.serialization.safe_globals([(_Ignored, name) for name in _IGNORED_NAMES]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: {_unpickling_reason(error)}") from None
    except EOFError:
        raise CheckpointError(f"{path}: not a checkpoint, or truncated: it ends early") from None
    except _DAMAGE as error:
        reason = "truncated" if "EOF" in str(error) else "not a checkpoint, or damaged"
        raise CheckpointError(f"{path}: {reason}: {_first_line(error)}") from None


def _unpickling_reason(error: pickle.UnpicklingError) -> str:
    text = str(error)
    if found := re.search(r"GLOBAL (\S+)", text):
        return (
            f"refused, nothing of it was executed: it asks to run {found.group(1)}, and a "
            "checkpoint needs no code. If you trust its source, load it where it was made and "
            "save its state_dict alone"
        )
    if "magic number" in text or "Unsupported operand" in text or "load key" in text:
        return "not a checkpoint: it is no file of torch.save"
    reason = text.rsplit("WeightsUnpickler error:", maxsplit=1)[-1].strip()
    return f"refused, nothing of it was executed: {reason.splitlines()[0] if reason else text}"


def _read_own(path: Path, content: Mapping[Any, Any]) -> Checkpoint:
    """A checkpoint that :func:`save_network` wrote."""
    if content["format"] != OWN_FORMAT:
        raise CheckpointError(
            f"{path}: format {content['format']!r} is unknown, this version reads {OWN_FORMAT!r}"
        )
    architecture = content.get("architecture")
    if architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{path}: architecture {architecture!r} is unknown, known: {', '.join(ARCHITECTURES)}"
        )
    options, metadata = content.get("options", {}), content.get("metadata", {})
    if not isinstance(options, Mapping) or not isinstance(metadata, Mapping):
        raise CheckpointError(f"{path}: options or metadata is not a dict")
    if "state_dict" not in content:
        raise CheckpointError(f"{path}: has no state_dict")
    tensors = bare_state_dict(path, content)
    try:
        network = _skeleton(architecture, dict(options))
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: bad options {dict(options)}: {error}") from None
    names = {name: name for name in network.state_dict()}
    ours, absent = _translate(path, architecture, tensors, names, network)
    return Checkpoint(
        layout="siammask_ros",
        architecture=architecture,
        options=dict(options),
        default_preset=str(content.get("default_preset", network.default_preset)),
        metadata=dict(metadata),
        state_dict=ours,
        absent_counters=absent,
    )


def bare_state_dict(path: Path, content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors by name, out of their wrapping, without a leading `module.`."""
    wrapped = content.get("state_dict", content)
    if not isinstance(wrapped, Mapping) or not wrapped:
        raise CheckpointError(f"{path}: not a checkpoint: its state_dict is empty or no dict")
    strangers = [
        key
        for key, value in wrapped.items()
        if not (isinstance(key, str) and isinstance(value, Tensor))
    ]
    if strangers:
        raise CheckpointError(
            f"{path}: not a checkpoint: of {len(wrapped)} entries, {len(strangers)} are not "
            f"tensors with a name: {shortened(strangers)}"
        )
    prefix = "module."
    if all(key.startswith(prefix) for key in wrapped):
        return {key[len(prefix) :]: value for key, value in wrapped.items()}
    return dict(wrapped)


def _translate(
    path: Path,
    architecture: str,
    tensors: Mapping[str, Tensor],
    names: Mapping[str, str],
    network: SiamMask,
) -> tuple[dict[str, Tensor], int]:
    """Tensors by our names, every one accounted for, and how many counters were absent."""
    expected = network.state_dict()
    absent = [name for name in names if name not in tensors and name.endswith(NORM_COUNTER)]
    missing = [name for name in names if name not in tensors and not name.endswith(NORM_COUNTER)]
    unknown = [name for name in tensors if name not in names]
    misshaped = [
        f"{name} {tuple(tensors[name].shape)} for {tuple(expected[ours].shape)}"
        for name, ours in names.items()
        if name in tensors and tensors[name].shape != expected[ours].shape
    ]
    if missing or unknown or misshaped:
        lists = (("missing", missing), ("unknown", unknown), ("of another shape", misshaped))
        raise CheckpointError(
            f"{path}: a checkpoint of another model than {architecture}: "
            + "; ".join(f"{len(keys)} {kind}: {shortened(keys)}" for kind, keys in lists if keys),
            missing=missing,
            unknown=unknown,
            misshaped=misshaped,
        )
    ours_to_tensor = {
        ours: converted_tensor(path, name, tensors[name], expected[ours].dtype)
        for name, ours in names.items()
        if name in tensors
    }
    ours_to_tensor.update({names[name]: torch.zeros((), dtype=torch.int64) for name in absent})
    return ours_to_tensor, len(absent)


def converted_tensor(path: Path, name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor of a file as finite numbers of this type.

    Raises:
        CheckpointError: if it holds something else.
    """
    if tensor.is_floating_point() != dtype.is_floating_point or tensor.is_complex():
        raise CheckpointError(f"{path}: {name} is {tensor.dtype}, expected {dtype}")
    if tensor.layout != torch.strided or tensor.is_meta:
        raise CheckpointError(f"{path}: {name} is a sparse tensor or one without numbers")
    converted = tensor.detach().to(dtype).contiguous()
    if not bool(torch.isfinite(converted).all()):
        raise CheckpointError(f"{path}: {name} holds infinite numbers, NaN or too large ones")
    return converted


def _skeleton(architecture: str, options: dict[str, Any]) -> SiamMask:
    """A network without storage: quick to build, filled by load_state_dict(assign=True)."""
    with torch.device("meta"):
        return build_network(architecture, **options)


def _require_plain(value: object, where: str) -> None:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{where} has the key {key!r}, which is not text")
            _require_plain(entry, f"{where}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            _require_plain(entry, f"{where}[{index}]")
    elif type(value) not in (str, int, float, bool, type(None)):
        raise ValueError(f"{where} is a {type(value).__name__}; text, numbers, lists, dicts only")


def shortened(entries: Any) -> str:  # noqa: ANN401
    """The first entries, and how many more there are."""
    names = [str(entry) for entry in entries]
    more = f" and {len(names) - LISTED_KEYS} more" if len(names) > LISTED_KEYS else ""
    return ", ".join(names[:LISTED_KEYS]) + more


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
