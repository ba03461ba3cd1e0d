# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask bench`: what a tracking step costs, and what the node does beside it."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siammask_ros.cli.common import (
    DeviceOption,
    Preset,
    PresetOption,
    SettingsOption,
    ThreadsOption,
    parse_count,
    parse_list,
    parse_size,
    progress_bar,
    say_all,
)

if TYPE_CHECKING:
    from siammask_ros.benchmark import NanoOptions, NodeOptions, NodeReport, OfficialOptions

_SIZES = {"480p": "854x480", "720p": "1280x720", "1080p": "1920x1080", "4k": "3840x2160"}
"""Names that image sizes have."""


def bench(  # noqa: PLR0917 - typer calls it by name
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            "-w",
            help="Checkpoint: a name such as compact (the default), a file, or random:NAME for a "
            "network of random weights, such as random:siammask_r50_refine. Repeatable.",
        ),
    ] = None,
    preset: PresetOption = Preset.auto,
    settings: SettingsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    backends: Annotated[
        str,
        typer.Option("--backend", help="Backends, separated by commas, such as eager,openvino."),
    ] = "auto",
    precisions: Annotated[
        str, typer.Option("--precision", help="Precisions, such as float32,bfloat16.")
    ] = "auto",
    sizes: Annotated[
        str,
        typer.Option("--sizes", help="Image sizes, WIDTHxHEIGHT or 480p, 720p, 1080p, 4k."),
    ] = "480p,720p",
    targets: Annotated[
        str, typer.Option("--targets", help="Numbers of targets, separated by commas.")
    ] = "1",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Timed steps a case.")] = 100,
    warm_up: Annotated[int, typer.Option("--warm-up", min=0, help="Untimed steps before.")] = 10,
    memory: Annotated[  # noqa: FBT002 - typer calls it by name
        bool,
        typer.Option("--memory/--no-memory", help="Memory, in a process of its own for each row."),
    ] = True,
    crop_on_device: Annotated[  # noqa: FBT002 - typer calls it by name
        bool,
        typer.Option("--crop-on-device", help="Add rows with the image uploaded and cut there."),
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            help="Checkout of the official code (foolwood/SiamMask), timed in the same run with "
            "the same weights; its decisions are compared.",
        ),
    ] = None,
    opencv_nano: Annotated[
        Path | None,
        typer.Option(
            "--opencv-nano",
            help="Folder with the two ONNX files of OpenCV's NanoTrack, timed in the same run.",
        ),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--compare", help="Two JSON files of this command: print ratios, measure nothing."
        ),
    ] = None,
    node: Annotated[  # noqa: FBT002 - typer calls it by name
        bool,
        typer.Option("--node", help="Measure the whole node instead, with cameras; needs ROS."),
    ] = False,
    cameras: Annotated[
        str, typer.Option("--cameras", help="With --node: numbers of cameras.")
    ] = "1",
    rate: Annotated[
        float, typer.Option("--rate", min=0.1, help="With --node: frames a second of a camera.")
    ] = 15.0,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="With --node: how long each case lasts.")
    ] = 10.0,
    compressed: Annotated[  # noqa: FBT002 - typer calls it by name
        bool, typer.Option("--compressed", help="With --node: the cameras send JPEG.")
    ] = False,
    peak: Annotated[  # noqa: FBT002 - typer calls it by name
        bool,
        typer.Option("--peak/--no-peak", help="With --node: look for the highest rate too."),
    ] = True,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for report, JSON and charts.")
    ] = None,
) -> None:
    """Measure what a tracking step costs on this machine, as a whole and by its parts.

    Several weights, backends and precisions take turns: their ratios hold on a busy machine too.
    """
    from siammask_ros import benchmark

    if compare is not None:
        first, second = (benchmark.read_document(path) for path in compare)
        typer.echo(benchmark.comparison_markdown(benchmark.compare_documents(first, second)))
        return
    names = list(dict.fromkeys(weights or ["compact"]))
    wanted_sizes = [parse_size(_SIZES.get(text.lower(), text)) for text in parse_list(sizes)]
    counts = [parse_count(text) for text in parse_list(targets)]
    if node:
        _say_node(
            [
                benchmark.NodeOptions(
                    weights=name,
                    preset=preset.value,
                    settings=tuple(settings or ()),
                    device=device,
                    backend=backend,
                    precision=precision,
                    threads=threads,
                    sizes=tuple(wanted_sizes),
                    cameras=tuple(parse_count(text) for text in parse_list(cameras)),
                    targets=tuple(counts),
                    rate=rate,
                    seconds=seconds,
                    compressed=compressed,
                    peak=peak,
                )
                for name, backend, precision in product(
                    names, parse_list(backends), parse_list(precisions)
                )
            ],
            output,
        )
        return
    own = [
        benchmark.OwnOptions(
            weights=name,
            preset=preset.value,
            settings=tuple(settings or ()),
            device=device,
            backend=backend,
            precision=precision,
            threads=threads,
            crop_on_device=on_device,
        )
        for name, backend, precision, on_device in product(
            names,
            parse_list(backends),
            parse_list(precisions),
            (False, True) if crop_on_device else (False,),
        )
    ]
    others: list[OfficialOptions | NanoOptions] = []
    if against is not None:
        others += [
            benchmark.OfficialOptions(str(against), name, preset.value, device) for name in names
        ]
    if opencv_nano is not None:
        others.append(benchmark.NanoOptions(str(opencv_nano)))
    report = benchmark.run_benchmark(
        own,
        others,
        sizes=wanted_sizes,
        targets=counts,
        steps=steps,
        warm_up=warm_up,
        threads=threads,
        memory=memory,
        progress=progress_bar,
    )
    typer.echo(benchmark.benchmark_markdown(report))
    if output is not None:
        asked = {"weights": names, "settings": settings or [], "steps": steps, "warm_up": warm_up}
        say_all(benchmark.write_benchmark(output, report, asked))


def _say_node(asked: list[NodeOptions], output: Path | None) -> None:
    """Measure the node in each way that is asked for, print and write what comes of it."""
    from siammask_ros.benchmark import write_document
    from siammask_ros.files import write_whole
    from siammask_ros.plots import write_chart
    from siammask_ros.ros import benchmark as node_benchmark

    for number, options in enumerate(asked, 1):
        report: NodeReport = node_benchmark.run_node_benchmark(options)
        typer.echo(report.markdown)
        if output is not None:
            name = f"node_{number}" if len(asked) > 1 else "node"
            say_all(
                [
                    write_whole(output / f"{name}.md", report.markdown),
                    write_document(output / f"{name}.json", report.document),
                    *(write_chart(output / f"{name}_{end}", c) for end, c in report.charts.items()),
                ]
            )
