# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `siammask`. Exit status 0, 1 (it failed: one line says why), 2 (wrong usage)."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from siammask_ros.drawing import Image
    from siammask_ros.evaluation import DavisSequence, SequenceGroup
    from siammask_ros.geometry import Box
    from siammask_ros.longterm import LongTermTracker
    from siammask_ros.network import SiamMask
    from siammask_ros.offline import TrackedFrame
    from siammask_ros.tracker import SiamMaskTracker
    from siammask_ros.weights import VerifiedFile

DEBUG_FLAG = "--debug"
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
BYTES_PER_MEGABYTE = 1e6
SHEET_FRAMES = 8
"""Frames on the contact sheet of a video."""
USER_ERRORS = (ValueError, OSError, RuntimeError, ImportError)
"""What a user can mend; anything else is a bug of ours and shows its traceback."""

app = typer.Typer(
    name="siammask",
    help="Follow targets in video with SiamMask: a mask, a rotated box and a confidence a frame.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
evaluate_app = typer.Typer(no_args_is_help=True, help="Score a tracker on a labelled data set.")
app.add_typer(evaluate_app, name="eval")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG_FLAG in given
    try:
        app(args=[argument for argument in given if argument != DEBUG_FLAG], prog_name="siammask")
    except USER_ERRORS as error:
        if debug:
            raise
        _complain(f"siammask: {_one_line(error)}")
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        _complain("siammask: interrupted")
        sys.exit(EXIT_INTERRUPTED)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _complain(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - this is a command


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - called by typer
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"siammask {version('siammask_ros')}")
        except PackageNotFoundError:
            typer.echo("siammask (source tree, not installed)")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[  # noqa: FBT002 - the callback handles it
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[  # noqa: FBT002 - main() looks for it, anywhere on the line
        bool, typer.Option(DEBUG_FLAG, help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Options of every command."""


def parse_box(text: str) -> Box:
    """`x,y,width,height` in pixels.

    Raises:
        typer.BadParameter: the text is something else, or a side is not positive.
    """
    from siammask_ros.geometry import parse_box_xywh

    try:
        return parse_box_xywh(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


class Preset(str, Enum):
    """Settings of the tracker."""

    auto = "auto"
    davis = "davis"
    vot = "vot"
    vot18 = "vot18"
    base = "base"
    pysot = "pysot"
    compact = "compact"
    two_branch = "two_branch"
    siamfc = "siamfc"


WeightsOption = Annotated[
    str, typer.Option("--weights", "-w", help="Checkpoint: a name such as compact, or a file.")
]
PresetOption = Annotated[
    Preset, typer.Option("--preset", help="Tracker settings; auto: those of the checkpoint.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0: all cores.")]


@app.command(
    epilog="Example: siammask track clip.mp4 --box 120,80,60,90 --output out.mp4 --csv boxes.csv"
)
def track(  # noqa: PLR0917 - typer calls it by name
    video: Annotated[Path, typer.Argument(help="Video file, or folder of images.")],
    box: Annotated[
        list[str],
        typer.Option(
            "--box", "-b", help="Target in the first frame: x,y,width,height. Repeatable."
        ),
    ],
    weights: WeightsOption = "compact",
    preset: PresetOption = Preset.auto,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="A word for each target, in order.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Video with the results drawn on it (MP4)."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Table of boxes and confidence.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option("--masks", help="Folder for a label image (PNG) a frame.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="One picture (PNG) with frames of the run.")
    ] = None,
    start: Annotated[int, typer.Option("--start", min=0, help="First frame.")] = 0,
    frames: Annotated[int, typer.Option("--frames", min=0, help="Number of frames; 0: all.")] = 0,
) -> None:
    """Follow targets through a video; without any output named, write VIDEO_tracked.mp4."""
    from siammask_ros.offline import follow
    from siammask_ros.video import open_video

    boxes = [parse_box(text) for text in box]
    labels = label or []
    if labels and len(labels) != len(boxes):
        raise typer.BadParameter(f"{len(labels)} labels for {len(boxes)} boxes")
    if output is None and csv is None and masks is None and sheet is None:
        output = Path(f"{video.resolve().stem}_tracked.mp4")
    with open_video(video, start=start, stop=start + frames if frames else None) as source:
        follower = _load_follower(weights, preset, device, threads)
        with _Results(source.name, source.fps, output, csv, masks, sheet) as results:
            began = time.perf_counter()
            shown = _progress(source, source.frame_count, source.name)
            for tracked in follow(shown, follower, boxes, labels=labels):
                results.add(tracked)
            seconds = time.perf_counter() - began
    count = results.frames
    typer.echo(f"{count} frames in {seconds:.1f} s ({count / seconds:.1f} frames/s)")
    for path in results.written:
        typer.echo(f"  {path}")


def _load_follower(weights: str, preset: Preset, device: str, threads: int) -> LongTermTracker:
    from siammask_ros.longterm import LongTermTracker

    return LongTermTracker(_load_tracker(weights, preset, device, threads))


def _load_tracker(weights: str, preset: Preset, device: str, threads: int) -> SiamMaskTracker:
    _set_threads(threads)
    return _tracker_of(_load_network(weights, device), preset)


def _tracker_of(network: SiamMask, preset: Preset) -> SiamMaskTracker:
    from siammask_ros.tracker import SiamMaskTracker
    from siammask_ros.tracker_config import TrackerConfig

    name = network.default_preset if preset is Preset.auto else preset.value
    return SiamMaskTracker(network, TrackerConfig.preset(name))


def _load_network(weights: str, device: str) -> SiamMask:
    import torch

    from siammask_ros.network import fuse_for_inference, load_network

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return fuse_for_inference(load_network(weights, device=device))


def _set_threads(threads: int) -> None:
    if threads:
        import torch

        torch.set_num_threads(threads)


class _Results:
    """The files that `track` was asked for; a video appears only when it is complete."""

    def __init__(
        self,
        name: str,
        fps: float,
        video: Path | None,
        csv: Path | None,
        masks: Path | None,
        sheet: Path | None,
    ) -> None:
        from siammask_ros.video import VideoWriter

        self.frames = 0
        self.written = [path for path in (video, csv, masks, sheet) if path is not None]
        self._name = name
        self._csv, self._masks, self._sheet = csv, masks, sheet
        self._writer = None if video is None else VideoWriter(video, fps=fps)
        self._rows: list[Any] = []
        self._shown: list[tuple[Image, str]] = []
        self._stride = 1
        if masks is not None:
            masks.mkdir(parents=True, exist_ok=True)

    def add(self, tracked: TrackedFrame) -> None:
        """Take the results of a frame."""
        import cv2

        from siammask_ros.drawing import draw_overlay
        from siammask_ros.results import frame_caption

        rows = tracked.rows(self._name)
        if self._csv is not None:
            self._rows += rows
        if self._masks is not None:
            path = self._masks / f"{tracked.frame.index:06d}.png"
            if not cv2.imwrite(str(path), tracked.label_image()):
                raise OSError(f"cannot write {path}")
        if self._writer is not None or self._sheet is not None:
            overlay = draw_overlay(tracked.frame.image_bgr, tracked.items())
            if self._writer is not None:
                self._writer.write(overlay)
            if self._sheet is not None and self.frames % self._stride == 0:
                self._keep(overlay, frame_caption(rows, tracked.frame.index))
        self.frames += 1

    def _keep(self, overlay: Image, caption: str) -> None:
        """Keep some frames for the sheet, evenly spaced, however long the video is."""
        self._shown.append((overlay, caption))
        if len(self._shown) >= 4 * SHEET_FRAMES:
            self._shown = self._shown[::2]
            self._stride *= 2

    def __enter__(self) -> _Results:  # noqa: PYI034 - Self is of Python 3.11
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        if kind is not None:
            if self._writer is not None:
                self._writer.abort()
            return
        if self._writer is not None:
            self._writer.close()
        if self._csv is not None:
            from siammask_ros.results import write_results

            write_results(self._csv, self._rows)
        if self._sheet is not None:
            self._write_sheet(self._sheet)

    def _write_sheet(self, path: Path) -> None:
        import cv2

        from siammask_ros.drawing import SheetSection, contact_sheet, evenly_spaced

        chosen = [self._shown[i] for i in evenly_spaced(len(self._shown), SHEET_FRAMES)]
        frames = [overlay for overlay, _ in chosen]
        section = SheetSection(self._name, frames, [caption for _, caption in chosen])
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), contact_sheet([section])):
            raise OSError(f"cannot write {path}")


def _progress(items: Iterable[Any], total: int | None, what: str) -> Iterator[Any]:
    """The items, with a progress bar on the terminal's error stream while they are taken."""
    from rich.console import Console
    from rich.progress import track as show

    console = Console(stderr=True)
    yield from show(items, description=what, total=total, console=console, transient=True)


class DatasetConvention(str, Enum):
    """Which frames of a sequence count."""

    davis = "davis"
    tracked = "tracked"


class EvaluatedTracker(str, Enum):
    """SiamMask, or a tracker to compare with."""

    siammask = "siammask"
    never_moves = "never-moves"
    truth = "truth"
    csrt = "csrt"
    kcf = "kcf"
    mil = "mil"


@evaluate_app.callback()
def _evaluate() -> None:
    """Score a tracker on a labelled data set."""


@evaluate_app.command(
    "davis",
    epilog="Example: siammask eval davis DAVIS --split val --weights compact --output report",
)
def evaluate_davis_command(  # noqa: PLR0917 - typer calls it by name
    root: Annotated[Path, typer.Argument(help="Folder with JPEGImages and Annotations.")],
    sequences: Annotated[
        str, typer.Option("--sequences", help="Names, separated by commas; by default all.")
    ] = "",
    split: Annotated[str, typer.Option("--split", help="A list of ImageSets, e.g. val.")] = "",
    groups: Annotated[
        str,
        typer.Option(
            "--groups",
            help="Sequences with means of their own: NAME=a,b;NAME=c or a YAML file. "
            "Only these are read, unless --sequences or --split says which.",
        ),
    ] = "",
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            "-w",
            help="Checkpoint: a name such as compact (the default), or a file. "
            "Repeatable: several are compared.",
        ),
    ] = None,
    preset: PresetOption = Preset.auto,
    device: DeviceOption = "cpu",
    tracker: Annotated[
        EvaluatedTracker, typer.Option("--tracker", help="What to score.")
    ] = EvaluatedTracker.siammask,
    convention: Annotated[
        DatasetConvention, typer.Option("--convention", help="davis: the last frame is left out.")
    ] = DatasetConvention.davis,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Sequences at a time.")] = 1,
    threads: ThreadsOption = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for report and tables.")
    ] = None,
    failures: Annotated[
        Path | None, typer.Option("--failures", help="Folder for pictures of the worst frames.")
    ] = None,
) -> None:
    """Region similarity J and box overlap on DAVIS, the first frame's mask given as a box."""
    from siammask_ros import evaluation

    found, chosen = _sequences_to_score(root, sequences, split, groups)
    scores = []
    for candidate in _candidates(tracker, weights or [], preset, device, threads):
        with _bar(candidate.name, len(found)) as advance:
            score = evaluation.evaluate(
                found,
                candidate.factory,
                tracker_name=candidate.name,
                dataset_name="DAVIS",
                convention=evaluation.Convention(convention.value),
                jobs=jobs,
                threads=threads or None,
                device=candidate.device,
                groups=chosen,
                on_sequence=advance,
            )
        scores.append(replace(score, training_step=candidate.training_step))
        if not candidate.folder:
            typer.echo(evaluation.evaluation_markdown(scores[-1]))
        if output is not None:
            _say_all(evaluation.write_report(output / candidate.folder, scores[-1]))
        if failures is not None:
            worst = evaluation.find_failures(scores[-1], found, candidate.factory)
            _say_all(evaluation.write_failures(failures / candidate.folder, worst))
    if len(scores) > 1:
        typer.echo(evaluation.comparison_markdown(scores))
        if output is not None:
            _say_all(evaluation.write_comparison(output, scores))


@evaluate_app.command(
    "representation",
    epilog="Example: siammask eval representation VOT2016 --masks RESULTS --output report",
)
def evaluate_representation_command(
    root: Annotated[
        Path, typer.Argument(help="Folder of NAME/groundtruth.txt and masks, or a DAVIS folder.")
    ],
    sequences: Annotated[
        str, typer.Option("--sequences", help="Names, separated by commas; by default all.")
    ] = "",
    masks: Annotated[
        Path | None,
        typer.Option("--masks", help="Folder of NAME/*.png: masks to score instead of the true."),
    ] = None,
    truth: Annotated[
        str,
        typer.Option(
            "--truth", help="Fit of the true boxes where none are given: min_max, mbr or opt."
        ),
    ] = "mbr",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the table, also as CSV.")
    ] = None,
) -> None:
    """How well boxes fitted to masks, and oracles, agree with rotated true boxes."""
    from siammask_ros import evaluation
    from siammask_ros.masks import BOX_FITS

    fit = next((fit for fit in BOX_FITS if fit == truth), None)
    if fit is None:
        raise typer.BadParameter(f"--truth must be one of {', '.join(BOX_FITS)}, got {truth!r}")
    names = [name for name in sequences.split(",") if name]
    try:
        found = evaluation.read_mask_sequences(root, names or None, predictions=masks)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with _bar("boxes", len(found)) as advance:
        study = evaluation.study_representation(found, truth_fit=fit, on_sequence=advance)
    typer.echo(evaluation.representation_markdown(study))
    if output is not None:
        _say_all(evaluation.write_representation(output, study))


def _sequences_to_score(
    root: Path, sequences: str, split: str, groups: str
) -> tuple[list[DavisSequence], tuple[SequenceGroup, ...]]:
    """The sequences that the options name, and their groups."""
    from siammask_ros import evaluation

    try:
        chosen = evaluation.parse_groups(groups) if groups else ()
        names = [name for name in sequences.split(",") if name]
        if not names and not split:
            names = list(dict.fromkeys(name for group in chosen for name in group.sequences))
        found = evaluation.read_davis(root, names or None, split=split or None)
        evaluation.check_groups(chosen, [sequence.name for sequence in found])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return found, chosen


class _Candidate(NamedTuple):
    """A tracker to score; one of several has a folder of its own for its report."""

    name: str
    factory: Any
    device: str = ""
    training_step: int | None = None
    folder: str = ""


def _candidates(
    tracker: EvaluatedTracker, weights: list[str], preset: Preset, device: str, threads: int
) -> Iterator[_Candidate]:
    """The trackers to score, each loaded when it is its turn; all files are read before."""
    from siammask_ros import evaluation
    from siammask_ros.benchmark import device_name
    from siammask_ros.network import read_checkpoint
    from siammask_ros.network.checkpoints import BUNDLED

    if tracker is not EvaluatedTracker.siammask:
        if weights:
            raise typer.BadParameter(f"--weights mean nothing to --tracker {tracker.value}")
        yield _Candidate(tracker.value, evaluation.reference_factory(tracker.value))
        return
    names = weights or ["compact"]
    if len(set(names)) < len(names):
        raise typer.BadParameter("a checkpoint is given twice")
    _set_threads(threads)
    read = [read_checkpoint(BUNDLED.get(name, Path(name))).metadata for name in names]
    steps = [evaluation.training_step(metadata) for metadata in read]
    stems = [Path(name).stem for name in names]
    for name, stem, step in zip(names, stems, steps, strict=True):
        shown = stem if stems.count(stem) == 1 else name
        folder = "" if len(names) == 1 else shown.strip("/").replace("/", "-")
        network = _load_network(name, device)
        place = next(network.parameters()).device
        factory = evaluation.Always(_tracker_of(network, preset))
        yield _Candidate(shown, factory, f"{place.type} ({device_name(place)})", step, folder)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[object], None]]:
    """A progress bar on the terminal's error stream, and what moves it on."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda _: progress.advance(task)


def _say_all(paths: Iterable[Path]) -> None:
    for path in paths:
        typer.echo(path)


@app.command(epilog="Example: siammask train config/training/compact.yaml --output runs/compact")
def train(
    config: Annotated[Path, typer.Argument(help="YAML file of the run.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for checkpoints, metrics and pictures.")
    ] = Path("runs"),
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting that wins over the file's: name=value. Repeatable."),
    ] = None,
    check: Annotated[  # noqa: FBT002 - typer calls it by name
        bool,
        typer.Option("--check", help="Read everything, show a batch as a picture, train nothing."),
    ] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
) -> None:
    """Train a network; a run that was interrupted goes on from its last checkpoint."""
    from siammask_ros import training

    _set_threads(threads)
    loaded = training.load_training_config(config, overrides=settings or [])
    if check:
        typer.echo(f"  {training.check(loaded, output)}")
        return
    result = training.train(loaded, output, device=device, say=_complain)
    if result.files:  # of several processes one has them, and speaks
        typer.echo(f"{result.steps} of {loaded.steps} steps, {result.samples} samples")
        for path in result.files:
            typer.echo(f"  {path}")
        if not result.is_complete:
            _complain(f"siammask: interrupted; the same command goes on from step {result.steps}")
    if not result.is_complete:
        raise typer.Exit(EXIT_INTERRUPTED)


@app.command(
    epilog="Example: siammask bench --sizes 640x480,1280x720 --targets 1,4 --output report"
)
def bench(
    weights: WeightsOption = "compact",
    preset: PresetOption = Preset.auto,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    sizes: Annotated[
        str, typer.Option("--sizes", help="Image sizes, separated by commas; by default some.")
    ] = "",
    targets: Annotated[
        str, typer.Option("--targets", help="Numbers of targets, separated by commas.")
    ] = "1",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Timed steps a case.")] = 100,
    warm_up: Annotated[int, typer.Option("--warm-up", min=0, help="Untimed steps before.")] = 10,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the report and its JSON.")
    ] = None,
) -> None:
    """Measure what a tracking step costs on this machine, as a whole and by its parts."""
    from rich.console import Console
    from rich.progress import Progress

    from siammask_ros import benchmark
    from siammask_ros.tracker_config import TrackerConfig

    wanted_sizes = [parse_size(text) for text in sizes.split(",") if text]
    wanted_sizes = wanted_sizes or list(benchmark.DEFAULT_SIZES)
    counts = [parse_count(text) for text in targets.split(",") if text]
    network = _load_network(weights, device)
    name = network.default_preset if preset is Preset.auto else preset.value
    total = benchmark.total_steps(sizes=wanted_sizes, targets=counts, steps=steps, warm_up=warm_up)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("steps", total=total)
        report = benchmark.benchmark_tracker(
            network,
            config=TrackerConfig.preset(name),
            preset_name=name,
            sizes=wanted_sizes,
            targets=counts,
            steps=steps,
            warm_up=warm_up,
            threads=threads or None,
            on_step=lambda: progress.advance(bar),
        )
    typer.echo(benchmark.benchmark_markdown(report))
    if output is not None:
        for path in benchmark.write_benchmark(output, report):
            typer.echo(path)


def parse_size(text: str) -> tuple[int, int]:
    """`WIDTHxHEIGHT` in pixels.

    Raises:
        typer.BadParameter: the text is something else.
    """
    width, _, height = text.strip().lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not WIDTHxHEIGHT, e.g. 640x480")
    return int(width), int(height)


def parse_count(text: str) -> int:
    """A number of at least 1.

    Raises:
        typer.BadParameter: the text is something else.
    """
    if not text.strip().isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is not a number of targets")
    return int(text)


weights_app = typer.Typer(no_args_is_help=True, help="Fetch, check and convert network weights.")
app.add_typer(weights_app, name="weights")


@weights_app.command("list", epilog="Example: siammask weights list")
def list_weights() -> None:
    """Show the published weights that can be fetched, their terms, and which are in the cache."""
    from rich.console import Console
    from rich.table import Table

    from siammask_ros import weights

    table = Table("name", "preset", "size", "in the cache", "description and terms")
    for entry in weights.list_weights():
        known = entry.known
        size = "unknown" if known.size_bytes is None else _megabytes(known.size_bytes)
        place = "no" if entry.cached is None else str(entry.cached)
        table.add_row(known.name, known.preset, size, place, f"{known.description}\n{known.terms}")
    Console().print(table)


@weights_app.command("fetch", epilog="Example: siammask weights fetch SiamMask_DAVIS")
def fetch_weights(
    name: Annotated[str, typer.Argument(help="A name of `siammask weights list`.")],
    sha256: Annotated[
        str, typer.Option("--sha256", help="The hash you expect, where none is known.")
    ] = "",
    address: Annotated[str, typer.Option("--address", help="Another place to download it.")] = "",
) -> None:
    """Download weights into the cache; they are used only when size and hash are right."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    from siammask_ros import weights

    columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(name, total=None)

        def confirm(file: weights.FetchedFile) -> bool:
            progress.stop()
            typer.echo(f"{file.path}: {file.size_bytes} bytes, sha256 {file.sha256}")
            return typer.confirm("No hash is known for this file. Is this the one you expect?")

        path = weights.fetch(
            name,
            confirm=confirm,
            sha256=sha256 or None,
            address=address or None,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    typer.echo(path)


@weights_app.command("verify", epilog="Example: siammask weights verify SiamMask_DAVIS.pth")
def verify_weights(
    path: Annotated[Path, typer.Argument(help="A checkpoint file.")],
) -> None:
    """Read a checkpoint, account for every key of it, and say what it is. Offline."""
    from siammask_ros import weights

    _describe_weights(weights.verify(path))


@weights_app.command("convert", epilog="Example: siammask weights convert official.pth own.pth")
def convert_weights(
    source: Annotated[Path, typer.Argument(help="An official, a PySOT or our own checkpoint.")],
    target: Annotated[Path, typer.Argument(help="The file to write, in our own format.")],
    overwrite: Annotated[  # noqa: FBT002 - typer calls it by name
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
) -> None:
    """Write a checkpoint in this package's format. Offline."""
    from siammask_ros import weights

    _describe_weights(weights.convert(source, target, overwrite=overwrite))


def _describe_weights(verified: VerifiedFile) -> None:
    checkpoint = verified.checkpoint
    typer.echo(f"{verified.path}: {verified.size_bytes} bytes, sha256 {verified.sha256}")
    typer.echo(f"  {checkpoint.architecture}, {checkpoint.layout} format")
    typer.echo(f"  {verified.parameter_count:,} parameters in {len(checkpoint.state_dict)} tensors")
    typer.echo(f"  preset {checkpoint.default_preset}")
    if verified.known_as is not None:
        typer.echo(f"  known as {verified.known_as}")
    for key, value in checkpoint.metadata.items():
        typer.echo(f"  {key}: {value}")
    if verified.warning is not None:
        _complain(f"siammask: warning: {verified.warning}")


def _megabytes(size: int) -> str:
    return f"{size / BYTES_PER_MEGABYTE:.1f} MB"


if __name__ == "__main__":
    main()
