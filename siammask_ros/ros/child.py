# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a module as a child process that ends when its parent does, however that ends.

python -m siammask_ros.ros.child PARENT MODULE [ARGUMENT ...]
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl option: the signal a process gets when its parent dies (Linux, <sys/prctl.h>)."""


def main() -> None:
    """Run a module in the place of this one; `PARENT` is the parent's process number."""
    parent, module = int(sys.argv[1]), sys.argv[2]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before it was asked for
        sys.exit(f"the parent, process {parent}, is gone")
    sys.argv[1:3] = []
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
