# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The step on the device: it chooses what NumPy chooses, and could be a CUDA graph.

All of it runs on the CPU here but the capture itself.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from random_network import randomized
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from siammask_ros.backends import names, prepare_network
from siammask_ros.backends.cuda_graphs import GraphCapture, prepare_cuda_graphs
from siammask_ros.backends.cuda_tensorrt import TensorrtNetwork, prepare_tensorrt
from siammask_ros.backends.device_choice import DeviceChoice, read_choices, region_numbers
from siammask_ros.backends.device_network import DeviceNetwork
from siammask_ros.backends.device_step import DeviceStep, StepShape
from siammask_ros.backends.eager import reduced_network
from siammask_ros.choice import Choice, SearchRegion, choose, propose
from siammask_ros.evaluation import read_davis
from siammask_ros.evaluation.agreement import measure_agreement
from siammask_ros.network import (
    ExemplarKernels,
    SearchOutput,
    SiamMask,
    build_network,
    fuse_for_inference,
    load_network,
)
from siammask_ros.scenes import SceneOptions, render_sequence
from siammask_ros.step_clock import StepClock
from siammask_ros.tracker import SiamMaskTracker, TrackerConfig, TrackResult
from siammask_ros.tracker_state import TrackerState

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

NO_KERNELS = ExemplarKernels(torch.empty(0), None, None)
NO_IMAGE = np.zeros((480, 640, 3), np.uint8)
SMALL: dict[str, Any] = {"width_divisor": 16}
NETWORKS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "compact": ("compact", {"channels": (8, 8, 8), "blocks": (1, 1, 1)}, {}),
    "coarse": ("siammask_r50_base", SMALL, {"masks": "coarse"}),
    "refined": ("siammask_r50_refine", SMALL, {}),
    "two branches": ("siammask_2b_r50_refine", SMALL, {}),
    "boxes": ("siamrpn_r50", SMALL, {"masks": "none"}),
    "three scales": ("siamfc_r50", SMALL, {}),
    "SiamMask++": ("siammask_pp_r50_re", SMALL, {}),
}
"""Architecture, options, and settings that differ from the preset."""


def small(name: str) -> tuple[SiamMask, TrackerConfig]:
    """A small random network, fused, and settings for it."""
    architecture, options, settings = NETWORKS[name]
    torch.manual_seed(3)
    network = fuse_for_inference(randomized(build_network(architecture, **options)))
    return network, TrackerConfig.preset(network.default_preset, **settings)


# --- Choices


def random_regions(rng: np.random.Generator, config: TrackerConfig, targets: int) -> list[Any]:
    """Search regions without patches, of targets of any size and shape."""
    regions = []
    for _ in range(targets):
        size_wh = tuple(np.exp(rng.uniform(1, 6, 2)))
        state = TrackerState((50.0, 50.0), size_wh, NO_KERNELS, (0, 0, 0), (640, 480))
        for scale in config.search_scales:
            patch_per_image = config.exemplar_size / (config.context_side(size_wh) * scale)
            regions.append(SearchRegion(state, NO_IMAGE, 100, scale, patch_per_image, None))
    return regions


def random_output(rng: np.random.Generator, count: int, *, has_boxes: bool) -> SearchOutput:
    """Smooth noise and, in some, what a network must never win with: infinities and NaN."""
    logits = rng.normal(0, rng.choice([0.1, 2, 6]), (count, 10 if has_boxes else 1, 25, 25))
    deltas = rng.normal(0, rng.choice([0.01, 0.5]), (count, 20, 25, 25)) if has_boxes else None
    if rng.random() < 0.3:
        logits[rng.random(logits.shape) < 0.05] = rng.choice([np.nan, np.inf, -np.inf])
    if deltas is not None and rng.random() < 0.3:
        deltas[rng.random(deltas.shape) < 0.05] = rng.choice([np.nan, np.inf, -np.inf, 800])
    if rng.random() < 0.2:
        logits = np.round(logits)  # equals: the first of them counts
    return SearchOutput(
        torch.from_numpy(logits.astype(np.float32)),
        None if deltas is None else torch.from_numpy(deltas.astype(np.float32)),
        None,
        (),
    )


def chosen_on_device(
    output: SearchOutput, regions: list[SearchRegion], config: TrackerConfig
) -> list[Choice]:
    grid = config.anchors if output.box_deltas is not None else config.anchors.without_shapes
    choice = DeviceChoice(grid, scales=len(config.search_scales))
    numbers = torch.from_numpy(region_numbers(regions, config))
    choices = choice(output.score_logits, output.box_deltas, numbers)
    found = read_choices(choices.numbers.numpy(), regions, grid)
    assert choices.samples.tolist() == [one.patch_index for one in found]
    assert choices.rows.tolist() == [one.position.row for one in found]
    assert choices.columns.tolist() == [one.position.column for one in found]
    return found


def assert_same(found: Choice, expected: Choice) -> None:
    """The same anchor, and numbers equal but for the last digits of exp and log."""
    assert found[:4] == expected[:4]
    assert found.region is expected.region
    np.testing.assert_allclose(found.box_in_search, expected.box_in_search, rtol=1e-12)
    assert found.score == pytest.approx(expected.score, rel=1e-12)
    assert found.penalty == pytest.approx(expected.penalty, rel=1e-11)
    assert (found.alternative is None) == (expected.alternative is None)
    if found.alternative is not None and expected.alternative is not None:
        assert found.alternative.score == pytest.approx(expected.alternative.score, rel=1e-12)
        np.testing.assert_allclose(
            found.alternative.box_in_search, expected.alternative.box_in_search, rtol=1e-12
        )


@pytest.mark.parametrize("has_boxes", [True, False])
@pytest.mark.parametrize("scale_step", [1.0, 1.04])
def test_choices_are_those_of_numpy(*, has_boxes: bool, scale_step: float) -> None:
    rng = np.random.default_rng(11)
    compared = 0
    for _ in range(50):
        config = TrackerConfig.preset(
            "davis",
            scale_step=scale_step,
            change_penalty=float(rng.uniform(0, 0.5)),
            window_influence=float(rng.choice([0, 0.3, 1.0])),
        )
        regions = random_regions(rng, config, targets=8)
        output = random_output(rng, len(regions), has_boxes=has_boxes)
        with np.errstate(invalid="ignore"):
            expected = choose(propose(output, regions, config.anchors), regions, config)
        for pair in zip(chosen_on_device(output, regions, config), expected, strict=True):
            assert_same(*pair)
            compared += 1
    assert compared == 400


def test_a_place_without_an_alternative_has_none() -> None:
    """A box as wide as the patch leaves no room for anything else."""
    config = TrackerConfig.preset("davis")
    regions = random_regions(np.random.default_rng(0), config, targets=2)
    output = random_output(np.random.default_rng(1), 2, has_boxes=True)
    deltas = output.box_deltas
    assert deltas is not None
    deltas[0] = 0.0
    deltas[0, 10:] = 5.0
    found = chosen_on_device(output, regions, config)
    assert [one.alternative is None for one in found] == [True, False]


def test_nothing_finite_is_an_error() -> None:
    config = TrackerConfig.preset("davis")
    regions = random_regions(np.random.default_rng(0), config, targets=2)
    output = random_output(np.random.default_rng(1), 2, has_boxes=True)
    output.score_logits[1] = np.nan
    with pytest.raises(RuntimeError, match="no finite box and score"):
        chosen_on_device(output, regions, config)


# --- The whole step


def clip_images(frames: int = 4) -> tuple[list[np.ndarray], list[tuple[float, ...]]]:
    """A rendered clip with the boxes of its first frame."""
    rendered = list(render_sequence(5, frames=frames, size_wh=(320, 240), options=SceneOptions()))
    boxes = [box.xywh for box in rendered[0].boxes.values()]
    return [frame.image_bgr for frame in rendered], [*boxes, (40.0, 60.0, 50.0, 30.0)]


def assert_same_result(found: TrackResult, expected: TrackResult) -> None:
    assert found.anchor_position == expected.anchor_position
    assert found.confidence == pytest.approx(expected.confidence, abs=1e-5)
    assert found.box_xywh == pytest.approx(expected.box_xywh, abs=2e-3)
    assert found.mask_roi == expected.mask_roi
    np.testing.assert_allclose(found.probability_in_roi, expected.probability_in_roi, atol=1e-4)
    assert (found.runner_up is None) == (expected.runner_up is None)
    if found.runner_up is not None and expected.runner_up is not None:
        assert found.runner_up.confidence == pytest.approx(expected.runner_up.confidence, abs=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_targets_are_found_as_step_by_step(name: str) -> None:
    """Every kind of network, with more targets than a power of two and fewer than the batch."""
    network, config = small(name)
    images, boxes = clip_images()
    device = DeviceNetwork(network, backend="cuda_graphs", precision="float32")
    plain = SiamMaskTracker(network, config)
    tracker = SiamMaskTracker(device, config)
    boxes = (boxes * 3)[:3]
    states = plain.initialize_batch([(images[0], box) for box in boxes])
    for image in images[1:]:
        expected = plain.track_batch([(image, state) for state in states])
        found = tracker.track_batch([(image, state) for state in states])
        for (_, one), (_, other) in zip(found, expected, strict=True):
            assert_same_result(one, other)
        states = [state for state, _ in expected]


def test_a_real_sequence_is_followed_alike(shared_dir: Any) -> None:
    from PIL import Image  # noqa: PLC0415

    root = shared_dir / "davis16-train"
    sequence = min((root / "JPEGImages").iterdir())
    images = [np.array(Image.open(path))[:, :, ::-1] for path in sorted(sequence.iterdir())[:12]]
    annotation = min((root / "Annotations" / sequence.name).iterdir())
    rows, columns = np.nonzero(np.array(Image.open(annotation)) > 0)
    box = (
        float(columns.min()),
        float(rows.min()),
        float(np.ptp(columns) + 1),
        float(np.ptp(rows) + 1),
    )
    network = fuse_for_inference(load_network("compact"))
    plain = SiamMaskTracker(network)
    tracker = SiamMaskTracker(DeviceNetwork(network, backend="test", precision="float32"))
    expected_state, found_state = (one.initialize(images[0], box) for one in (plain, tracker))
    for image in images[1:]:
        expected_state, expected = plain.track(image, expected_state)
        found_state, found = tracker.track(image, found_state)
        assert found.anchor_position == expected.anchor_position
        union = (found.mask | expected.mask).sum()
        assert (found.mask & expected.mask).sum() >= 0.999 * union


def test_targets_come_and_go() -> None:
    """Buffers hold what earlier steps left: other targets, more of them, other settings."""
    network, config = small("compact")
    images, boxes = clip_images()
    device = DeviceNetwork(network, backend="cuda_graphs", precision="float32")
    plain = SiamMaskTracker(network, config)
    states = plain.initialize_batch([(images[0], box) for box in (boxes * 3)[:5]])
    for number, chosen in enumerate([[0, 1, 2], [1], [2, 0, 1, 3, 4], [0, 1, 2, 3], [2, 1]]):
        settings = TrackerConfig.preset("compact", window_influence=0.1 * number)
        image = images[number % len(images)]
        some = [(image, states[index]) for index in chosen]
        expected = SiamMaskTracker(network, settings).track_batch(some)
        found = SiamMaskTracker(device, settings).track_batch(some)
        for (_, one), (_, other) in zip(found, expected, strict=True):
            assert_same_result(one, other)


def test_results_stay_what_they_were() -> None:
    network, config = small("compact")
    images, boxes = clip_images()
    tracker = SiamMaskTracker(
        DeviceNetwork(network, backend="cuda_graphs", precision="float32"), config
    )
    state = tracker.initialize(images[0], boxes[0])
    _, first = tracker.track(images[1], state)
    before = first.probability_in_roi.copy()
    tracker.track(images[2], state)
    np.testing.assert_array_equal(first.probability_in_roi, before)


def test_threads_wait_for_each_other() -> None:
    network, config = small("compact")
    images, boxes = clip_images()
    tracker = SiamMaskTracker(DeviceNetwork(network, backend="x", precision="float32"), config)
    states = tracker.initialize_batch([(images[0], box) for box in boxes[:2]])
    expected = [tracker.track(images[1], state)[1] for state in states]
    found: list[list[TrackResult]] = [[], []]

    def run(number: int) -> None:
        for _ in range(15):
            found[number].append(tracker.track(images[1], states[number])[1])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(2):
        for result in found[number]:
            assert_same_result(result, expected[number])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_changes_little(precision: str) -> None:
    network = fuse_for_inference(load_network("compact"))
    images, boxes = clip_images()
    plain = SiamMaskTracker(network)
    tracker = SiamMaskTracker(DeviceNetwork(network, backend="x", precision=precision))
    states = plain.initialize_batch([(images[0], box) for box in boxes[:2]])
    for image in images[1:]:
        for state in states:
            _, expected = plain.track(image, state)
            _, found = tracker.track(image, state)
            assert found.confidence == pytest.approx(expected.confidence, abs=0.02)
            both, either = (found.mask & expected.mask).sum(), (found.mask | expected.mask).sum()
            assert both >= 0.95 * either


class Beginning(NamedTuple):
    """The first frames of a sequence."""

    sequence: Any
    frames: int = 7

    @property
    def name(self) -> str:
        return self.sequence.name

    def __len__(self) -> int:
        return self.frames

    def frame(self, index: int) -> Any:
        return self.sequence.frame(index)


@pytest.mark.slow
def test_float16_decides_alike_on_real_video(shared_dir: Any) -> None:
    """What a GPU rounds otherwise is the order of sums; they are float32 here and there."""
    network = fuse_for_inference(load_network("compact"))
    device = DeviceNetwork(network, backend="x", precision="float16")
    names = ("bear", "elephant", "horsejump-low", "kite-walk", "train")
    sequences = [
        Beginning(sequence) for sequence in read_davis(shared_dir / "davis16-train", names)
    ]
    agreement = measure_agreement(sequences, network, device, TrackerConfig.preset("compact"))
    assert len(agreement.steps) == 30
    assert agreement.same_anchors == 1
    assert agreement.mask_iou() > 0.995
    assert agreement.mask_iou(0) > 0.98


def test_the_clock_sees_upload_and_network() -> None:
    network, config = small("compact")
    images, boxes = clip_images(2)
    clock = StepClock()
    tracker = SiamMaskTracker(
        DeviceNetwork(network, backend="x", precision="float32"), config, clock=clock
    )
    tracker.track(images[1], tracker.initialize(images[0], boxes[0]))
    times = clock.take()
    assert times.choice == 0
    assert min(times._replace(choice=1)) > 0


# --- What a CUDA graph asks for


class Recorded:
    """Stands for a capture: a step runs once, and then again in the same memory."""

    def __init__(self) -> None:
        self.captures = 0
        self.replays = 0

    def __call__(self, step: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.captures += 1
        results = step().clone()

        def replay() -> Tensor:
            self.replays += 1
            return results.copy_(step())

        return replay


def test_a_number_of_targets_is_captured_once() -> None:
    network, config = small("compact")
    images, boxes = clip_images()
    capture = Recorded()
    device = DeviceNetwork(network, backend="x", precision="float32", launch=capture)
    tracker = SiamMaskTracker(device, config)
    states = tracker.initialize_batch([(images[0], box) for box in (boxes * 3)[:4]])
    for count in (1, 3, 4, 1, 3, 2):
        tracker.track_batch([(images[1], state) for state in states[:count]])
    assert (capture.captures, capture.replays) == (3, 6)  # for 1, 4 and 2 targets
    looser = TrackerConfig.preset("compact", mask_threshold=0.4, change_penalty=0.2)
    SiamMaskTracker(device, looser).track(images[1], states[0])
    assert capture.captures == 3  # settings are numbers, not shapes
    device.make_ready(config, states[0].kernels, targets=(1, 2, 8))
    assert capture.captures == 4
    expected = SiamMaskTracker(network, config).track(images[2], states[1])[1]
    assert_same_result(tracker.track(images[2], states[1])[1], expected)


class OnlyOnDevice(TorchDispatchMode):
    """Refuses what a capture refuses: looks at numbers, and tensors of another device."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal")

    def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None):
        name = function.name()
        assert name.removeprefix("aten::").split(".")[0] not in self.WAITING, name
        result = function(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves((args, kwargs, result)) if torch.is_tensor(one)]
        assert {one.device.type for one in tensors} <= {"meta"}, f"{name} of another device"
        return result


@pytest.mark.parametrize("precision", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_in_the_step_waits_for_the_device(name: str, precision: torch.dtype) -> None:
    """Run on a device without numbers, which takes the ways of a GPU."""
    network, config = small(name)
    if precision != torch.float32:
        network = reduced_network(network, precision)
    shape = StepShape.of(config, 2 * len(config.search_scales), has_boxes=network.has_boxes)
    step = DeviceStep(network, shape).to("meta")
    patches = torch.empty(shape.regions, 255, 255, 3, dtype=torch.uint8, device="meta")
    exemplars = torch.empty(shape.regions, 3, 127, 127, device="meta", dtype=precision)
    numbers = torch.empty(shape.regions, 6, dtype=torch.float64, device="meta")
    with torch.inference_mode():
        kernels = network.exemplar(exemplars.contiguous(memory_format=torch.channels_last))
        with OnlyOnDevice():
            packed = step(patches, kernels, numbers)
    side = 0 if config.masks == "none" else network.mask_size
    if config.masks == "coarse":
        side = 63
    assert packed.shape == (2, 15 * 8 + side**2 * precision.itemsize)


class PretendedCuda:
    """CUDA's part in a capture, played by a list of calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.current = "main"
        self.main = self.Stream(self, "main")
        for name, value in {
            "Stream": lambda _device: self.Stream(self, "own"),
            "CUDAGraph": lambda: self,
            "stream": self.on_stream,
            "graph": self.capturing,
            "current_stream": lambda: self.main,
            "device": lambda _device: nullcontext(),
            "graph_pool_handle": lambda: "pool",
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)

    class Stream:
        """A stream that only has a name."""

        def __init__(self, cuda: PretendedCuda, name: str) -> None:
            self.cuda, self.name = cuda, name

        def wait_stream(self, other: PretendedCuda.Stream) -> None:
            self.cuda.calls.append(f"{self.name} waits for {other.name}")

        def synchronize(self) -> None:
            self.cuda.calls.append("wait")

    def replay(self) -> None:
        self.calls.append("replay")

    @contextmanager
    def on_stream(self, stream: Stream) -> Any:
        self.current = stream.name
        yield
        self.current = "main"

    @contextmanager
    def capturing(self, graph: Any, *, pool: Any, stream: Any, capture_error_mode: str) -> Any:
        assert graph is self
        assert pool == "pool"
        assert capture_error_mode == "thread_local"  # the node's other threads go on
        with self.on_stream(stream):
            self.calls.append("begin")
            yield
            self.calls.append("end")


def test_a_capture_warms_up_on_a_stream_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = PretendedCuda(monkeypatch)

    def step() -> Tensor:
        assert torch.backends.cudnn.benchmark
        cuda.calls.append(f"step on {cuda.current}")
        return results

    results = torch.zeros(1)
    replay = GraphCapture(torch.device("cuda"))(step)
    assert not torch.backends.cudnn.benchmark
    assert cuda.calls == [
        "own waits for main",
        *["step on own"] * 3,
        "wait",
        "begin",
        "step on own",
        "end",
        "main waits for own",
    ]
    cuda.calls.clear()
    assert replay() is results
    assert cuda.calls == ["replay"]


def test_what_cannot_be_captured_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = PretendedCuda(monkeypatch)

    def step() -> Tensor:
        if cuda.calls[-1] == "begin":
            raise RuntimeError("operation not permitted when stream is capturing")
        return torch.ones(1)

    with pytest.warns(RuntimeWarning, match="without a CUDA graph.*not permitted"):
        run = GraphCapture(torch.device("cuda"))(step)
    assert run is step
    assert not torch.backends.cudnn.benchmark


# --- Engines


@pytest.mark.parametrize("name", ["compact", "refined", "SiamMask++", "three scales"])
def test_engines_are_built_for_each_shape_and_take_what_the_modules_take(name: str) -> None:
    """With the exporter that TensorRT's compiler begins with: fixed inputs, plain tuples out."""
    network, config = small(name)
    images, boxes = clip_images(2)
    built: list[list[tuple[int, ...]]] = []

    def export(module: torch.nn.Module, example: tuple[Tensor, ...]) -> Any:
        built.append([tuple(one.shape) for one in example])
        assert not any(one.is_inference() for one in example)
        return torch.export.export(module, example).module()

    capture = Recorded()
    device = TensorrtNetwork(network, precision="float32", launch=capture, compile_module=export)
    plain, tracker = SiamMaskTracker(network, config), SiamMaskTracker(device, config)
    states = plain.initialize_batch([(images[0], box) for box in (boxes * 3)[:3]])
    for count in (1, 3, 1):
        some = [(images[1], state) for state in states[:count]]
        for (_, one), (_, other) in zip(
            tracker.track_batch(some), plain.track_batch(some), strict=True
        ):
            assert_same_result(one, other)
    assert len(built) == capture.captures * (2 if network.has_refiner else 1)
    scales = len(config.search_scales)
    batches = {shapes[0][0] for shapes in built if shapes[0][1:] == (3, 255, 255)}
    assert batches == {scales, 4 * scales}


def test_tensorrt_needs_a_gpu() -> None:
    network, _ = small("compact")
    with pytest.raises(ValueError, match="not on cpu"):
        prepare_tensorrt(network, precision=names.FLOAT16)


# --- Making one


def test_graphs_need_a_gpu() -> None:
    network, _ = small("compact")
    with pytest.raises(ValueError, match="not on cpu"):
        prepare_cuda_graphs(network, precision=names.FLOAT32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", NETWORKS)
def test_graphs_find_what_the_network_finds(name: str) -> None:
    network, config = small(name)
    network = network.to("cuda")
    images, boxes = clip_images()
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        tracker = SiamMaskTracker(
            prepare_network(network, backend="cuda_graphs", precision="float32"), config
        )
        plain = SiamMaskTracker(network, config)
        states = plain.initialize_batch([(images[0], box) for box in (boxes * 3)[:3]])
        for image in images[1:]:
            for count in (1, 3, 2):
                some = [(image, state) for state in states[:count]]
                expected, found = plain.track_batch(some), tracker.track_batch(some)
                for (_, one), (_, other) in zip(found, expected, strict=True):
                    assert one.anchor_position == other.anchor_position
                    assert one.box_xywh == pytest.approx(other.box_xywh, abs=0.05)
