#!/usr/bin/env python3
# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make and use the environment the package runs in. Standard library only.

    setup_environment.py setup            make it, or bring it up to date
    setup_environment.py environment      print shell commands that enter it
    setup_environment.py run COMMAND...   run a command in it
    setup_environment.py clean            remove the colcon output
    setup_environment.py distclean        remove the environments too

Where a ROS 2 installation is sourced, that one is used. Otherwise the ROS 2
wheels of PyPI for ROS_DISTRO (kilted or jazzy; default kilted) go into a
virtual environment. The first environment made takes the plain names `.venv`,
`install`, `build` and `log`; one for another ROS gets names of its own
(`.venv-jazzy`, `install-jazzy`, ...), so that switching sets nothing up again.

Each step leaves a stamp with a digest of all it depends on, written when the
step is complete: what is up to date is skipped, what was interrupted is done
again.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, NoReturn, Optional, Sequence, Tuple

REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_DISTRO = "kilted"
OLDEST_PYTHON = (3, 10)
NEWEST_PYTHON = (3, 13)  # the last one there are ROS 2 wheels for
PYTHON_NAMES = (
    "python3",
    "/usr/bin/python3",
    "python3.12",
    "python3.11",
    "python3.10",
    "python3.13",
)
BOOTSTRAP_MARK = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
# Distributions older than Kilted read the profile from the variable's old name.
OLD_PROFILE_DISTROS = frozenset({"humble", "iron", "jazzy"})
# Must be in a sourced installation; the wheels bring them all.
NEEDED_ROS_PACKAGES = (
    "ament_cmake",
    "rosidl_default_generators",
    "rclpy",
    "builtin_interfaces",
    "diagnostic_msgs",
    "geometry_msgs",
    "lifecycle_msgs",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
    "visualization_msgs",
)
MESSAGES_SOURCES = ("siammask_msgs",)
PACKAGE_SOURCES = (
    "siammask_ros",
    "launch",
    "config",
    "resource",
    "setup.py",
    "setup.cfg",
    "package.xml",
    # Installed with the package too, for bags.
    "siammask_msgs/msg",
    "siammask_msgs/srv",
)


class SetupError(Exception):
    """Something the user has to know, in one line."""


@dataclass(frozen=True)
class Ros:
    """Which ROS 2 is used: the wheels of PyPI, or an installation that is sourced."""

    distro: str
    kind: str  # "wheels" or "installed"
    python: Optional[str] = None  # interpreter of an installation

    @property
    def key(self) -> str:
        """Name of the environment, part of its folders' names."""
        return self.distro if self.kind == "wheels" else f"{self.distro}-installed"


@dataclass(frozen=True)
class Slot:
    """The folders of one environment."""

    root: Path
    suffix: str

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.root / f".venv{self.suffix}"

    @property
    def install(self) -> Path:
        """What colcon installed."""
        return self.root / f"install{self.suffix}"

    @property
    def build(self) -> Path:
        """Where colcon builds."""
        return self.root / f"build{self.suffix}"

    @property
    def log(self) -> Path:
        """What pip and colcon said."""
        return self.root / f"log{self.suffix}"

    @property
    def state(self) -> Path:
        """Folder of the key, the stamps and the lock."""
        return self.venv / ".setup"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.venv / "bin" / "python"

    @property
    def key(self) -> Optional[str]:
        """Key of the ROS this environment was made for; None where there is none."""
        path = self.state / "key"
        return path.read_text().strip() if path.is_file() else None

    def site_packages(self, prefix: Path) -> Path:
        """Folder of Python modules under `prefix` for this environment's interpreter."""
        config = (self.venv / "pyvenv.cfg").read_text()
        found = re.search(r"^version\w*\s*=\s*(\d+\.\d+)", config, re.MULTILINE)
        if found is None:
            raise SetupError(f"{self.venv / 'pyvenv.cfg'} names no Python version")
        return prefix / "lib" / f"python{found[1]}" / "site-packages"


def say(text: str) -> None:
    """Tell the user one line."""
    print(f"setup: {text}", flush=True)


# --- Which ROS, which folders, which Python


def split_paths(value: Optional[str]) -> List[str]:
    """Return the entries of a colon-separated list, empty ones left out."""
    return [entry for entry in (value or "").split(os.pathsep) if entry]


def sourced_prefixes(environ: Mapping[str, str]) -> List[Path]:
    """Return the prefixes of AMENT_PREFIX_PATH, environments made here left out."""
    prefixes = [Path(entry) for entry in split_paths(environ.get("AMENT_PREFIX_PATH"))]
    return [prefix for prefix in prefixes if not (prefix / ".setup" / "key").exists()]


def ros_packages(prefixes: Iterable[Path]) -> List[str]:
    """Return the names of the ROS packages that the prefixes hold."""
    index = Path("share/ament_index/resource_index/packages")
    return [path.name for prefix in prefixes for path in (prefix / index).glob("*")]


def can_import(python: str, module: str) -> bool:
    """Tell whether an interpreter imports a module in the present environment."""
    with contextlib.suppress(OSError):
        command = [python, "-c", f"import {module}"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


def find_ros(environ: Mapping[str, str], root: Path = REPOSITORY) -> Ros:
    """Return the sourced ROS 2 installation, else the wheels of ROS_DISTRO.

    Raises SetupError for an installation that lacks something, and for a
    distribution that there are no wheels of.
    """
    distro = environ.get("ROS_DISTRO")
    packages = ros_packages(sourced_prefixes(environ))
    if distro and "rclpy" in packages:
        missing = [name for name in NEEDED_ROS_PACKAGES if name not in packages]
        if missing:
            debian = " ".join(f"ros-{distro}-{name.replace('_', '-')}" for name in missing)
            raise SetupError(f"the sourced ROS 2 lacks {', '.join(missing)}: install {debian}")
        candidates = [environ["PYTHON"]] if environ.get("PYTHON") else list(PYTHON_NAMES)
        for python in candidates:
            if can_import(python, "rclpy"):
                return Ros(distro, "installed", python)
        raise SetupError(
            f"ROS 2 {distro} is sourced, but {' or '.join(candidates)} cannot import rclpy: "
            "name its interpreter with PYTHON=, or unset AMENT_PREFIX_PATH to use the wheels"
        )
    distro = distro or DEFAULT_DISTRO
    known = sorted(path.stem[len("ros-") :] for path in (root / "requirements").glob("ros-*.txt"))
    if distro not in known:
        raise SetupError(
            f"ROS_DISTRO={distro}: no such installation is sourced, and there are wheels of "
            f"{' and '.join(known)} only: source one, or set ROS_DISTRO to one of these"
        )
    return Ros(distro, "wheels")


def find_slot(ros: Ros, root: Path = REPOSITORY) -> Slot:
    """Return the environment made for `ros`, or the folders a new one shall have."""
    plain, own = Slot(root, ""), Slot(root, f"-{ros.key}")
    for slot in (plain, own):
        if slot.key == ros.key:
            return slot
    return own if plain.venv.exists() else plain


def probe_python(python: str) -> Optional[Tuple[Tuple[int, int], str]]:
    """Return version and fault ("" for none) of an interpreter; None if it does not run."""
    code = (
        "import sys, sysconfig, os, importlib.util as u; print(*sys.version_info[:2], sep='.');"
        "print('' if u.find_spec('venv') and u.find_spec('ensurepip') else 'venv');"
        "h = os.path.join(sysconfig.get_path('include'), 'Python.h');"
        "print('' if os.path.exists(h) else 'dev')"
    )
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return None
    lines = done.stdout.split("\n")
    if done.returncode or not re.fullmatch(r"\d+\.\d+", lines[0]):
        return None
    major, minor = (int(number) for number in lines[0].split("."))
    if not OLDEST_PYTHON <= (major, minor) <= NEWEST_PYTHON:
        return (major, minor), "version"
    return (major, minor), lines[1] or lines[2]


def find_python(environ: Mapping[str, str]) -> Tuple[str, Tuple[int, int]]:
    """Return a Python that environments can be made of, and its version.

    Takes PYTHON of the environment if set, else the first that will do.
    Raises SetupError that says what to install.
    """
    wanted = environ.get("PYTHON")
    remedies = {
        "venv": "Python {} has no venv: install it, e.g. sudo apt install python{}-venv",
        "dev": "Python {} has no header files: install them, e.g. sudo apt install python{}-dev",
        "version": "Python {} is out of range: install Python 3.10 to 3.13, or name one, PYTHON=",
    }
    faults = []
    for name in [wanted] if wanted else PYTHON_NAMES:
        probed = probe_python(name)
        if probed is not None:
            version, fault = probed
            if not fault:
                return name, version
            number = ".".join(str(part) for part in version)
            faults.append(remedies[fault].format(number, number))
    if faults:
        raise SetupError(faults[0])
    if wanted:
        raise SetupError(f"PYTHON={wanted} does not run: name a Python 3.10 to 3.13")
    raise SetupError("no Python 3.10 to 3.13 found: install it, e.g. sudo apt install python3-venv")


def check_compiler(environ: Mapping[str, str]) -> None:
    """Raise SetupError unless a C and a C++ compiler make programs."""
    for variable, names, suffix, package in (
        ("CC", ("cc", "gcc", "clang"), ".c", "gcc"),
        ("CXX", ("c++", "g++", "clang++"), ".cpp", "g++"),
    ):
        chosen = environ.get(variable)
        tried = [chosen] if chosen else list(names)
        compiler = next(filter(None, (shutil.which(name.split()[0]) for name in tried)), None)
        language = "C++" if variable == "CXX" else "C"
        if compiler is None:
            raise SetupError(
                f"no {language} compiler found ({', '.join(tried)}): "
                f"install one, e.g. sudo apt install {package}"
            )
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, f"probe{suffix}")
            source.write_text("int main(void) { return 0; }\n".replace("void", "", suffix != ".c"))
            command = [compiler, str(source), "-o", str(Path(folder, "probe"))]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                raise SetupError(
                    f"{compiler} makes no programs: install what it lacks, e.g. sudo apt "
                    "install build-essential"
                )


# --- Stamps


def digest_of(*parts: str) -> str:
    """Return a digest of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def digest_of_files(root: Path, names: Iterable[str]) -> str:
    """Return a digest of the names and contents of files and folders below `root`."""
    total = hashlib.sha256()
    for name in names:
        path = root / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts and ".egg-info" not in str(file):
                total.update(f"{file.relative_to(root)}\0{file.stat().st_size}\0".encode())
                total.update(file.read_bytes())
    return total.hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is either the old one or the new one, never a part."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    if path.exists():
        shutil.copymode(path, new)
    new.replace(path)


def is_done(slot: Slot, step: str, digest: str) -> bool:
    """Tell whether a step was completed with this digest."""
    stamp = slot.state / step
    return stamp.is_file() and stamp.read_text() == digest


@contextlib.contextmanager
def stamped(slot: Slot, step: str, digest: str) -> Iterator[None]:
    """Take a step's stamp away while it is worked on, and leave a new one if that succeeds."""
    stamp = slot.state / step
    stamp.unlink(missing_ok=True)
    yield
    write_whole(stamp, digest)


@contextlib.contextmanager
def locked(slot: Slot) -> Iterator[None]:
    """Keep a second set-up of the same environment waiting."""
    slot.state.mkdir(parents=True, exist_ok=True)
    with (slot.state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of the same environment to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- Running things


def prepended(value: str, old: Optional[str]) -> str:
    """Return a colon list with `value` at its head and nowhere else."""
    return os.pathsep.join([value, *(entry for entry in split_paths(old) if entry != value)])


def environment(ros: Ros, slot: Slot, environ: Mapping[str, str]) -> Dict[str, Optional[str]]:
    """Return the variables to set, or to unset (None), so that everything is found."""
    changed: Dict[str, Optional[str]] = {}

    def put_first(variable: str, path: Path) -> None:
        changed[variable] = prepended(str(path), changed.get(variable) or environ.get(variable))

    put_first("PATH", slot.venv / "bin")
    if ros.kind == "wheels":
        # The wheels start Python once more, with a library path of their own.
        # The mark that this was done is wrong for any other interpreter.
        changed[BOOTSTRAP_MARK] = None
        put_first("AMENT_PREFIX_PATH", slot.venv)
        put_first("CMAKE_PREFIX_PATH", slot.venv)
        changed.update(ROS_DISTRO=ros.distro, ROS_VERSION="2", ROS_PYTHON_VERSION="3")
    put_first("AMENT_PREFIX_PATH", slot.install)
    put_first("CMAKE_PREFIX_PATH", slot.install)
    put_first("LD_LIBRARY_PATH", slot.install / "lib")
    put_first("PYTHONPATH", slot.site_packages(slot.install))
    old_name, new_name = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"
    if not environ.get(old_name) and not environ.get(new_name):
        variable = old_name if ros.distro in OLD_PROFILE_DISTROS else new_name
        changed[variable] = str(slot.root / "config" / "fastdds.xml")
    return changed


def merged(environ: Mapping[str, str], changed: Mapping[str, Optional[str]]) -> Dict[str, str]:
    """Return the variables after a change; those that change to None are gone."""
    both = {**environ, **changed}
    return {name: value for name, value in both.items() if value is not None}


def build_environ(ros: Ros, slot: Slot, environ: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables that pip and colcon run with: nothing of ours but the folders."""
    result = {name: value for name, value in environ.items() if name != BOOTSTRAP_MARK}
    result["PATH"] = prepended(str(slot.venv / "bin"), environ.get("PATH"))
    if ros.kind == "wheels":
        for name in ("PYTHONPATH", "PYTHONHOME", "COLCON_PREFIX_PATH", "LD_LIBRARY_PATH"):
            result.pop(name, None)
        result.update(ROS_DISTRO=ros.distro, ROS_VERSION="2", ROS_PYTHON_VERSION="3")
        result.update(AMENT_PREFIX_PATH=str(slot.venv), CMAKE_PREFIX_PATH=str(slot.venv))
    return result


def telling_line(output: str) -> str:
    """Return the line of a failed command's output that best says why."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    patterns = (
        r"^ERROR: (?!Failed to build|Could not find a version)",
        r"^CMake Error",
        r"\b(?<!ninja: )error\b",
        r"Error\b",
    )
    for pattern in patterns:
        for number, line in enumerate(lines):
            if re.search(pattern, line):
                # CMake says where in one line, and what in the next.
                what = lines[number + 1 : number + 2] if line.startswith("CMake Error") else []
                return " ".join([line, *what])
    return lines[-1] if lines else "no output"


def run_logged(what: str, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
    """Run a command with its output in `log`; raise SetupError with the telling line."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as stream:
        stream.write(f"\n$ {shlex.join(command)}\n")
        begin = stream.tell()
        stream.flush()
        done = subprocess.run(
            command, cwd=REPOSITORY, env=dict(environ), stdout=stream, stderr=stream, check=False
        )
    if done.returncode:
        with log.open(errors="replace") as stream:
            stream.seek(begin)
            raise SetupError(f"{what} failed: {telling_line(stream.read())} (all of it: {log})")


def ask(slot: Slot, code: str, environ: Mapping[str, str]) -> str:
    """Return what the environment's interpreter prints for `code`."""
    command = [str(slot.python), "-c", code]
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{slot.python} failed: {telling_line(done.stderr)}")
    return done.stdout.strip()


# --- The steps


def make_venv(ros: Ros, slot: Slot, environ: Mapping[str, str]) -> str:
    """Make the virtual environment unless it is there and runs; return its digest."""
    stamp = slot.state / "venv"
    there = stamp.read_text() if stamp.is_file() else ""
    usable = slot.python.exists() and there.startswith(f"{slot.venv} ")
    wanted = environ.get("PYTHON") if ros.kind == "wheels" else None
    if usable and wanted:
        probed = probe_python(wanted)
        usable = probed is not None and there.endswith(" {}.{}".format(*probed[0]))
    if usable:
        return digest_of(there)
    python, version = find_python({"PYTHON": ros.python} if ros.python else environ)
    check_compiler(environ)
    digest = "{} {}.{}".format(slot.venv, *version)
    say(f"making {slot.venv.name} for ROS 2 {ros.distro} ({ros.kind}) with {python}")
    with stamped(slot, "venv", digest):
        for path in slot.venv.iterdir():
            if path != slot.state:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for folder in (slot.build, slot.install):
            shutil.rmtree(folder, ignore_errors=True)
        options = ["--system-site-packages"] if ros.kind == "installed" else []
        plain = build_environ(ros, slot, environ)
        command = [python, "-m", "venv", *options, str(slot.venv)]
        run_logged("making the virtual environment", command, plain, slot.log / "setup" / "pip.log")
    return digest_of(digest)


def requirement_files(ros: Ros) -> List[str]:
    """Return the requirement files to install, as paths in the repository."""
    names = ["build", "runtime", "backends", "develop", "benchmarks"]
    if ros.kind == "wheels":
        names.insert(0, f"ros-{ros.distro}")
    return [f"requirements/{name}.txt" for name in names]


def install_packages(ros: Ros, slot: Slot, environ: Mapping[str, str], venv_digest: str) -> str:
    """Install the Python packages, the ROS 2 wheels among them; return the step's digest."""
    files = requirement_files(ros)
    contents = digest_of_files(REPOSITORY, [*files, "tools/setup_environment.py"])
    digest = digest_of(venv_digest, contents, *sourced_key(ros, environ))
    if is_done(slot, "packages", digest):
        return digest
    what = "the Python packages" + (" and ROS 2 wheels" if ros.kind == "wheels" else "")
    say(f"installing {what}; this takes a minute or more")
    begin = time.monotonic()
    environ = build_environ(ros, slot, environ)
    log = slot.log / "setup" / "pip.log"
    with stamped(slot, "packages", digest):
        constraints = link_installation(ros, slot, environ) if ros.kind == "installed" else []
        arguments = [argument for file in files for argument in ("-r", file)]
        run_logged("pip", [*pip(slot), "install", *constraints, *arguments], environ, log)
        ensure_opencv(slot, environ, log)
        if ros.kind == "wheels":
            rewrite_baked_paths(slot, environ)
    say(f"packages installed ({time.monotonic() - begin:.0f} s)")
    return digest


def sourced_key(ros: Ros, environ: Mapping[str, str]) -> List[str]:
    """Return what tells one sourced installation from another; nothing for wheels."""
    if ros.kind == "wheels":
        return []
    return [ros.python or "", *(str(prefix) for prefix in sourced_prefixes(environ))]


def pip(slot: Slot) -> List[str]:
    """Return the beginning of a pip command."""
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    return [str(slot.python), "-m", "pip", *quiet]


def link_installation(ros: Ros, slot: Slot, environ: Mapping[str, str]) -> List[str]:
    """Let the environment see the sourced installation; return pip's constraints.

    NumPy stays the installation's: its message modules are compiled against it.
    """
    python = str(ros.python)
    code = "import os, rclpy; print(os.path.dirname(os.path.dirname(rclpy.__file__)))"
    command = [python, "-c", code]
    found = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=True)
    if not can_import(str(slot.python), "rclpy"):
        pth = slot.site_packages(slot.venv) / "ros_installation.pth"
        pth.write_text(f"{found.stdout.strip()}\n")
    command = [python, "-c", "import numpy; print(numpy.__version__)"]
    numpy = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    if numpy.returncode:
        return []
    constraints = slot.state / "constraints.txt"
    constraints.write_text(f"numpy=={numpy.stdout.strip()}\n")
    return ["-c", str(constraints)]


def ensure_opencv(slot: Slot, environ: Mapping[str, str], log: Path) -> None:
    """Take OpenCV without windows where the machine lacks what windows need."""
    command = [str(slot.python), "-c", "import cv2"]
    first = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    if first.returncode == 0:
        return
    reason = telling_line(first.stderr.split("Traceback")[-1].split("\n")[-2])
    say(f"opencv-python does not load ({reason}): using opencv-python-headless, without windows")
    requirement = next(
        line.replace("opencv-python", "opencv-python-headless")
        for line in (REPOSITORY / "requirements" / "runtime.txt").read_text().splitlines()
        if line.startswith("opencv-python")
    )
    # Both own the folder cv2: the one must be gone before the other is written.
    run_logged("pip", [*pip(slot), "uninstall", "-y", "opencv-python"], environ, log)
    again = ["install", "--force-reinstall", "--no-deps", requirement]
    run_logged("pip", [*pip(slot), *again], environ, log)
    ask(slot, "import cv2", environ)


def with_paths(text: str, include: str, numpy_include: str, site_packages: str) -> str:
    """Return CMake text of a ROS 2 wheel with this machine's paths for those of its builder."""
    builder = r"/opt/python/cp3\d+-cp3\d+"
    packages = builder + r"/lib/python3\.\d+/site-packages"
    for pattern, path in (
        (builder + r"/include/python3\.\d+", include),
        (packages + r"/numpy/(?:_core|core)/include", numpy_include),
        (packages, site_packages),
    ):
        text = re.sub(pattern, lambda _, path=path: path, text)  # type: ignore[misc]
    return text


def rewrite_baked_paths(slot: Slot, environ: Mapping[str, str]) -> None:
    """Put this machine's paths into the CMake files of the wheels."""
    code = (
        "import numpy, sysconfig; print(sysconfig.get_path('include'), numpy.get_include(), "
        "sysconfig.get_path('purelib'), sep='\\n')"
    )
    include, numpy_include, site_packages = ask(slot, code, environ).splitlines()
    for path in (slot.venv / "share").glob("*/cmake/*.cmake"):
        old = path.read_text()
        new = with_paths(old, include, numpy_include, site_packages)
        if new != old:
            write_whole(path, new)


def colcon(slot: Slot, base: str, environ: Mapping[str, str], cmake: Sequence[str]) -> None:
    """Build the package in folder `base` of the repository."""
    command = [str(slot.python), "-m", "colcon", "--log-base", str(slot.log), "build"]
    command += ["--merge-install", "--build-base", str(slot.build)]
    command += ["--install-base", str(slot.install), "--base-paths", base]
    command += ["--event-handlers", "console_direct+", "console_start_end-"]
    log = slot.log / "setup" / "colcon.log"
    run_logged("colcon build", [*command, *cmake], environ, log)


def build_messages(ros: Ros, slot: Slot, environ: Mapping[str, str], packages: str) -> None:
    """Build siammask_msgs if it or what it is built with changed."""
    digest = digest_of(packages, digest_of_files(REPOSITORY, MESSAGES_SOURCES))
    if is_done(slot, "messages", digest) and (slot.install / "share" / "siammask_msgs").is_dir():
        return
    check_compiler(environ)
    say("building siammask_msgs")
    begin = time.monotonic()
    with stamped(slot, "messages", digest):
        # CMake remembers what it found: another set of packages, another cache.
        shutil.rmtree(slot.build / "siammask_msgs", ignore_errors=True)
        options = ["-G", "Ninja", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={slot.python}"]
        environ = build_environ(ros, slot, environ)
        colcon(slot, "siammask_msgs", environ, ["--cmake-args", *options])
    say(f"siammask_msgs built ({time.monotonic() - begin:.0f} s)")


def build_package(ros: Ros, slot: Slot, environ: Mapping[str, str], packages: str) -> None:
    """Install siammask_ros again if anything of it changed."""
    digest = digest_of(packages, digest_of_files(REPOSITORY, PACKAGE_SOURCES))
    if is_done(slot, "package", digest) and (slot.install / "share" / "siammask_ros").is_dir():
        return
    say("building siammask_ros")
    begin = time.monotonic()
    with stamped(slot, "package", digest):
        # What is gone from the sources must go from the installation too.
        modules = slot.site_packages(slot.install)
        stale = [slot.build / "siammask_ros", *modules.glob("siammask_ros*")]
        for folder in [
            *stale,
            *(slot.install / part / "siammask_ros" for part in ("share", "lib")),
        ]:
            shutil.rmtree(folder, ignore_errors=True)
        colcon(slot, ".", build_environ(ros, slot, environ), [])
        link_into_venv(ros, slot)
    say(f"siammask_ros built ({time.monotonic() - begin:.0f} s)")


def link_into_venv(ros: Ros, slot: Slot) -> None:
    """Let the environment's `python` and the command `siammask` work without sourcing anything."""
    site_packages = slot.site_packages(slot.venv)
    installed = slot.site_packages(slot.install)
    write_whole(site_packages / "siammask_ros_install.pth", f"{installed}\n")
    if ros.kind == "wheels":
        # The wheels look for libraries in folders of such a name.
        libraries = site_packages / "ros_siammask_msgs.libs"
        libraries.unlink(missing_ok=True)
        libraries.symlink_to(slot.install / "lib")
    command = slot.venv / "bin" / "siammask"
    code = "import sys; sys.argv[0] = 'siammask'; from siammask_ros.cli import main; main()"
    script = REPOSITORY / "tools" / "env.sh"
    write_whole(
        command,
        f"#!/bin/sh\nexec bash {shlex.quote(str(script))} "
        f'{shlex.quote(str(slot.python))} -c {shlex.quote(code)} "$@"\n',
    )
    command.chmod(0o755)


def setup(environ: Mapping[str, str]) -> Tuple[Ros, Slot]:
    """Bring the environment up to date; return what it is."""
    begin = time.monotonic()
    ros = find_ros(environ)
    slot = find_slot(ros)
    with locked(slot):
        write_whole(slot.state / "key", f"{ros.key}\n")
        venv_digest = make_venv(ros, slot, environ)
        packages = install_packages(ros, slot, environ, venv_digest)
        build_messages(ros, slot, environ, packages)
        build_package(ros, slot, environ, packages)
    say(
        f"ROS 2 {ros.distro} ({ros.kind}) ready in {slot.venv.name} and {slot.install.name} "
        f"({time.monotonic() - begin:.1f} s)"
    )
    return ros, slot


# --- Commands


def existing(environ: Mapping[str, str]) -> Tuple[Ros, Slot]:
    """Return the environment that is set up; raise SetupError if there is none."""
    ros = find_ros(environ)
    slot = find_slot(ros)
    if not (slot.state / "messages").is_file():
        raise SetupError(f"no environment for ROS 2 {ros.distro} ({ros.kind}) yet: run make setup")
    return ros, slot


def print_environment(environ: Mapping[str, str]) -> None:
    """Print the shell commands that enter the environment."""
    for name, value in environment(*existing(environ), environ).items():
        line = f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
        print(line)


def run(command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by a command in the environment."""
    variables = merged(environ, environment(*existing(environ), environ))
    try:
        os.execvpe(command[0], list(command), variables)
    except OSError as error:
        raise SetupError(f"{command[0]} does not run: {error.strerror}") from error


def remove(names: Iterable[str]) -> None:
    """Remove the folders whose name is one of `names`, or that and a suffix."""
    for name in names:
        for path in [REPOSITORY / name, *REPOSITORY.glob(f"{name}-*")]:
            ours = not name.startswith(".venv") or (path / ".setup").is_dir()
            if path.is_dir() and ours:
                shutil.rmtree(path)
                say(f"removed {path.name}")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="make the environment, or bring it up to date")
    commands.add_parser("environment", help="print shell commands that enter it")
    runner = commands.add_parser("run", help="run a command in it")
    runner.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    commands.add_parser("clean", help="remove the colcon output")
    commands.add_parser("distclean", help="remove the environments too")
    options = parser.parse_args(arguments)
    if options.command == "run" and not options.words:
        parser.error("run: which command?")
    try:
        if options.command == "setup":
            setup(os.environ)
        elif options.command == "environment":
            print_environment(os.environ)
        elif options.command == "run":
            run(options.words, os.environ)
        else:
            remove(["install", "build", "log"])
            if options.command == "distclean":
                remove([".venv"])
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
