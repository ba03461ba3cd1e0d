# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Backends that run graphs of another library find what torch finds."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import threading
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from siammask_ros.backends import PreparedNetwork, prepare_network
from siammask_ros.evaluation import LabelledFrame, read_davis
from siammask_ros.evaluation.agreement import measure_agreement
from siammask_ros.network import SearchOutput, SiamMask, build_network, load_network
from siammask_ros.scenes import SceneOptions, render_sequence
from siammask_ros.tracker_config import TrackerConfig

SHARED = Path(os.environ.get("SIAMMASK_SHARED", "../shared"))
DAVIS = SHARED / "davis16-train"
LIBRARIES = [
    pytest.param(
        name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed")
    )
    for name in ("openvino", "onnxruntime")
]
needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="no openvino")
NETWORKS = (
    "compact",
    "siammask_r50_refine",  # the paper's refiner
    "siammask_2b_r50_base",  # no boxes, coarse masks
    "siamrpn_alexnet",  # no masks
    "siammask_pp_r50_re",  # several levels, refined coarse masks
)


@lru_cache(maxsize=1)
def network_of(name: str) -> SiamMask:
    """The bundled network, or a narrow one with random weights."""
    torch.manual_seed(0)
    if name == "compact":
        return load_network("compact")
    return build_network(name, width_divisor=4).eval()


@lru_cache(maxsize=4)
def compact_in(backend: str, precision: str = "float32") -> PreparedNetwork:
    return prepare_network(network_of("compact"), backend=backend, precision=precision)


def patches(count: int) -> torch.Tensor:
    """(N, 3, 255, 255), in memory as the tracker gives them."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 255, 255, 3), generator=generator)
    return images.float().permute(0, 3, 1, 2)


def searched(network: PreparedNetwork, patch: torch.Tensor) -> SearchOutput:
    with torch.inference_mode():
        return network.search(patch, network.exemplar(patch[:, :, 64:191, 64:191]))


def numbers_of(output: SearchOutput) -> list[torch.Tensor]:
    maps = (output.score_logits, output.box_deltas, output.mask_responses, *output.pyramid)
    return [each for each in maps if each is not None]


def assert_near(found: torch.Tensor, expected: torch.Tensor, share: float) -> None:
    """The largest difference against the largest number."""
    assert found.shape == expected.shape
    assert (found.float() - expected).abs().max() <= share * expected.abs().max()


@pytest.mark.parametrize("backend", LIBRARIES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gives_the_same_numbers(backend: str, name: str) -> None:
    network = network_of(name)
    plain = prepare_network(network, backend="eager", precision="float32")
    prepared = prepare_network(network, backend=backend, precision="float32")
    assert prepared.description == f"{backend}, float32"
    patch, cells = patches(2), (torch.tensor([12, 0]), torch.tensor([3, 24]))
    found, expected = searched(prepared, patch), searched(plain, patch)
    assert (found.box_deltas is None) == (expected.box_deltas is None)
    for number, truth in zip(numbers_of(found), numbers_of(expected), strict=True):
        assert_near(number, truth, 1e-5)
    if plain.has_masks:
        assert_near(prepared.mask_at(found, *cells), plain.mask_at(expected, *cells), 1e-5)
    if plain.has_coarse_mask:
        responses = found.mask_responses
        coarse = plain.coarse_mask_at(expected.mask_responses, *cells)
        assert_near(prepared.coarse_mask_at(responses, *cells), coarse, 1e-5)


@pytest.mark.parametrize("backend", LIBRARIES)
def test_a_patch_gives_the_same_alone_and_among_others(backend: str) -> None:
    prepared = compact_in(backend)
    patch = patches(3)
    together = searched(prepared, patch)
    kept = [number.clone() for number in numbers_of(together)]
    for index in range(3):
        alone = searched(prepared, patch[index : index + 1])
        for number, whole in zip(numbers_of(alone), numbers_of(together), strict=True):
            torch.testing.assert_close(number[0], whole[index], rtol=0, atol=1e-4)
    for before, now in zip(kept, numbers_of(together), strict=True):
        assert torch.equal(before, now), "a later call wrote over what an earlier one returned"


@pytest.mark.parametrize("backend", LIBRARIES)
def test_as_many_kernels_as_patches(backend: str) -> None:
    prepared = compact_in(backend)
    kernels = prepared.exemplar(patches(2)[:, :, :127, :127])
    with pytest.raises(ValueError, match="batches differ"):
        prepared.search(patches(3), kernels)


@needs_openvino
def test_goes_to_another_process() -> None:
    prepared = prepare_network(network_of("compact"), backend="openvino", threads=1)
    again = pickle.loads(pickle.dumps(prepared))  # noqa: S301 our own
    assert (again.description, again.threads) == (prepared.description, 1)
    patch = patches(1)
    assert_near(searched(again, patch).score_logits, searched(prepared, patch).score_logits, 1e-6)


@needs_openvino
def test_two_threads_do_not_meet() -> None:
    prepared = compact_in("openvino")
    patch = patches(4)
    expected = [searched(prepared, patch[i : i + 1]).score_logits for i in range(4)]
    wrong: list[int] = []

    def search_again(index: int) -> None:
        for _ in range(5):
            found = searched(prepared, patch[index : index + 1]).score_logits
            if not torch.equal(found, expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=search_again, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


SIGNAL_AFTER_SEVERAL_NETWORKS = """
import os, signal
from siammask_ros import load_network
from siammask_ros.backends import prepare_network
first, second = (prepare_network(load_network("compact"), backend="openvino") for _ in range(2))
del first
del second
signal.signal(signal.SIGINT, lambda *_: print("interrupted"))
os.kill(os.getpid(), signal.SIGINT)
"""


@needs_openvino
def test_signals_arrive_after_networks_have_gone() -> None:
    """OpenVINO puts a stack for signals in place of the thread's, and takes it away again."""
    command = [sys.executable, "-X", "faulthandler", "-c", SIGNAL_AFTER_SEVERAL_NETWORKS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


@needs_openvino
def test_openvino_is_taken_where_it_is_installed() -> None:
    prepared = prepare_network(network_of("compact"))
    assert prepared.description == "openvino, float32"


@needs_openvino
def test_bfloat16_in_openvino_is_near() -> None:
    network = network_of("compact")
    plain = prepare_network(network, backend="eager")
    prepared = prepare_network(network, backend="openvino", precision="bfloat16")
    found, expected = searched(prepared, patches(1)), searched(plain, patches(1))
    for number, truth in zip(numbers_of(found), numbers_of(expected), strict=True):
        assert_near(number, truth, 0.03)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
@pytest.mark.parametrize(("precision", "share"), [("float32", 1e-5), ("bfloat16", 0.03)])
def test_compiled_by_torch(precision: str, share: float) -> None:
    network = network_of("compact")
    plain = prepare_network(network, backend="eager", precision="float32")
    prepared = prepare_network(network, backend="compiled", precision=precision)
    patch, cells = patches(2), (torch.tensor([12, 0]), torch.tensor([3, 24]))
    found, expected = searched(prepared, patch), searched(plain, patch)
    for number, truth in zip(numbers_of(found), numbers_of(expected), strict=True):
        assert_near(number, truth, share)
    assert_near(prepared.mask_at(found, *cells), plain.mask_at(expected, *cells), 2 * share)


def test_compiling_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ImportError, match="needs a C\\+\\+ compiler"):
        prepare_network(network_of("compact"), backend="compiled")


# --- Decisions


class Clip(NamedTuple):
    """Some frames of a sequence, as one."""

    name: str
    frames: list[LabelledFrame]

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, index: int) -> LabelledFrame:
        return self.frames[index]


def check_decisions(backend: str, clip: Clip) -> None:
    plain, prepared = compact_in("eager"), compact_in(backend)
    agreement = measure_agreement([clip], plain, prepared, TrackerConfig.preset("compact"))
    assert len(agreement.steps) == len(clip) - 1
    assert agreement.same_anchors == 1
    assert agreement.mask_iou(0) > 0.999
    assert agreement.confidence_change < 1e-4


@pytest.mark.parametrize("backend", LIBRARIES)
def test_decisions_on_rendered_video(backend: str) -> None:
    rendered = render_sequence(3, frames=8, size_wh=(320, 240), options=SceneOptions())
    frames = [LabelledFrame(each.image_bgr, each.masks[1]) for each in rendered]
    check_decisions(backend, Clip("rendered", frames))


@pytest.mark.skipif(not DAVIS.is_dir(), reason="no DAVIS sequences here")
@pytest.mark.parametrize("backend", LIBRARIES)
def test_decisions_on_real_video(backend: str) -> None:
    (sequence,) = read_davis(DAVIS, ["bear"])
    check_decisions(backend, Clip("bear", [sequence.frame(index) for index in range(20)]))
