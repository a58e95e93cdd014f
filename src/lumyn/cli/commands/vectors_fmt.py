"""`lumyn vectors fmt`: one layout for vector files. Changes how they look, never what they say."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lumyn.cli.console import Console, counted_noun
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config
from lumyn.errors import InvalidVectorError, Problem

if TYPE_CHECKING:
    from lumyn.documents import Document

__all__ = ["fmt"]


@dataclass(frozen=True, slots=True)
class _File:
    """One file: its document and the text it should have, or why it has to stay as it is."""

    name: str
    path: Path
    document: Document | None = None
    text: str = ""
    problem: str = ""

    @property
    def state(self) -> str:
        if self.problem:
            return "refused"
        return "changed" if self.document is not None and self.document.text != self.text else "ok"


def fmt(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Vector files or folders; default vectors/ and every *.lumyn.yml.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; print what would change, and exit 1 if anything would.")
    ] = False,
    json: JsonFlag = False,
) -> int:
    """
    Put vector files into one layout; comments, quoting, order and meaning stay.

    Exits 3 when a file cannot be laid out, and with --check 1 when one would change.

    JSON (`lumyn.cli.vectors_fmt.v0`): `files`, each with `file`, `state` (`ok`, `changed`, `refused`), `problem`.
    """
    root = find_config(context.obj).folder
    files = [_laid_out(path, root) for path in _found(root, paths)]
    if not check:
        files = [_written(file, root) for file in files]
    console = Console()
    if json:
        data = [{"file": file.name, "state": file.state, "problem": file.problem} for file in files]
        console.json("vectors_fmt", {"files": data})
    else:
        _print(console, files, check=check)
    if any(file.state == "refused" for file in files):
        return ExitCode.INVALID
    return ExitCode.FAILED if check and any(file.state == "changed" for file in files) else ExitCode.OK


def _found(root: Path, paths: list[str] | None) -> list[Path]:
    """Return the files that are named, and for folders those in them and the defaults that apply, sorted."""
    from lumyn.vectors.discovery import DEFAULT_PATTERNS, discover

    named = [Path(path).absolute() for path in paths or ()]
    try:
        files = [path for path in named if path.is_file()]
        patterns = [str(path) for path in named if path not in files] if named else list(DEFAULT_PATTERNS)
        found = discover(root, patterns) if patterns else []
    except OSError as error:  # such as a name too long for the file system
        message = f"cannot search for vectors: {(error.strerror or 'i/o error').lower()}"
        raise InvalidVectorError([Problem(code="PATH_NOT_READABLE", message=message)]) from None
    return sorted({*files, *found, *(each for path in found for each in _defaults(path, root))})


def _defaults(path: Path, root: Path) -> Iterator[Path]:
    folder = path.parent
    while folder.is_relative_to(root):
        yield from (each for each in folder.glob("_defaults.*") if each.suffix in {".yaml", ".yml", ".json"})
        folder = folder.parent


def _laid_out(path: Path, root: Path) -> _File:
    from lumyn.documents.layout import LayoutRefusedError, laid_out
    from lumyn.vectors.format import SCHEMA_VERSION
    from lumyn.vectors.rewrite import FileRefusedError, read_document
    from lumyn.vectors.sources import LIMITS, display_name

    name = display_name(path, root)
    try:
        document = read_document(Path(os.path.abspath(path)), name, root)
        value = document.value
        if not isinstance(value, dict) or value.get("schema_version") != SCHEMA_VERSION:
            return _File(name, path, document, document.text)
        return _File(name, path, document, laid_out(document, limits=LIMITS))
    except (FileRefusedError, LayoutRefusedError) as error:
        return _File(name, path, problem=str(error))


def _written(file: _File, root: Path) -> _File:
    from lumyn.vectors.rewrite import FileRefusedError, replace_text

    if file.state != "changed" or file.document is None:
        return file
    try:
        replace_text(Path(os.path.abspath(file.path)), file.document, file.text, root=root)
    except FileRefusedError as error:
        return _File(file.name, file.path, problem=str(error))
    return file


def _print(console: Console, files: list[_File], *, check: bool) -> None:
    changed = [file for file in files if file.state == "changed"]
    refused = [file for file in files if file.state == "refused"]
    for file in refused:
        console.line(("error", "red"), f": {file.name}: {file.problem}", hang=2)
    for file in changed:
        if check and file.document is not None:
            _print_diff(console, file.name, file.document.text, file.text)
        else:
            console.line(file.name)
    verb = "would change" if check else "changed"
    told = f"{verb} {counted_noun(len(changed), 'file')} of {len(files)}"
    console.line((told, "bold red" if refused or (check and changed) else "bold green"))


def _print_diff(console: Console, name: str, before: str, after: str) -> None:
    styles = {"+": "green", "-": "red", "@": "cyan"}
    old, new = before.splitlines(), after.splitlines()
    for line in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=2, lineterm=""):
        console.line((line, styles.get(line[:1], "")))
    if old == new:
        console.line(f"{name}: only its line ends would change, to one kind of them", hang=2)
