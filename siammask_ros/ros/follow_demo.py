# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot follows somebody, end to end, on real ROS 2 topics.

    python -m siammask_ros.ros.follow_demo --output follow_output

Five processes: a rendered world with a robot in it (`world_simulator`), the tracker, the localizer,
the follower, and `follow_director`, which sets the target, enables the follower and writes what
came of it. `ros2 launch siammask_ros follow_demo.launch.py` starts the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from siammask_ros.interruption import Interruption
from siammask_ros.ros.demo import exit_status, keep_logs, say, show_logs
from siammask_ros.ros.processes import NodeProcess, ProcessError, prepare_environment
from siammask_ros.scenes.follow_world import DISTANCE_M, SECONDS
from siammask_ros.scenes.pinhole import Mount

SIMULATOR, TRACKER = "/world_simulator", "/siammask_tracker"
LOCALIZER, FOLLOWER = "/target_localizer", "/target_follower"
ODOM_FRAME = "odom"
"""Of the simulator's odometry."""
MAX_SPEED = 1.4
"""m/s: somebody who walks is followed, and caught up with after a loss."""
MAX_ACCELERATION = 1.2


FAULTS = ("cannot configure", "cannot activate")
"""In the log of a lifecycle node that does not come to work, though its process goes on."""
POLL_S = 0.2


class DemoNode(NamedTuple):
    """A node of the demo.

    Attributes:
        executable: its name for `ros2 run`, and of its log.
        module: what is run where nothing is installed.
        parameters: by name.
        remaps: old name to new.
    """

    executable: str
    module: str
    parameters: dict[str, object]
    remaps: dict[str, str]


@dataclass(frozen=True)
class FollowDemoOptions:
    """What the command line says."""

    output: Path
    seconds: float
    seed: int
    rate: float
    size: str
    weights: str
    video: bool
    verbose: bool

    @property
    def size_wh(self) -> tuple[int, int]:
        """Of the images, pixels."""
        width, height = self.size.lower().split("x")
        return int(width), int(height)


def demo_nodes(options: FollowDemoOptions) -> list[DemoNode]:
    """All nodes of the demo; the director, which ends by itself, is the last."""
    width, height = options.size_wh
    mount = Mount()
    camera = {"camera_x": mount.forward, "camera_z": mount.up, "camera_pitch": mount.pitch}
    view = {"seed": options.seed, "width": width, "height": height}
    return [
        DemoNode(
            "world_simulator",
            "siammask_ros.ros.world_simulator",
            {**view, "rate": options.rate},
            {},
        ),
        DemoNode(
            "tracker_node",
            "siammask_ros.ros.node",
            {"autostart": True, "weights": options.weights},
            {"image": "/camera/image_raw"},
        ),
        DemoNode(
            "localizer_node",
            "siammask_ros.ros.localizer",
            {
                "autostart": True,
                **camera,
                "fixed_frame": ODOM_FRAME,
                "fixed_frame_from": "odometry",
            },
            {
                "rotated_boxes": f"{TRACKER}/rotated_boxes",
                "label_image": f"{TRACKER}/label_image",
                "depth/image": "/camera/depth/image_raw",
                "camera_info": "/camera/camera_info",
                "odometry": "/odom",
            },
        ),
        DemoNode(
            "follower_node",
            "siammask_ros.ros.follower",
            {
                "autostart": True,
                **camera,
                "velocity_of": "ground",
                "distance": DISTANCE_M,
                "max_speed": MAX_SPEED,
                "max_acceleration": MAX_ACCELERATION,
            },
            {"targets": f"{LOCALIZER}/targets"},
        ),
        DemoNode(
            "follow_director",
            "siammask_ros.ros.follow_director",
            {
                **view,
                "output": str(options.output),
                "seconds": options.seconds,
                "video": options.video,
            },
            {
                "time": f"{SIMULATOR}/time",
                "true_boxes": f"{SIMULATOR}/boxes",
                "rotated_boxes": f"{TRACKER}/rotated_boxes",
                "label_image": f"{TRACKER}/label_image",
                "targets": f"{LOCALIZER}/targets",
                "follower_state": f"{FOLLOWER}/state",
                "set_targets": f"{TRACKER}/set_targets",
                "start_world": f"{SIMULATOR}/start",
                "enable_follower": f"{FOLLOWER}/enable",
                "follower_parameters": f"{FOLLOWER}/get_parameters",
            },
        ),
    ]


def run_follow_demo(options: FollowDemoOptions, interruption: Interruption) -> None:
    """Run the demo and leave the results in the output folder.

    Raises:
        ProcessError, ValueError, OSError: it failed; the message says at what.
        KeyboardInterrupt: it was asked to end; nothing is left running.
    """
    options.output.mkdir(parents=True, exist_ok=True)
    prepare_environment()
    with tempfile.TemporaryDirectory(prefix="siammask_follow_") as name:
        work = Path(name)
        processes: list[NodeProcess] = []
        try:
            for node in demo_nodes(options):
                settings = {"parameters": node.parameters, "remaps": node.remaps}
                process = NodeProcess(node.executable, node.module, folder=work, **settings)
                processes.append(process)
            director = processes[-1]
            while director.status is None:
                interruption.check()
                check_nodes(processes)
                time.sleep(POLL_S)
            director.check()
            say(director.log.read_text(encoding="utf-8").rstrip())
        except ProcessError:
            keep_logs(work, options.output)
            raise
        finally:
            for process in reversed(processes):
                process.stop()
            if options.verbose:
                show_logs(work)


def check_nodes(processes: Sequence[NodeProcess]) -> None:
    """Raise ProcessError if one has ended, or lives on without having come to work."""
    *others, director = processes
    for process in others:
        process.check()
        if process.status is not None:
            raise ProcessError(f"{process.name} ended before {director.name}")
        log = process.log.read_text(encoding="utf-8", errors="replace")
        if any(words in log for words in FAULTS):
            raise ProcessError(f"{process.name}: {process.last_words()}")


def parse_arguments(arguments: Sequence[str] | None) -> FollowDemoOptions:
    """The options of the command line; exits with status 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m siammask_ros.ros.follow_demo",
        description="A simulated robot follows somebody: tracker, localizer and follower on real "
        "ROS 2 topics.",
        epilog="example: python -m siammask_ros.ros.follow_demo --seconds 20",
    )
    add = parser.add_argument
    add("--output", type=Path, default=Path("follow_output"), help="folder for the results")
    add("--seconds", type=float, default=SECONDS, help="how long the robot follows")
    add("--seed", type=int, default=1, help="of textures and noise")
    add("--rate", type=float, default=20.0, help="images a second")
    add("--size", default="640x480", help="of the images: WIDTHxHEIGHT")
    add("--weights", default="compact", help="checkpoint: a name or a file")
    add("--no-video", dest="video", action="store_false", help="only chart, table and summary")
    add("--verbose", action="store_true", help="show what the processes say")
    options = FollowDemoOptions(**vars(parser.parse_args(arguments)))
    try:
        options.size_wh  # noqa: B018  it checks
    except ValueError:
        parser.error(f"--size {options.size} is not WIDTHxHEIGHT, as 640x480")
    if not 0 < options.seconds <= 600:
        parser.error("--seconds must be more than 0 and at most 600")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; exit status 0, 1 (it failed, and one line says at what), 2 (wrong usage)."""
    return exit_status(partial(run_follow_demo, parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())
