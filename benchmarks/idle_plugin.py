"""
What the plugin costs a run of one test that asks for no vectors, found by its entry point as pytest finds plugins.

    python benchmarks/idle_plugin.py [--pairs 200]

The plugin takes a thirtieth of what starting Python and pytest takes, and whole processes differ by more than that from
one run to the next. So pytest is imported once, and each run is a fork of that process which runs `pytest.main` and
tells its CPU time: all that the plugin needs is still read and imported anew, all that pytest needs is there. Runs with
and without it (`-p no:lumyn`) take turns. Medians of 200 differences lay within 0.4 ms of one another on a busy
machine, and within 0.1 ms on a quieter one.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.metadata
import os
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path

import pytest

__all__ = ["measure_idle"]

WITHOUT = ("-p", "no:lumyn")
WITH = ()
_ANSWER = struct.Struct("d")


def measure_idle(folder: Path, pairs: int) -> float:
    """Return the CPU milliseconds that the idle plugin takes, and print their spread; `folder` holds `alone`."""
    before = Path.cwd(), dict(os.environ), sys.dont_write_bytecode
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "CI"))]:
        del os.environ[name]
    sys.dont_write_bytecode = False
    os.chdir(folder)
    try:
        _pytest(WITHOUT)  # what pytest imports late is there from here on
        _in_a_fork(WITH)  # and the byte code of the plugin
        if any(name.partition(".")[0] == "pytest_lumyn" for name in sys.modules):
            raise SystemExit("the plugin is loaded already, so that its import cannot be measured")
        gc.collect()
        gc.freeze()
        taken = [_pair(number) for number in range(pairs)]
    finally:
        os.chdir(before[0])
        os.environ.update(before[1])
        sys.dont_write_bytecode = before[2]
    low, middle, high = statistics.quantiles([beside - without for without, beside in taken], n=4)
    alone = statistics.median(without for without, _ in taken)
    print(f"idle  {middle:8.2f} ms CPU (quartiles {low:.2f} to {high:.2f}) beside {alone:.1f} ms of pytest")
    print(f"      {listing_ms():8.2f} ms to list the {listed()} files of this installation, which pytest does first")
    return middle


def listed() -> int:
    """Return how many files the installed distribution names: few when it is editable."""
    return len(importlib.metadata.distribution("lumyn").files or [])


def listing_ms() -> float:
    """
    Return the CPU milliseconds of listing the files of the distribution, median of many.

    pytest does so for each distribution that holds a plugin, loaded or not (`_mark_plugins_for_rewrite`), so that this
    is no part of the difference above: it comes on top of it where Lumyn is installed from a wheel.
    """
    times = []
    for _ in range(21):
        began = time.process_time()
        listed()
        times.append(time.process_time() - began)
    return statistics.median(times) * 1e3


def _pair(number: int) -> tuple[float, float]:
    if number % 2:
        return _in_a_fork(WITHOUT), _in_a_fork(WITH)
    beside = _in_a_fork(WITH)
    return _in_a_fork(WITHOUT), beside


def _in_a_fork(options: tuple[str, ...]) -> float:
    """Return the CPU milliseconds of one run in a copy of this process; raises SystemExit when the test fails."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        began = time.process_time()
        code = _pytest(options)
        os.write(sink, _ANSWER.pack((time.process_time() - began) * 1e3))
        os._exit(code)
    os.close(sink)
    answer = os.read(source, _ANSWER.size)
    os.close(source)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise SystemExit(f"pytest {' '.join(options)} alone: failed")
    (taken,) = _ANSWER.unpack(answer)
    return float(taken)


def _pytest(options: tuple[str, ...]) -> int:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        return int(pytest.main([*options, "-p", "no:cacheprovider", "alone"]))


def main() -> int:
    parser = argparse.ArgumentParser(description="the plugin that nobody asks")
    parser.add_argument("--pairs", type=int, default=200, help="pairs of runs, 200 unless told")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lumyn-bench-") as name:
        folder = Path(name)
        (folder / "alone").mkdir()
        (folder / "alone" / "test_alone.py").write_text("def test_alone():\n    pass\n", encoding="utf-8")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        measure_idle(folder, options.pairs)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
