# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Signals noted for a better moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from siammask_ros.interruption import Interruption

NUMBERS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def receive(number: int) -> None:
    os.kill(os.getpid(), number)


@NUMBERS
def test_a_signal_is_noted_and_let_through_when_asked_for(number):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        interruption.check()
        receive(number)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
    assert signal.getsignal(number) is before


@NUMBERS
def test_a_second_signal_ends_at_once(number):
    with Interruption() as interruption:
        receive(number)
        with pytest.raises(KeyboardInterrupt):
            receive(number)
    assert interruption.requested


def test_signals_within_the_patience_are_one():
    with Interruption(patience_s=60.0) as interruption:
        receive(signal.SIGTERM)
        receive(signal.SIGTERM)
    assert interruption.requested


def test_the_first_one_writes_a_notice_once(capfd):
    with Interruption("stopping", patience_s=60.0):
        receive(signal.SIGTERM)
        receive(signal.SIGTERM)
    assert capfd.readouterr().err == "\nstopping\n"


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None], ids=["ignored", "handled"])
def test_a_signal_with_a_meaning_keeps_it(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with Interruption() as interruption:
            assert signal.getsignal(signal.SIGINT) is handler
            receive(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert not interruption.requested


def test_other_threads_cannot_note_signals():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def enter() -> None:
        with Interruption():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_signal_at_a_fork_is_not_lost():
    # What a handler raises in a function that runs at a fork is printed and forgotten.
    code = """
import os, signal
from siammask_ros.interruption import Interruption
os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGTERM))
with Interruption() as interruption:
    if os.fork() == 0:
        os._exit(0)
    os.wait()
    try:
        interruption.check()
    except KeyboardInterrupt:
        print("let through")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("let through\n", "")
