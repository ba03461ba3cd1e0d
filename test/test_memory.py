# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Freed memory stays with the process; the page faults of a process of its own say so."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from siammask_ros import memory

COUNT = """
import resource, sys, threading
from siammask_ros.memory import hold_freed_memory

if sys.argv[1] == "hold":
    assert hold_freed_memory()

def work():
    for _ in range(20):
        blocks = [b"x" * 9_000_000 for _ in range(3)]
        del blocks

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def run():
    work()
    before = faults()
    work()
    print(faults() - before)

thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def count_faults(mode):
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", COUNT, mode], capture_output=True, text=True, check=True, env=plain
    )
    return int(done.stdout)


@pytest.mark.skipif(not os.confstr_names.get("CS_GNU_LIBC_VERSION"), reason="needs glibc")
def test_freed_blocks_are_used_again():
    pages = 20 * 3 * 9_000_000 // 4096
    assert count_faults("plain") > pages / 2
    assert count_faults("hold") < pages / 20


def test_a_users_own_settings_are_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_TOP_PAD_", "0")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("malloc was touched"))
    assert not memory.hold_freed_memory()


@pytest.mark.parametrize("refusing", [True, False])
def test_other_c_libraries(monkeypatch, refusing):
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_"):
        monkeypatch.delenv(name, raising=False)
    library = SimpleNamespace(mallopt=lambda number, value: 0) if refusing else SimpleNamespace()
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: library)
    assert not memory.hold_freed_memory()
