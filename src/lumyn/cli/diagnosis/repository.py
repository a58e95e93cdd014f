"""
Whether the repository around a workspace keeps the store out, runs the vectors, and helps editors.
Must not know what the files it looks for mean beyond that.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lumyn.cli.commands.init import SCHEMA_FOLDER, SCHEMAS, UNKNOWN_SOURCE
from lumyn.cli.diagnosis.finding import Finding, Repair, ok, problem, warning
from lumyn.cli.diagnosis.paths import repository_of, shown
from lumyn.cli.files import replace_file, write_file
from lumyn.cli.workspace import WORKSPACE_FOLDER, is_file
from lumyn.config import Config

__all__ = ["repository"]

_SQLITE: Final = "sqlite:///"
_CI_FILES: Final = (
    ".github/workflows/*.yml",
    ".github/workflows/*.yaml",
    ".gitlab-ci.yml",
    ".circleci/config.yml",
    ".buildkite/*.yml",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    "Jenkinsfile",
)
_INI_FILES: Final = (
    "pyproject.toml",
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "tox.ini",
    "setup.cfg",
)
_GIT_TIMEOUT_S: Final = 5.0
_MAX_BYTES: Final = 1_048_576


def repository(config: Config) -> Iterator[Finding]:
    """Yield what there is to say about the files around a workspace."""
    path = Path(config.store.url.removeprefix(_SQLITE))
    if config.store.url.startswith(_SQLITE) and path.is_absolute() and path.parent.is_dir():
        yield _ignored(path)
    if config.file is not None:
        yield _workflow(config.folder)
        yield from _schemas(config.folder / SCHEMA_FOLDER)


def _ignored(path: Path) -> Finding:
    """Return whether git leaves the store alone: it holds what people asked for and changes with each decision."""
    folder = path.parent
    own = folder / ".gitignore"
    # Only a folder that is Lumyn's own is kept out of git as a whole.
    repair = _ignore(own) if folder.name == WORKSPACE_FOLDER else None
    hint = "`lumyn doctor --fix` ignores the folder" if repair else f"add {path.name}* to .gitignore"
    top = repository_of(folder)
    if top is None:
        if is_file(own):
            return ok("git", f"no repository here; {shown(own)} is there for when it is one")
        return ok("git", "no repository here") if repair is None else _unignored(path, hint, repair)
    answer = _git(top, "ls-files", "--", str(path))
    if answer is not None and answer.stdout.strip():
        hint = f"`git rm --cached {shown(path)}`, and think about what its history holds"
        return problem("git", f"{shown(path)} is tracked by git", code="STORE_NOT_IGNORED", hint=hint)
    checked = _git(top, "check-ignore", "-q", "--", str(path))
    if checked.returncode == 0 if checked is not None else is_file(own):
        return ok("git", f"{shown(path)} is ignored")
    return _unignored(path, hint, repair)


def _unignored(path: Path, hint: str, repair: Repair | None) -> Finding:
    message = f"nothing keeps {shown(path)} out of git"
    return warning("git", message, code="STORE_NOT_IGNORED", hint=hint, repair=repair)


def _ignore(file: Path) -> Repair:
    def repair() -> str:
        write_file(file, "*\n")
        return f"wrote {shown(file)}"

    return repair


def _git(top: Path, *arguments: str) -> subprocess.CompletedProcess[bytes] | None:
    """Return what git says, or None without git. Nothing that a repository configures is run."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(top), "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GIT_TIMEOUT_S, check=False)  # noqa: S603 - no shell
    except (OSError, subprocess.TimeoutExpired):
        return None
    # 128: git would not look, such as into a repository of another user.
    return None if done.returncode >= 128 else done


def _workflow(folder: Path) -> Finding:
    top = repository_of(folder) or folder
    files = [file for pattern in _CI_FILES for file in sorted(top.glob(pattern)) if is_file(file)]
    texts = {file: _read(file) for file in files}
    by_default = any("lumyn_vectors" in _read(top / name) for name in _INI_FILES)
    for file, text in texts.items():
        if UNKNOWN_SOURCE in text:
            message = f"{shown(file)} installs from {UNKNOWN_SOURCE}"
            return warning("ci", message, code="CI_INCOMPLETE", hint="put in where you install lumyn from")
    for file, text in texts.items():
        if "lumyn-vectors" in text or "lumyn vectors run" in text or (by_default and "pytest" in text):
            return ok("ci", f"{shown(file)} runs the vectors")
    if texts:
        hint = "run `pytest --lumyn-vectors` in one of them"
        return warning("ci", "no workflow runs the vectors", code="CI_MISSING", hint=hint)
    hint = "`lumyn init` writes one for GitHub"
    return warning("ci", "no workflow found: drift would be noticed only by hand", code="CI_MISSING", hint=hint)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _schemas(folder: Path) -> Iterator[Finding]:
    """Yield whether the schemas that editors read are those of this version."""
    from lumyn import _resources

    present = [name for name in SCHEMAS if is_file(folder / name)]
    if not present:
        return
    ours = {name: _resources.schema_path(name).read_text(encoding="utf-8") for name in SCHEMAS}
    # Git may have written them with the line ends of its system.
    stale = [name for name in SCHEMAS if _read(folder / name).replace("\r\n", "\n") != ours[name]]
    if not stale:
        yield ok("schemas", f"{shown(folder)} is what this version checks")
        return

    def repair() -> str:
        for name in stale:
            replace_file(folder / name, ours[name])
        return f"brought {shown(folder)} up to date"

    message = f"{shown(folder)} differs from what this version checks, so editors and lumyn may disagree"
    yield warning("schemas", message, code="SCHEMAS_OUTDATED", hint="`lumyn doctor --fix` replaces them", repair=repair)
