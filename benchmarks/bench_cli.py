"""
What a command costs before it does anything: CPU of `lumyn`, as multiples of a bare interpreter.

    python benchmarks/bench_cli.py [--rounds 21] [--check]

User and system time of whole processes, each beside a bare `python -c pass` of the same round; byte code is there, as
pip leaves it. A command of Typer alone, without Lumyn, shows what the library costs.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from common import REFUND, arguments, interleaved, report

BARE = "python -c pass"
GOALS = {"lumyn --version": 4.0, "lumyn decide r.json": 12.0}
TYPER = (
    "import typer\napp = typer.Typer(pretty_exceptions_enable=False)\n"
    "app.command()(lambda: None)\napp([], standalone_mode=False)"
)


def main() -> int:
    options = arguments("the CPU a command line costs", rounds=21)
    with tempfile.TemporaryDirectory() as folder:
        commands = prepared(Path(folder))
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LUMYN_"))}
        environ["PYTHONPYCACHEPREFIX"] = str(Path(folder, "bytecode"))

        def run(command: list[str]) -> Callable[[int], object]:
            return lambda _: subprocess.run(command, cwd=folder, env=environ, capture_output=True, check=True)

        contenders = {name: run(command) for name, command in commands.items()}
        for contender in contenders.values():  # writes the byte code
            contender(0)
        times = interleaved(contenders, rounds=options.rounds, clock=cpu_of_children)
    met = True
    print(f"{'':24}{'CPU ms':>8}{'x bare':>8}")
    for name, seconds in times.items():
        print(f"{name:24}{statistics.median(seconds) * 1000:8.1f}{ratio(seconds, times[BARE]):8.2f}")
    for name, limit in GOALS.items():
        met &= report(f"{name} / {BARE}", ratio(times[name], times[BARE]), limit)
    return 1 if options.check and not met else 0


def prepared(folder: Path) -> dict[str, list[str]]:
    """Make a workspace with a request in `folder`, and return the commands by name."""
    script = Path(sys.executable).with_name("lumyn")
    lumyn = [str(script)] if script.exists() else [sys.executable, "-m", "lumyn"]
    subprocess.run([*lumyn, "init"], cwd=folder, capture_output=True, check=True)
    (folder / "r.json").write_text(json.dumps(REFUND), encoding="utf-8")
    return {
        BARE: [sys.executable, "-c", "pass"],
        "import ruamel.yaml": [sys.executable, "-c", "import ruamel.yaml"],
        "import typer": [sys.executable, "-c", "import typer"],
        "Typer, empty command": [sys.executable, "-c", TYPER],
        "lumyn --version": [*lumyn, "--version"],
        "lumyn --help": [*lumyn, "--help"],
        "lumyn decide r.json": [*lumyn, "decide", "r.json"],
        "lumyn show": [*lumyn, "show"],
        "lumyn demo --story": [*lumyn, "demo", "--story"],
    }


def ratio(seconds: list[float], bare: list[float]) -> float:
    """Return the median of what a command took beside the bare interpreter of the same round."""
    return statistics.median(mine / base for mine, base in zip(seconds, bare, strict=True))


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    raise SystemExit(main())
