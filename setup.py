# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Python package and what ROS finds of it in `share` and `lib`."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = "siammask_ros"
MESSAGES = Path("siammask_msgs")
DEFINITIONS = {f"{NAME}.bags.definitions": str(MESSAGES)} if MESSAGES.is_dir() else {}
"""The messages, installed with the package for bags where there is no ROS.

With colcon's --symlink-install they are not here and not needed: links lead to the checkout.
"""


def shared_files(folder):
    """Return data_files of a folder and those below it, each at its place in `share`."""
    folders = [folder, *(path for path in sorted(folder.rglob("*")) if path.is_dir())]
    return [
        (f"share/{NAME}/{path}", [str(file) for file in sorted(path.iterdir()) if file.is_file()])
        for path in folders
        if path.is_dir() and path.name != "__pycache__"
    ]


setup(
    name=NAME,
    version="0.1.0",
    description="Real-time tracking and segmentation with SiamMask, as a ROS 2 node and a library.",
    author="The siammask_ros authors",
    maintainer="The siammask_ros authors",
    maintainer_email="maintainers@siammask-ros.invalid",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[*find_packages(include=[NAME, f"{NAME}.*"]), *DEFINITIONS],
    package_dir=DEFINITIONS,
    package_data={
        NAME: ["py.typed", "checkpoints/*.pth"],
        **{package: ["msg/*.msg", "srv/*.srv"] for package in DEFINITIONS},
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *shared_files(Path("config")),
        *shared_files(Path("launch")),
    ],
    install_requires=["setuptools"],
    extras_require={
        "openvino": ["openvino>=2025.0,<2027"],
        "onnx": ["onnx>=1.16,<2", "onnxruntime>=1.18,<2"],
    },
    zip_safe=False,
    entry_points={
        "console_scripts": [
            f"tracker_node = {NAME}.ros.node:main",
            f"localizer_node = {NAME}.ros.localizer:main",
            f"follower_node = {NAME}.ros.follower:main",
            f"siammask = {NAME}.cli:main",
            f"video_camera = {NAME}.ros.video_camera:main",
            f"replay = {NAME}.cli.replay:main",
            f"select_target = {NAME}.ros.select:main",
            f"demo = {NAME}.ros.demo:main",
            f"demo_recorder = {NAME}.ros.demo_recorder:main",
            f"world_simulator = {NAME}.ros.world_simulator:main",
            f"follow_director = {NAME}.ros.follow_director:main",
            f"follow_demo = {NAME}.ros.follow_demo:main",
        ],
    },
)
