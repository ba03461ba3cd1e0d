# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where and with what something was measured."""

from __future__ import annotations

import filecmp
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
import torch

# What decides how fast a processor multiplies: on x86-64, then on ARM.
_CPU_FEATURES = (
    *("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"),
    *("asimd", "asimddp", "asimdhp", "bf16", "i8mm", "sve", "sve2"),
)
_OPTIONAL_PACKAGES = ("openvino", "onnxruntime", "torch_tensorrt")
_PACKAGE = Path(__file__).resolve().parent.parent
_GIT_SECONDS = 20


@dataclass(frozen=True)
class Environment:
    """The machine, and the versions of what ran on it.

    Attributes:
        device: of torch, such as `cpu` or `cuda:0`.
        device_name: the GPU's name, or the processor's.
        cpu_name: the processor's name.
        cpu_count: cores that this process may use.
        cpu_features: what the processor has of the instructions that networks profit from.
        torch_threads, opencv_threads: threads of one operation.
        load_average: of the last minute, when this was asked.
        package: version of this package.
        commit: of the source tree, with "+" if files of the package were changed; None if unknown.
        packages: versions of the optional packages that are installed.
        cuda: version that torch is built for; None on the CPU.
    """

    device: str
    device_name: str
    cpu_name: str
    cpu_count: int
    cpu_features: tuple[str, ...]
    torch_threads: int
    opencv_threads: int
    load_average: float
    python: str
    torch: str
    opencv: str
    numpy: str
    system: str
    package: str | None
    commit: str | None
    packages: dict[str, str]
    cuda: str | None


def describe_environment(device: torch.device | str = "cpu") -> Environment:
    """The environment as it is now."""
    device = torch.device(device)
    return Environment(
        device=str(device),
        device_name=device_name(device),
        cpu_name=_cpu_entry("model name") or platform.processor() or platform.machine(),
        cpu_count=len(os.sched_getaffinity(0)),
        cpu_features=_cpu_features(),
        torch_threads=torch.get_num_threads(),
        opencv_threads=cv2.getNumThreads(),
        load_average=os.getloadavg()[0],
        python=platform.python_version(),
        torch=str(torch.__version__),
        opencv=cv2.__version__,
        numpy=np.__version__,
        system=platform.platform(),
        package=_version("siammask_ros"),
        commit=source_commit(),
        packages={name: found for name in _OPTIONAL_PACKAGES if (found := _version(name))},
        cuda=torch.version.cuda if device.type == "cuda" else None,
    )


def environment_text(place: Environment) -> str:
    """The environment as a paragraph."""
    hardware = f"{place.device_name}, {place.cpu_count} cores"
    if place.device_name != place.cpu_name:
        hardware = f"{place.device_name}, CUDA {place.cuda}, beside a {place.cpu_name}, "
        hardware += f"{place.cpu_count} cores"
    features = ", ".join(place.cpu_features) or "none known"
    versions = {"torch": place.torch, "OpenCV": place.opencv, "NumPy": place.numpy}
    versions = {"Python": place.python, **versions, **place.packages}
    source = f"commit {place.commit}" if place.commit else "commit not known"
    return (
        f"On {place.device} ({hardware}; {features}), {place.torch_threads} torch and "
        f"{place.opencv_threads} OpenCV threads, load average {place.load_average:.1f}. "
        f"siammask_ros {place.package or '(source tree)'}, {source}; "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + f"; {place.system}."
    )


def device_name(device: torch.device) -> str:
    """The name of the hardware: the GPU's, or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_entry("model name") or platform.processor() or platform.machine()


def source_commit(package: Path = _PACKAGE) -> str | None:
    """The commit whose files these are, with "+" if some of the package's were changed.

    An installed copy below the checkout, as `make` installs it, has the checkout's commit while its
    files are the same. None where there is no checkout, no git, or the files differ.
    """
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None:
        return None
    tree = Path(top) / package.name
    names = [str(path.relative_to(package)) for path in package.rglob("*.py")]
    _, differing, failing = filecmp.cmpfiles(package, tree, names, shallow=False)
    commit = _git(package, "rev-parse", "HEAD")
    if commit is None or differing or failing:
        return None
    changed = _git(Path(top), "status", "--porcelain", "--", package.name)
    return commit + ("+" if changed else "")


def _git(folder: Path, *words: str) -> str | None:
    """What git prints, or None where it cannot answer."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_features() -> tuple[str, ...]:
    words = set((_cpu_entry("flags") or _cpu_entry("Features")).split())
    return tuple(name for name in _CPU_FEATURES if name in words)


def _cpu_entry(name: str) -> str:
    """What Linux says of the first processor; empty if it does not."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""
