"""
Ten thousand golden vectors in files of a hundred, against as many bare custom pytest items.

    python benchmarks/bench_vectors.py [--files 100] [--rounds 3] [--check]

Every run is a process of its own with no other plugin; contenders take turns, CPU seconds and peak memory are compared.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from common import report
from idle_plugin import measure_idle
from vector_repo import PER_FILE, build, drift

VECTORS = ("-p", "lumyn", "--lumyn-vectors", "vectors")
BARE = ("bare",)
ALL_SHOWN = "--lumyn-max-diffs=1000000"
"""Of many drifts the first that arrive are shown, and workers are not in order."""


@dataclass(frozen=True)
class Usage:
    """What one run took."""

    cpu_s: float
    memory_mb: float
    lines: int
    code: int


def run(folder: Path, arguments: tuple[str, ...], *, options: tuple[str, ...] = ()) -> tuple[Usage, list[str]]:
    """Run pytest in `folder` and return what it took and printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CI"))}
    environment |= {"XDG_CACHE_HOME": str(folder / "home"), "COLUMNS": "100"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "GITHUB_ACTIONS"):
        environment.pop(name, None)
    printed = folder / "printed.txt"
    with printed.open("wb") as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", *options, *arguments], cwd=folder, env=environment, stdout=stream
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    lines = printed.read_text(encoding="utf-8").splitlines()
    cpu_s = used.ru_utime + used.ru_stime
    return Usage(cpu_s, used.ru_maxrss / 1024, len(lines), child.returncode), lines


def forget(folder: Path) -> None:
    """Take away what an earlier run kept."""
    shutil.rmtree(folder / ".pytest_cache", ignore_errors=True)


def median(runs: list[Usage]) -> float:
    """Return the median of the CPU seconds."""
    return statistics.median(each.cpu_s for each in runs)


def without_times(lines: list[str]) -> list[str]:
    """Return what must not differ from run to run."""
    return sorted(line.partition(" in ")[0] for line in lines if line.startswith(("FAILED", "=")) or " passed" in line)


def main() -> int:
    parser = argparse.ArgumentParser(description="vectors against bare items")
    parser.add_argument("--files", type=int, default=100, help="files of a hundred vectors, 100 unless told")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions, 3 unless told")
    parser.add_argument("--idle", type=int, default=200, help="pairs of runs with the idle plugin, 200 unless told")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lumyn-bench-") as name:
        folder = Path(name)
        build(folder, options.files)
        return measure(folder, options)


def measure(folder: Path, options: argparse.Namespace) -> int:
    """Take turns, print what came of it, and return the exit code."""
    idle = measure_idle(folder, options.idle)
    runs: dict[str, list[Usage]] = {"bare": [], "cold": [], "warm": [], "drift": []}
    for _ in range(options.rounds):
        runs["bare"].append(run(folder, BARE)[0])
        forget(folder)
        runs["cold"].append(run(folder, VECTORS)[0])
        runs["warm"].append(run(folder, VECTORS)[0])
    _, alone = run(folder, VECTORS, options=(ALL_SHOWN,))
    _, spread = run(folder, VECTORS, options=(ALL_SHOWN, "-p", "xdist", "-n2"))
    drifting = max(1, options.files // 5)
    drift(folder, drifting)
    for _ in range(options.rounds):
        forget(folder)
        runs["drift"].append(run(folder, VECTORS)[0])
    _, drift_alone = run(folder, VECTORS, options=(ALL_SHOWN,))
    _, drift_spread = run(folder, VECTORS, options=(ALL_SHOWN, "-p", "xdist", "-n2"))
    count = options.files * PER_FILE
    for kind, taken in runs.items():
        peak = max(each.memory_mb for each in taken)
        print(f"{kind:6}{median(taken):8.2f} s CPU {median(taken) / count * 1e3:7.3f} ms an item {peak:7.0f} MB")
    page = max(each.lines for each in runs["drift"])
    print(f"{drifting * PER_FILE} drifts print {page} lines")
    fine = all(each.code == 0 for kind in ("bare", "cold", "warm") for each in runs[kind])
    bare = median(runs["bare"])
    differing = (without_times(alone) != without_times(spread)) + (
        without_times(drift_alone) != without_times(drift_spread)
    )
    memory = {kind: max(each.memory_mb for each in taken) for kind, taken in runs.items()}
    cold, warm, drifts = (median(runs[kind]) for kind in ("cold", "warm", "drift"))
    met = [
        report("vectors, kept from an earlier run / bare items", warm / bare, 2.0),
        report("vectors, read for the first time / bare items", cold / bare, 10),
        report("CPU ms of the plugin that nobody asks", idle, 2.0),
        report("peak memory", max(memory["warm"], memory["cold"]) / memory["bare"], 2.0),
        report("drifts / the run that passes, both read for the first time", drifts / cold, 3.0),
        report("runs with two workers that differ", differing, 0),
        report("runs that should pass and do not", not fine, 0),
    ]
    return 1 if options.check and not all(met) else 0


if __name__ == "__main__":
    raise SystemExit(main())
