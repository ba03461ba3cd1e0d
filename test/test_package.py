# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package as ROS, pip and its readers see it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import runpy
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCES = REPOSITORY / "siammask_ros"
MODULES = sorted(SOURCES.rglob("*.py"))
# What each part of the package may import of the package, itself apart.
# "*" means anything; ros is for ros alone, and for the bodies of cli's functions.
LIBRARY = {
    "geometry",
    "crop",
    "anchors",
    "masks",
    "network",
    "weights",
    "presets",
    "choice",
    "tracker",
    "tracker_config",
    "tracker_state",
    "longterm",
    "appearance",
    "target_status",
}
EXECUTABLES = (
    "tracker_node",
    "localizer_node",
    "follower_node",
    "siammask",
    "video_camera",
    "replay",
    "select_target",
    "demo",
    "demo_recorder",
    "world_simulator",
    "follow_director",
    "follow_demo",
)
ARROWS = {
    "__init__": {"bags", "lazy", "network", "tracker", "weights"},
    "lazy": set(),
    "memory": set(),
    "geometry": set(),
    "appearance": {"crop", "tracker_state"},
    "anchors": {"geometry"},
    "crop": {"geometry", "reduced_images"},
    "masks": {"geometry"},
    "network": set(),
    "weights": {"network"},
    "backends": {
        *("anchors", "choice", "crop", "files", "geometry", "lazy", "masks", "memory"),
        *("network", "scenes", "step_clock", "tracker", "tracker_config", "weights"),
    },
    "presets": set(),
    "tracker_config": {"anchors", "crop", "geometry", "masks", "presets"},
    "tracker_state": {"anchors", "crop", "geometry", "masks", "network"},
    "interruption": set(),
    "step_clock": set(),
    "threads": set(),
    "choice": {"anchors", "crop", "geometry", "network", "tracker_config", "tracker_state"},
    "tracker": {
        *("anchors", "choice", "crop", "geometry", "masks"),
        *("network", "presets", "step_clock", "threads", "tracker_config"),
        "tracker_state",
    },
    "longterm_config": {"geometry"},
    "search": {"appearance", "longterm_config", "tracker_state"},
    "targets": {"appearance", "search", "target_status", "tracker_state"},
    "meetings": {
        *("appearance", "crop", "longterm_config", "search", "target_status"),
        *("targets", "tracker_state"),
    },
    "longterm": {
        *("appearance", "crop", "geometry", "longterm_config", "meetings", "search"),
        *("target_status", "targets", "tracker", "tracker_state"),
    },
    "following": set(),
    "scenes": {"geometry"},
    "training": {
        "anchors",
        "crop",
        "drawing",
        "files",
        "geometry",
        "interruption",
        "label_images",
        "lazy",
        "network",
        "pictures",
        "plots",
        "scenes",
    },
    "files": set(),
    "pictures": {"drawing", "files"},
    "plots": {"files"},
    "label_images": set(),
    "evaluation": LIBRARY
    | {
        *("backends", "drawing", "files", "interruption", "label_images", "pictures", "plots"),
        "scenes",
    },
    "benchmark": LIBRARY
    | {"backends", "evaluation", "files", "memory", "plots", "scenes", "step_clock"},
    "clicks": {"crop", "geometry", "longterm", "masks", "tracker_state"},
    "handover": {"geometry", "longterm", "target_status"},
    "reduced_images": set(),
    "frames": {"reduced_images"},
    "localization": {"target_status"},
    "engine": {
        *("anchors", "clicks", "crop", "frames", "geometry", "handover", "longterm"),
        *("longterm_config", "masks", "reduced_images", "step_clock"),
        *("target_status", "tracked", "tracker", "tracker_state"),
    },
    "selection": {"drawing", "geometry", "target_status"},
    "target_status": set(),
    "drawing": {"geometry", "target_status"},
    "video": {"files"},
    "results": {"files", "target_status"},
    "tracked": {"drawing", "geometry", "longterm", "masks", "results", "video"},
    "history": {"target_status", "tracked"},
    "run_plots": {"drawing", "history", "plots", "target_status"},
    "sinks": {
        *("drawing", "files", "history", "pictures", "plots", "results", "run_plots"),
        *("target_status", "tracked", "video"),
    },
    "report_video": {"drawing", "tracked", "video"},
    "report": {
        *("files", "history", "plots", "report_video", "run_plots", "sinks"),
        *("target_status", "tracked"),
    },
    "rerun_file": {
        *("drawing", "files", "history", "pictures", "sinks", "target_status", "tracked"),
    },
    "outputs": {"report", "rerun_file", "sinks", "tracked"},
    "offline": {"crop", "geometry", "longterm", "target_status", "tracked", "video"},
    "image_messages": set(),
    "detection_messages": {"geometry", "handover"},
    "read_ahead": set(),
    "target_list": {"engine", "frames", "geometry", "longterm"},
    "cues": {"bags", "engine", "frames", "geometry", "handover", "target_list"},
    "replay": {
        *("bags", "crop", "cues", "engine", "frames", "handover", "image_messages", "longterm"),
        *("read_ahead", "tracked", "video"),
    },
    "result_messages": {"engine", "tracked", "tracker_state"},
    "bags": {
        *(
            "detection_messages",
            "drawing",
            "engine",
            "files",
            "frames",
            "geometry",
            "handover",
            "longterm",
        ),
        *("result_messages", "results", "target_status", "tracked"),
    },
    "cli": {"*"},
    "ros": {"*"},
}
ROS_MODULES = re.compile(
    r"rclpy|launch(_ros)?|ament_index_python|cv_bridge|\w+_(msgs|srvs|interfaces)"
)
ROSDEP_KEYS = {
    "cv2": "python3-opencv",
    "matplotlib": "python3-matplotlib",
    "numpy": "python3-numpy",
    "rich": "python3-rich",
    "torch": "python3-torch",
    "typer": "python3-typer",
    "yaml": "python3-yaml",
}
WHEELS = {"cv2": "opencv-python", "yaml": "PyYAML"}
# Where a checkout may lie, though texts and tests name the same folders as examples.
EXAMPLE_FOLDERS = {"/", "/data", "/home", "/opt", "/usr"}
# Not in rosdep for every distribution, so imported only where they are used.
OPTIONAL = {"onnx", "onnxruntime", "openvino", "pandas", "torch_tensorrt"}
"""Not required at all: what needs one of them says so."""
LAZY_ONLY = {"av", "rosbags"} | OPTIONAL


def setup_arguments(monkeypatch):
    """Return what setup.py passes to setuptools.setup."""
    calls = []
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr("setuptools.setup", lambda **arguments: calls.append(arguments))
    runpy.run_path(str(REPOSITORY / "setup.py"))
    (arguments,) = calls
    return arguments


def package_xml(path=REPOSITORY / "package.xml"):
    return ET.parse(path).getroot()  # noqa: S314 our own file


def dotted_name(path):
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def part_of(path):
    """Return the part of the package that a module belongs to: tracker, network, ros, ..."""
    return path.relative_to(SOURCES).with_suffix("").parts[0]


def imports_of(path, *, top_level_only=False, with_types=True):
    """Yield the absolute dotted names that a module imports.

    top_level_only leaves out what functions import, with_types=False what only
    type checkers import.
    """
    tree = ast.parse(path.read_text())
    package = dotted_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    left_out = set()
    for node in ast.walk(tree):
        lazy = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and top_level_only
        types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if lazy or (types and not with_types):
            left_out.update(id(child) for child in ast.walk(node))
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def parts_imported(path, **options):
    """Return the parts of the package that a module imports."""
    found = set()
    for name in imports_of(path, **options):
        words = name.split(".")
        if words[0] != "siammask_ros" or len(words) == 1:
            continue
        is_part = (SOURCES / words[1]).is_dir() or (SOURCES / f"{words[1]}.py").is_file()
        found.add(words[1] if is_part else "__init__")
    return found


def roots_imported(path, **options):
    return {name.split(".")[0] for name in imports_of(path, **options)}


def tracked_files():
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-C", str(REPOSITORY), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip(f"git ls-files failed: {listed.stderr.strip()}")
    return [REPOSITORY / name for name in listed.stdout.split("\0") if name]


# --- Imports


def test_every_part_has_arrows():
    assert {part_of(path) for path in MODULES} <= ARROWS.keys()


@pytest.mark.parametrize("path", MODULES, ids=dotted_name)
def test_imports_follow_the_arrows(path):
    part = part_of(path)
    allowed = ARROWS[part]
    if "*" in allowed:
        return
    assert parts_imported(path) - {part} <= allowed


@pytest.mark.parametrize("path", MODULES, ids=dotted_name)
def test_only_ros_imports_ros(path):
    if part_of(path) == "ros":
        return
    top_level = roots_imported(path, top_level_only=True)
    assert not [name for name in top_level if ROS_MODULES.fullmatch(name)]
    assert "ros" not in parts_imported(path, top_level_only=True)
    if part_of(path) != "cli":
        assert not [name for name in roots_imported(path) if ROS_MODULES.fullmatch(name)]


def test_network_needs_torch_only():
    used = set()
    for path in MODULES:
        if part_of(path) == "network":
            used |= roots_imported(path)
    assert used - set(sys.stdlib_module_names) - {"siammask_ros"} == {"torch"}


def test_modules_outside_ros_import_without_ros():
    names = [dotted_name(path) for path in MODULES if part_of(path) != "ros"]
    code = f"""
import importlib, importlib.abc, re, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if re.fullmatch({ROS_MODULES.pattern!r}, name.split(".")[0]):
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocker())
try:
    import rclpy
except ImportError:
    pass
else:
    sys.exit("the blocker does not block")
for name in {names!r}:
    if not name.endswith("__main__"):
        importlib.import_module(name)
assert not [name for name in sys.modules if name.startswith("siammask_ros.ros")]
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# --- What is installed


def test_entry_points_resolve(monkeypatch):
    scripts = setup_arguments(monkeypatch)["entry_points"]["console_scripts"]
    targets = dict(script.split(" = ") for script in scripts)
    assert set(targets) == set(EXECUTABLES)
    for target in targets.values():
        module, function = target.split(":")
        place = REPOSITORY / module.replace(".", "/")
        assert place.with_suffix(".py").is_file() or (place / "__init__.py").is_file(), target
        if ".ros." in module and importlib.util.find_spec("rclpy") is None:
            continue
        assert callable(getattr(importlib.import_module(module), function))


def test_scripts_go_where_ros2_run_looks():
    text = (REPOSITORY / "setup.cfg").read_text()
    assert "install_scripts=$base/lib/siammask_ros" in text
    assert "script_dir=$base/lib/siammask_ros" in text


def test_data_files_are_complete(monkeypatch):
    arguments = setup_arguments(monkeypatch)
    data_files = {target: set(files) for target, files in arguments["data_files"]}
    assert data_files["share/ament_index/resource_index/packages"] == {"resource/siammask_ros"}
    assert "package.xml" in data_files["share/siammask_ros"]
    there = {
        str(path.relative_to(REPOSITORY))
        for folder in ("config", "launch")
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    for target, files in data_files.items():
        for name in files & there:
            assert target == f"share/siammask_ros/{Path(name).parent}"
    assert set().union(*data_files.values()) >= there
    for files in data_files.values():
        for name in files:
            assert (REPOSITORY / name).is_file()


def test_package_data_is_complete(monkeypatch):
    patterns = setup_arguments(monkeypatch)["package_data"]["siammask_ros"]
    covered = {path for pattern in patterns for path in SOURCES.glob(pattern)}
    others = {
        path for path in SOURCES.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert others == covered
    assert SOURCES / "py.typed" in covered


def test_every_folder_of_modules_is_a_package(monkeypatch):
    packages = set(setup_arguments(monkeypatch)["packages"])
    folders = {dotted_name(path.parent / "__init__.py") for path in MODULES}
    assert packages == folders | {"siammask_ros.bags.definitions"}


def test_installed_package_is_whole():
    prefixes = [Path(entry) for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(":")]
    prefix = next((entry for entry in prefixes if (entry / "share/siammask_ros").is_dir()), None)
    if prefix is None:
        pytest.skip("siammask_ros is not installed here (make test sets it up)")
    for name in EXECUTABLES:
        script = prefix / "lib" / "siammask_ros" / name
        assert os.access(script, os.X_OK)
        # Not resolved: the link in the environment is what finds its packages.
        assert script.read_text().splitlines()[0] == f"#!{sys.executable}"
    assert (prefix / "share/ament_index/resource_index/packages/siammask_ros").is_file()
    for folder in ("config", "launch"):
        for path in (REPOSITORY / folder).rglob("*.*"):
            if path.suffix != ".pyc":
                installed = prefix / "share" / "siammask_ros" / path.relative_to(REPOSITORY)
                assert installed.read_bytes() == path.read_bytes()


# --- Metadata


def test_versions_agree(monkeypatch):
    version = setup_arguments(monkeypatch)["version"]
    for path in (REPOSITORY / "package.xml", REPOSITORY / "siammask_msgs" / "package.xml"):
        assert package_xml(path).findtext("version") == version


def test_package_xml_is_an_ament_python_package():
    root = package_xml()
    assert root.get("format") == "3"
    assert root.findtext("name") == "siammask_ros"
    assert root.findtext("export/build_type") == "ament_python"
    assert (REPOSITORY / root.find("license").get("file")).is_file()


def test_package_xml_names_what_is_imported():
    root = package_xml()
    named = {
        element.text
        for tag in ("depend", "exec_depend", "test_depend")
        for element in root.findall(tag)
    }
    launch_files = list((REPOSITORY / "launch").glob("*.py"))
    files = [*MODULES, *launch_files]
    used = set().union(*(roots_imported(path, with_types=False) for path in files))
    # cv_bridge is used where it is there; NumPy decodes where it is not.
    ros = {name for name in used if ROS_MODULES.fullmatch(name)} - {"cv_bridge"}
    assert ros <= named
    others = used - ros - set(sys.stdlib_module_names) - {"siammask_ros", "cv_bridge"} - LAZY_ONLY
    assert {ROSDEP_KEYS[name] for name in others} <= named


def test_requirements_name_what_is_imported():
    text = (REPOSITORY / "requirements" / "runtime.txt").read_text()
    required = set(re.findall(r"^([A-Za-z][\w-]*)", text, re.MULTILINE))
    used = set().union(*(roots_imported(path, with_types=False) for path in MODULES))
    others = {name for name in used if not ROS_MODULES.fullmatch(name)}
    others -= set(sys.stdlib_module_names) | {"siammask_ros"}
    assert {WHEELS.get(name, name) for name in others} <= required | OPTIONAL


@pytest.mark.parametrize("path", MODULES, ids=dotted_name)
def test_packages_without_rosdep_key_are_imported_lazily(path):
    used = roots_imported(path, top_level_only=True, with_types=False)
    assert not used & LAZY_ONLY


def test_messages_are_those_of_the_build_file():
    folder = REPOSITORY / "siammask_msgs"
    there = {str(path.relative_to(folder)) for path in folder.glob("*/*") if path.is_file()}
    built = set(re.findall(r'"((?:msg|srv)/\w+\.\w+)"', (folder / "CMakeLists.txt").read_text()))
    assert built == there


@pytest.mark.parametrize(
    "path",
    sorted((REPOSITORY / "siammask_msgs").glob("*/*.*")),
    ids=lambda path: path.name,
)
def test_every_message_field_has_a_comment(path):
    for line in path.read_text().splitlines():
        if line and not line.startswith("#") and line != "---":
            assert re.fullmatch(r"\S+ \S+\s+#\s\S.*", line), f"{path.name}: {line}"


# --- Files


def test_files_name_their_licence():
    for path in tracked_files():
        if path.suffix in {".py", ".sh"} and path.is_file():
            lines = [line for line in path.read_text().splitlines() if not line.startswith("#!")]
            assert lines[:2] == [
                "# Copyright 2026 The siammask_ros authors",
                "# SPDX-License-Identifier: Apache-2.0",
            ], path


def test_no_machine_paths_in_files():
    parent = REPOSITORY.parent
    own = "(?!)" if str(parent) in EXAMPLE_FOLDERS else re.escape(str(parent))
    home = re.escape(str(Path.home())) if len(Path.home().parts) > 1 else "(?!)"
    pattern = re.compile(rf"(?<![\w.~-])(?:{own}|{home}|/root)/".encode())
    for path in tracked_files():
        if path.is_file() and path.suffix not in {".pth", ".png", ".npz", ".mp4"}:
            found = pattern.search(path.read_bytes())
            assert found is None, f"{path}: {found}"


def test_tracked_files_are_sources():
    folders = re.compile(
        r"(build|install|log|\.venv)(-\w+)*|__pycache__|\w+\.egg-info|(demo|follow)_output"
    )
    for path in tracked_files():
        parts = path.relative_to(REPOSITORY).parts
        assert not any(folders.fullmatch(part) for part in parts[:-1]), path
