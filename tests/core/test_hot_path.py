"""What a decision may not do once the gate is warm, and what importing the gate may not load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

POLICY = Path(__file__).parents[2] / "policies" / "lumyn-support.v0.yml"

SCRIPT = """
import copy, sys
sys.path.insert(0, {folder!r})
from conftest import refund
from lumyn import Gate
gate = Gate.open(policy={policy!r}, store={store!r}, create=True)
gate.decide(refund(request_id="first"))
events = []
sys.addaudithook(lambda event, args: events.append((event, str(args)[:80])) if event in
                 {{"open", "compile", "exec", "import", "sqlite3.connect"}} else None)
for number in range(50):
    gate.decide(refund(request_id=f"r{{number}}", action__amount__value=number))
print(events)
"""

IMPORTS = """
import sys
sys.path.insert(0, {folder!r})
from conftest import refund
from lumyn import Gate
gate = Gate.open(policy={policy!r}, store="sqlite:///:memory:", create=True)
gate.decide(refund())
print(sorted(name for name in ("rich", "typer", "deepdiff", "sqlite_utils", "fastapi", "jsonschema")
             if name in sys.modules))
"""


def run(script: str, tmp_path: Path) -> str:
    """Run a script in a fresh interpreter and return what it printed."""
    text = script.format(folder=str(Path(__file__).parent), policy=str(POLICY), store=str(tmp_path / "x.db"))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "" == done.stderr
    return done.stdout.strip()


def test_no_file_is_read_and_nothing_compiled_after_the_first_decision(tmp_path: Path) -> None:
    """Audit events tell: no open, compile, exec, import or connect in fifty decisions."""
    assert "[]" == run(SCRIPT, tmp_path)


def test_deciding_loads_no_heavy_library(tmp_path: Path) -> None:
    """Command line, diff and schema libraries stay out of a process that only decides."""
    assert "[]" == run(IMPORTS, tmp_path)
