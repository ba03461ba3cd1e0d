# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The set-up script: what it chooses, what it skips, what it says."""

from __future__ import annotations

import ast
import importlib.util
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPT = REPOSITORY / "tools" / "setup_environment.py"
PACKAGES = Path("share/ament_index/resource_index/packages")


def load():
    spec = importlib.util.spec_from_file_location("setup_environment", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tool = load()


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def fake_installation(prefix, packages=tool.NEEDED_ROS_PACKAGES):
    (prefix / PACKAGES).mkdir(parents=True)
    for name in packages:
        (prefix / PACKAGES / name).touch()
    return str(prefix)


def made_slot(root, suffix, key, version="3.11.7"):
    slot = tool.Slot(root, suffix)
    slot.state.mkdir(parents=True)
    (slot.state / "key").write_text(f"{key}\n")
    (slot.venv / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion = {version}\n")
    return slot


# --- Which ROS


def test_kilted_wheels_are_the_default():
    assert tool.find_ros({}) == tool.Ros("kilted", "wheels")


@pytest.mark.parametrize("distro", ["kilted", "jazzy"])
def test_ros_distro_chooses_the_wheels(distro):
    assert tool.find_ros({"ROS_DISTRO": distro}) == tool.Ros(distro, "wheels")


def test_distribution_without_wheels_is_named():
    with pytest.raises(tool.SetupError, match=r"ROS_DISTRO=humble.*jazzy and kilted"):
        tool.find_ros({"ROS_DISTRO": "humble"})


def test_sourced_installation_is_used(tmp_path):
    prefix = fake_installation(tmp_path / "ros")
    python = executable(tmp_path / "python", "exit 0")
    environ = {"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": prefix, "PYTHON": python}
    assert tool.find_ros(environ) == tool.Ros("humble", "installed", python)


def test_installation_without_message_generator_is_told(tmp_path):
    packages = [name for name in tool.NEEDED_ROS_PACKAGES if name != "rosidl_default_generators"]
    prefix = fake_installation(tmp_path / "ros", packages)
    with pytest.raises(tool.SetupError, match=r"install ros-humble-rosidl-default-generators$"):
        tool.find_ros({"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": prefix})


def test_installation_that_no_python_imports_is_told(tmp_path):
    prefix = fake_installation(tmp_path / "ros")
    python = executable(tmp_path / "python", "exit 1")
    environ = {"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": prefix, "PYTHON": python}
    with pytest.raises(tool.SetupError, match="cannot import rclpy"):
        tool.find_ros(environ)


def test_own_environment_is_no_installation(tmp_path):
    slot = made_slot(tmp_path, "", "kilted")
    fake_installation(slot.venv)
    environ = {"ROS_DISTRO": "kilted", "AMENT_PREFIX_PATH": str(slot.venv)}
    assert tool.find_ros(environ) == tool.Ros("kilted", "wheels")


def test_prefix_without_rclpy_is_no_installation(tmp_path):
    prefix = fake_installation(tmp_path / "workspace", ["siammask_msgs"])
    environ = {"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": f"{prefix}:/nowhere"}
    assert tool.find_ros(environ) == tool.Ros("jazzy", "wheels")


# --- Which folders


def test_first_environment_takes_the_plain_names(tmp_path):
    slot = tool.find_slot(tool.Ros("jazzy", "wheels"), tmp_path)
    assert (slot.venv.name, slot.install.name) == (".venv", "install")


def test_second_environment_gets_names_of_its_own(tmp_path):
    made_slot(tmp_path, "", "kilted")
    slot = tool.find_slot(tool.Ros("jazzy", "wheels"), tmp_path)
    assert (slot.venv.name, slot.install.name) == (".venv-jazzy", "install-jazzy")
    assert tool.find_slot(tool.Ros("kilted", "wheels"), tmp_path).venv.name == ".venv"


def test_installed_ros_does_not_share_with_wheels(tmp_path):
    made_slot(tmp_path, "", "jazzy")
    slot = tool.find_slot(tool.Ros("jazzy", "installed", "python3"), tmp_path)
    assert slot.venv.name == ".venv-jazzy-installed"


def test_foreign_venv_is_left_alone(tmp_path):
    (tmp_path / ".venv").mkdir()
    slot = tool.find_slot(tool.Ros("kilted", "wheels"), tmp_path)
    assert slot.venv.name == ".venv-kilted"


# --- Which Python and compiler


def test_python_that_does_not_run_is_told():
    with pytest.raises(tool.SetupError, match="PYTHON=/nowhere/python does not run"):
        tool.find_python({"PYTHON": "/nowhere/python"})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("3.9\\n\\n\\n", "Python 3.9 is out of range"),
        ("3.14\\n\\n\\n", "Python 3.14 is out of range"),
        ("3.12\\nvenv\\n\\n", "python3.12-venv"),
        ("3.12\\n\\ndev\\n", "python3.12-dev"),
    ],
)
def test_unsuitable_python_is_told(tmp_path, answer, expected):
    python = executable(tmp_path / "python", f"printf '{answer}'")
    with pytest.raises(tool.SetupError, match=expected):
        tool.find_python({"PYTHON": python})


def test_suitable_python_is_found(tmp_path):
    python = executable(tmp_path / "python", "printf '3.12\\n\\n\\n'")
    assert tool.find_python({"PYTHON": python}) == (python, (3, 12))


def test_next_python_is_tried(tmp_path, monkeypatch):
    old = executable(tmp_path / "old", "printf '3.8\\n\\n\\n'")
    new = executable(tmp_path / "new", "printf '3.13\\n\\n\\n'")
    monkeypatch.setattr(tool, "PYTHON_NAMES", ("/nowhere/python", old, new))
    assert tool.find_python({}) == (new, (3, 13))


def test_missing_compiler_is_told_in_one_line(tmp_path, monkeypatch):
    cc = executable(tmp_path / "cc", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(tool.SetupError, match=r"no C\+\+ compiler found .*install g\+\+") as caught:
        tool.check_compiler({"CC": cc})
    assert "\n" not in str(caught.value)


def test_compiler_that_makes_nothing_is_told(tmp_path):
    cc = executable(tmp_path / "cc", "exit 1")
    with pytest.raises(tool.SetupError, match="makes no programs"):
        tool.check_compiler({"CC": cc, "CXX": cc})


# --- Stamps


def test_digest_sees_content_names_and_removals(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.msg").write_text("1")
    first = tool.digest_of_files(tmp_path, ["a"])
    assert tool.digest_of_files(tmp_path, ["a"]) == first
    (tmp_path / "a" / "x.msg").write_text("2")
    second = tool.digest_of_files(tmp_path, ["a"])
    (tmp_path / "a" / "y.msg").write_text("")
    third = tool.digest_of_files(tmp_path, ["a"])
    (tmp_path / "a" / "x.msg").rename(tmp_path / "a" / "z.msg")
    fourth = tool.digest_of_files(tmp_path, ["a"])
    assert len({first, second, third, fourth}) == 4


def test_digest_ignores_byte_code(tmp_path):
    (tmp_path / "a" / "__pycache__").mkdir(parents=True)
    before = tool.digest_of_files(tmp_path, ["a"])
    (tmp_path / "a" / "__pycache__" / "x.pyc").write_text("1")
    assert tool.digest_of_files(tmp_path, ["a"]) == before


def test_interrupted_step_is_not_done(tmp_path):
    slot = made_slot(tmp_path, "", "kilted")
    with tool.stamped(slot, "packages", "old"):
        pass
    assert tool.is_done(slot, "packages", "old")
    assert not tool.is_done(slot, "packages", "new")
    with pytest.raises(KeyboardInterrupt), tool.stamped(slot, "packages", "old"):
        raise KeyboardInterrupt
    assert not tool.is_done(slot, "packages", "old")


def hold_lock(root, seconds):
    with tool.locked(tool.Slot(root, "")):
        (root / "held").touch()
        time.sleep(seconds)


def test_second_set_up_waits(tmp_path, capsys):
    holder = multiprocessing.get_context("fork").Process(target=hold_lock, args=(tmp_path, 0.5))
    holder.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    begin = time.monotonic()
    with tool.locked(tool.Slot(tmp_path, "")):
        waited = time.monotonic() - begin
    holder.join()
    assert waited > 0.2
    assert "waiting" in capsys.readouterr().out


# --- Wheels


def test_builders_paths_give_way_to_ours():
    old = (
        'set_target_properties(a PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "'
        "/opt/python/cp312-cp312/include/python3.12;"
        "/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/core/include;"
        '/opt/python/cp312-cp312/lib/python3.12/site-packages/other;/opt/pythonic")'
    )
    new = tool.with_paths(old, "/inc", "/np/_core/include", "/site")
    assert new == (
        'set_target_properties(a PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "'
        '/inc;/np/_core/include;/site/other;/opt/pythonic")'
    )
    assert tool.with_paths(new, "/inc", "/np/_core/include", "/site") == new


# --- What it runs with, and what it says


def test_environment_of_wheels(tmp_path):
    slot = made_slot(tmp_path, "", "kilted")
    environ = {"PATH": "/usr/bin", tool.BOOTSTRAP_MARK: "1", "AMENT_PREFIX_PATH": "/mine"}
    changed = tool.environment(tool.Ros("kilted", "wheels"), slot, environ)
    assert changed["PATH"] == f"{tmp_path}/.venv/bin:/usr/bin"
    assert changed["AMENT_PREFIX_PATH"] == f"{tmp_path}/install:{tmp_path}/.venv:/mine"
    assert changed["PYTHONPATH"] == f"{tmp_path}/install/lib/python3.11/site-packages"
    assert changed["LD_LIBRARY_PATH"] == f"{tmp_path}/install/lib"
    assert changed["FASTDDS_DEFAULT_PROFILES_FILE"] == f"{tmp_path}/config/fastdds.xml"
    assert changed["ROS_DISTRO"] == "kilted"
    assert tool.BOOTSTRAP_MARK not in tool.merged(environ, changed)


def test_environment_entered_twice_is_the_same(tmp_path):
    slot = made_slot(tmp_path, "", "kilted")
    ros = tool.Ros("kilted", "wheels")
    once = tool.merged({"PATH": "/usr/bin"}, tool.environment(ros, slot, {"PATH": "/usr/bin"}))
    assert tool.merged(once, tool.environment(ros, slot, once)) == once


def test_users_transport_profile_stays(tmp_path):
    slot = made_slot(tmp_path, "", "jazzy")
    ros = tool.Ros("jazzy", "wheels")
    ours = tool.environment(ros, slot, {})
    assert ours["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith("config/fastdds.xml")
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        changed = tool.environment(ros, slot, {name: "/mine.xml"})
        assert not any("PROFILES_FILE" in variable for variable in changed)


def test_installation_keeps_its_own_paths(tmp_path):
    slot = made_slot(tmp_path, "", "jazzy-installed")
    environ = {"AMENT_PREFIX_PATH": "/opt/ros/jazzy", "PYTHONPATH": "/opt/ros/jazzy/python"}
    changed = tool.environment(tool.Ros("jazzy", "installed", "python3"), slot, environ)
    assert changed["AMENT_PREFIX_PATH"] == f"{tmp_path}/install:/opt/ros/jazzy"
    assert changed["PYTHONPATH"].endswith(":/opt/ros/jazzy/python")
    assert "ROS_DISTRO" not in changed


def test_failed_command_is_told_in_one_line(tmp_path):
    log = tmp_path / "log" / "pip.log"
    code = (
        "import sys; print('collecting'); print('ERROR: No matching distribution for x'); "
        "sys.exit(1)"
    )
    with pytest.raises(tool.SetupError) as caught:
        tool.run_logged("pip", [sys.executable, "-c", code], os.environ, log)
    assert str(caught.value) == (
        f"pip failed: ERROR: No matching distribution for x (all of it: {log})"
    )
    assert "collecting" in log.read_text()


def test_cmake_says_where_and_what():
    output = (
        "ninja: error: loading 'build.ninja': No such file\n--- stderr: x\n"
        "CMake Error at CMakeLists.txt:3 (find_package):\n  No package y.\n\nCall Stack:\n"
    )
    assert tool.telling_line(output) == (
        "CMake Error at CMakeLists.txt:3 (find_package): No package y."
    )


def test_only_the_failed_command_is_told(tmp_path):
    log = tmp_path / "pip.log"
    log.write_text("ERROR: of yesterday\n")
    code = "import sys; print('fatal error: disk'); sys.exit(1)"
    with pytest.raises(tool.SetupError, match="fatal error: disk"):
        tool.run_logged("pip", [sys.executable, "-c", code], os.environ, log)


def test_command_line_says_what_is_wrong(tmp_path):
    environ = {**os.environ, "ROS_DISTRO": "foxy", "AMENT_PREFIX_PATH": ""}
    command = [sys.executable, str(SCRIPT), "environment"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("setup: ROS_DISTRO=foxy")
    assert len(done.stderr.splitlines()) == 1


def test_script_needs_nothing_new():
    """It has to run, to say what is missing, on Pythons older than those it accepts."""
    ast.parse(SCRIPT.read_text(), feature_version=(3, 8))
