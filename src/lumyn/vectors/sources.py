"""
Reads the files a suite is made of: the vector file, `_defaults` above it, policies and golden records it names.
Parsed policies and defaults are kept by content; must not know what a vector means.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Final, Protocol

from lumyn.documents import Document, Limits, load, read_bytes
from lumyn.documents.document import DEFAULT_LIMITS
from lumyn.errors import InvalidDocumentError, InvalidPolicyError, InvalidVectorError, Problem, Span
from lumyn.policy.checks import quoted
from lumyn.policy.loader import parse_policy, read_policy
from lumyn.policy.spec import Policy
from lumyn.vectors.discovery import SUFFIXES
from lumyn.vectors.findings import Findings

__all__ = ["LIMITS", "Parse", "Sources", "bytes_digest", "display_name"]

LIMITS: Final = Limits(max_bytes=8 * 1024 * 1024, max_depth=32)
"""How large a vector file may be; thousands of vectors belong into several files."""

_DEFAULTS: Final = tuple(f"_defaults{suffix}" for suffix in SUFFIXES)
_KEPT: Final = 64


class Parse(Protocol):
    """Turns the bytes of a vector file into a document; a cache can stand here."""

    def __hash__(self) -> int: ...

    def __call__(self, data: bytes, *, file: str, error: type[InvalidDocumentError], limits: Limits) -> Document: ...


def display_name(path: Path, root: Path) -> str:
    """Return the name of a file in messages: relative to the root where it lies below, with forward slashes."""
    absolute, base = Path(os.path.abspath(path)), Path(os.path.abspath(root))
    return (absolute.relative_to(base) if absolute.is_relative_to(base) else absolute).as_posix()


def bytes_digest(data: bytes) -> str:
    """Return `sha256:` + hex of the content of a file."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Sources:
    """
    The files below one suite root.

    Args:
        root: Nothing outside it is read.
        parse: Parses vector files, `_defaults` files and policies.

    Attributes:
        inputs: Files that were asked for, by their name in messages -> `sha256:` + hex of their bytes, or nothing where
            they could not be read.
    """

    def __init__(self, root: Path, parse: Parse = load) -> None:
        self.root = Path(os.path.abspath(root))
        self._parse = parse
        self._policies: dict[str, Policy | InvalidDocumentError] = {}
        self.inputs: dict[str, str] = {}

    def read(self, path: Path) -> bytes:
        """
        Return the content of a file below the root.

        Raises:
            InvalidVectorError: `PATH_OUTSIDE_ROOT`, `PATH_NOT_FOUND`, `PATH_NOT_FILE` or another problem of the path.
        """
        return self._read(path, error=InvalidVectorError, limits=LIMITS)

    def parse(self, data: bytes, *, file: str) -> Document:
        """
        Return the document in `data`.

        Raises:
            InvalidVectorError: It is not strict YAML or JSON, as the suffix of `file` says.
        """
        return self._parse(data, file=file, error=InvalidVectorError, limits=LIMITS)

    def defaults(self, path: Path) -> list[Document]:
        """
        Return the `_defaults` files that apply to the vector file at `path`, nearest first; may be empty.

        Raises:
            InvalidVectorError: One of them cannot be read, or a folder holds two.
        """
        return [
            _parse_defaults(self._parse, self.read(found), display_name(found, self.root))
            for found in self._defaults_files(path)
        ]

    def policy(self, name: str, span: Span, findings: Findings) -> Policy | None:
        """
        Return the policy that a vector names, relative to the root.

        Args:
            span: Where it is named.
            findings: Receives the problems of the name and of the policy.
        """
        found = self._policies.get(name)
        if found is None:
            found = self._policies[name] = self._load_policy(name)
        if isinstance(found, Policy):
            return found
        for problem in found.problems:
            if problem.span is None:
                message = f"policy {quoted(name)} cannot be used: {problem.message}"
                findings.add(problem.code, message, span, hint=problem.hint)
            else:
                findings.problems.append(problem)
        return None

    def golden(self, name: str, span: Span, findings: Findings) -> Document | None:
        """Return the document in a golden record's file, relative to the root, or None after recording a problem."""
        try:
            return load(self.read(self.root / name), file=name, error=InvalidVectorError, limits=LIMITS)
        except InvalidVectorError as error:
            for problem in error.problems:
                if problem.span is None:
                    findings.add(problem.code, problem.message, span, hint=problem.hint)
                else:
                    findings.problems.append(problem)
            return None

    def _read(self, path: Path, *, error: type[InvalidDocumentError], limits: Limits = DEFAULT_LIMITS) -> bytes:
        name = display_name(path, self.root)
        self.inputs[name] = ""
        data = read_bytes(path, error=error, limits=limits, root=self.root)
        self.inputs[name] = bytes_digest(data)
        return data

    def _load_policy(self, name: str) -> Policy | InvalidDocumentError:
        path = self.root / name
        try:
            data = self._read(path, error=InvalidPolicyError)
            return _parse_policy(self._parse, data, display_name(path, self.root))
        except InvalidPolicyError as error:
            return error

    def policy_at(self, name: str) -> Policy:
        """
        Return the policy that a vector names, as `policy` does.

        Raises:
            InvalidPolicyError: It cannot be used.
        """
        found = self._policies.get(name)
        if found is None:
            found = self._policies[name] = self._load_policy(name)
        if isinstance(found, InvalidDocumentError):
            raise found
        return found

    def defaults_names(self, path: Path) -> list[str]:
        """
        Return the names of the `_defaults` files that apply to the vector file at `path`, nearest first.

        Raises:
            InvalidVectorError: A folder holds two.
        """
        return [display_name(found, self.root) for found in self._defaults_files(path)]

    def _defaults_files(self, path: Path) -> Iterator[Path]:
        folder = Path(os.path.abspath(path)).parent
        while folder.is_relative_to(self.root):
            found = [folder / name for name in _DEFAULTS if os.path.lexists(folder / name)]
            if len(found) > 1:
                names = " and ".join(quoted(display_name(each, self.root)) for each in found)
                message = f"two defaults in one folder: {names}"
                raise InvalidVectorError([Problem(code="DEFAULTS_AMBIGUOUS", message=message, hint="keep one")])
            yield from found
            folder = folder.parent


@lru_cache(maxsize=_KEPT)
def _parse_defaults(parse: Parse, data: bytes, file: str) -> Document:
    return parse(data, file=file, error=InvalidVectorError, limits=LIMITS)


@lru_cache(maxsize=_KEPT)
def _parse_policy(parse: Parse, data: bytes, file: str) -> Policy:
    if not PurePath(file).suffix:
        return parse_policy(data, file=file)
    return read_policy(parse(data, file=file, error=InvalidPolicyError, limits=DEFAULT_LIMITS))
