# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `siammask`: its commands, and what becomes of errors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from siammask_ros.cli import weights
from siammask_ros.cli.bench import bench
from siammask_ros.cli.common import EXIT_FAILED, EXIT_INTERRUPTED, complain, package_version
from siammask_ros.cli.evaluate_agreement import evaluate_agreement
from siammask_ros.cli.evaluate_davis import evaluate_davis
from siammask_ros.cli.evaluate_representation import evaluate_representation
from siammask_ros.cli.evaluate_scenarios import evaluate_scenarios
from siammask_ros.cli.evaluate_vot import evaluate_vot
from siammask_ros.cli.evaluate_youtube_vos import evaluate_youtube_vos
from siammask_ros.cli.export import export
from siammask_ros.cli.replay import replay
from siammask_ros.cli.select import select
from siammask_ros.cli.track import track
from siammask_ros.cli.train import train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEBUG_FLAG = "--debug"
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG_FLAG in given
    try:
        app(args=[argument for argument in given if argument != DEBUG_FLAG], prog_name="siammask")
    except USER_ERRORS as error:
        if debug:
            raise
        complain(f"siammask: {_one_line(error)}")
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        complain("siammask: interrupted")
        sys.exit(EXIT_INTERRUPTED)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - called by typer
    if wanted:
        typer.echo(f"siammask {package_version()}")
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


evaluate_app = typer.Typer(no_args_is_help=True, help="Score a tracker on a labelled data set.")
weights_app = typer.Typer(no_args_is_help=True, help="Fetch, check and convert network weights.")
app.add_typer(evaluate_app, name="eval")
app.add_typer(weights_app, name="weights")


def _offer(group: typer.Typer, command: Callable[..., None], example: str) -> None:
    """Add a command to a group, under the name that its example has."""
    words = example.split()
    name = words[1] if group is not app else words[0]
    group.command(name, epilog=f"Example: siammask {example}")(command)


_offer(app, track, "track clip.mp4 --box 120,80,60,90 --output out.mp4 --csv boxes.csv")
_offer(app, replay, "replay recording --box 300,110,165,250 --output results --video out.mp4")
_offer(app, select, "select --label cup --once")
_offer(app, train, "train config/training/compact.yaml --output runs/compact")
_offer(app, bench, "bench --sizes 640x480,1280x720 --targets 1,4 --output report")
_offer(app, export, "export onnx --weights SiamMask_DAVIS.pth")
_offer(
    evaluate_app,
    evaluate_davis,
    "eval davis DAVIS --split val --weights compact --output report",
)
_offer(
    evaluate_app,
    evaluate_agreement,
    "eval agreement DAVIS --sequences bear,bus --backend openvino --precision bfloat16",
)
_offer(
    evaluate_app,
    evaluate_youtube_vos,
    "eval youtube-vos valid --all-frames valid_all_frames --output results",
)
_offer(
    evaluate_app,
    evaluate_representation,
    "eval representation VOT2016 --masks RESULTS --output report",
)
_offer(
    evaluate_app,
    evaluate_scenarios,
    "eval scenarios --seeds 5 --davis DAVIS --output report",
)
_offer(
    evaluate_app,
    evaluate_vot,
    "eval vot WORKSPACE --stack vot2018 --data VOT2018 --weights SiamMask_VOT.pth --preset vot",
)
_offer(weights_app, weights.list_weights, "weights list")
_offer(weights_app, weights.fetch_weights, "weights fetch SiamMask_DAVIS")
_offer(weights_app, weights.verify_weights, "weights verify SiamMask_DAVIS.pth")
_offer(weights_app, weights.convert_weights, "weights convert official.pth own.pth")
