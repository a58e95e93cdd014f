"""
Keeps on disk what reading vector files amounted to, for the next run, in pytest's cache.
Believes no entry that this user's Lumyn did not write on this machine; must not know what an entry says.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest

import lumyn
from lumyn import _resources
from lumyn._files import replace_file
from lumyn.documents import Document, Limits, load
from lumyn.documents.document import line_starts
from lumyn.errors import InvalidDocumentError

__all__ = ["Cache", "open_cache"]

_FOLDER: Final = "lumyn"
_KEY_BYTES: Final = 32
_MAC_LENGTH: Final = 64
_MOST_BYTES: Final = 64 * 1024 * 1024
_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_ROOT: Final = Path(lumyn.__file__).parent
_HAS_OWNERS: Final = hasattr(os, "getuid")


class Cache:
    """
    Entries by name, each sealed with a key that never leaves the user's own folder.

    A seal is an HMAC over the name, the code that reads vectors, and the content. An entry that was damaged, that
    another version wrote, or that came with the repository or a shared build cache is passed over as if it were not
    there: it could say that a vector expects what comes out. Nothing here ever fails a run.
    """

    def __init__(self, folder: Path, key: bytes, code: Callable[[], bytes] | None = None) -> None:
        """
        Args:
            code: Returns a digest of the code that what is kept rests on; that which reads vectors unless told.
        """
        self._folder = folder
        self._key = key
        self._code = _code_of_vectors if code is None else code

    def for_strength(self) -> Cache:
        """Return the same cache for what coverage and mutation come to, on which more code has a say."""
        return Cache(self._folder, self._key, _code_of_strength)

    def get(self, name: str) -> list[str] | None:
        """Return the lines of an entry, or None where there is none that can be believed."""
        try:
            descriptor = os.open(self._path(name), os.O_RDONLY | _FLAGS)
            with open(descriptor, "rb") as stream:
                content = stream.read(_MOST_BYTES)
        except OSError:
            return None
        seal, body = content[:_MAC_LENGTH], content[_MAC_LENGTH:]
        if not hmac.compare_digest(seal, self._seal(name, body)):
            return None
        return body.decode("ascii").split("\n")

    def put(self, name: str, lines: list[str]) -> None:
        """Keep lines of ASCII text, none of which holds a line end, whole or not at all."""
        body = "\n".join(lines).encode("ascii")
        with contextlib.suppress(OSError):
            replace_file(self._path(name), self._seal(name, body) + body, mode=0o600)

    def parse(self, data: bytes, *, file: str, error: type[InvalidDocumentError], limits: Limits) -> Document:
        """
        Return the document in `data`, as `lumyn.documents.load` does.

        Raises:
            InvalidDocumentError: As `error`; what is wrong is never kept.
        """
        digest, within = hashlib.sha256(data).hexdigest(), [limits.max_bytes, limits.max_depth, limits.max_nodes]
        name = f"document:{file}"
        lines = self.get(name)
        if lines is not None:
            head, value, offsets = (json.loads(line) for line in lines)
            if head == [digest, within]:
                text = data.decode("utf-8-sig")
                places = {pointer: (at, key) for pointer, (at, key) in offsets.items()}
                return Document(value=value, file=file, text=text, offsets=places, starts=line_starts(text))
        document = load(data, file=file, error=error, limits=limits)
        if document.text == data.decode("utf-8-sig"):
            parts: tuple[object, ...] = ([digest, within], document.value, dict(document.offsets))
            self.put(name, [json.dumps(part, separators=(",", ":")) for part in parts])
        return document

    def _path(self, name: str) -> Path:
        return self._folder / hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()

    def _seal(self, name: str, body: bytes) -> bytes:
        sealed = hmac.new(self._key, digestmod="sha256")
        for part in (name.encode("utf-8", "surrogatepass"), self._code(), body):
            sealed.update(len(part).to_bytes(8, "big") + part)
        return sealed.hexdigest().encode()


def open_cache(config: pytest.Config) -> Cache | None:
    """Return the cache of a run; None without pytest's cache, without a key, and where none can be written."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return None
    key = _key()
    if key is None:
        return None
    try:
        return Cache(cache.mkdir(_FOLDER), key)
    except OSError:
        return None


@lru_cache(maxsize=1)
def _code_of_vectors() -> bytes:
    """Return a digest of whatever decides what a vector file amounts to: our code and contracts, parsers, Python."""
    plugin = (Path(__file__), Path(__file__).with_name("shelf.py"))
    contracts = sorted((_resources.data_root() / "schemas").glob("*.json"))
    versions = (lumyn.__version__, *map(metadata.version, ("ruamel.yaml", "rfc8785")), sys.version)
    return _digest(
        *_within(".", "documents", "policy", "vectors", "engine", "core"),
        *plugin,
        *contracts,
        more="\0".join(versions).encode(),
    )


@lru_cache(maxsize=1)
def _code_of_strength() -> bytes:
    """Return a digest of whatever decides what coverage and mutation of vectors come to, and how that is told."""
    plugin = (Path(__file__).with_name(name) for name in ("coverage.py", "measures.py", "measuring.py"))
    return _digest(*_within("analysis", "report", "store"), *plugin, more=_code_of_vectors())


def _within(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((_ROOT / folder).glob("*.py"))


def _digest(*paths: Path, more: bytes) -> bytes:
    taken = hashlib.sha256(more)
    for path in paths:
        content = path.read_bytes()
        taken.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return taken.digest()


def _key() -> bytes | None:
    """Return the key of this user on this machine, made on first use; None where there is no safe place for it."""
    try:
        path = _key_path()
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_key(path)
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
        with open(descriptor, "rb") as stream:
            found = os.fstat(descriptor)
            key = stream.read(_KEY_BYTES + 1)
    except (OSError, RuntimeError):  # RuntimeError: nobody's home is known
        return None
    # A key that somebody else could have chosen seals nothing.
    private = not _HAS_OWNERS or (found.st_uid == os.getuid() and not found.st_mode & 0o077)
    return key if stat.S_ISREG(found.st_mode) and private and len(key) == _KEY_BYTES else None


def _key_path() -> Path:
    named = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", "")
    folder = Path(named) if named and Path(named).is_absolute() else Path.home() / ".cache"
    return folder / "lumyn" / "vectors.key"


def _make_key(path: Path) -> None:
    """Make the key file whole; of two that do so at once the first wins. Raises FileExistsError if there is one."""
    if path.exists():
        raise FileExistsError
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_KEY_BYTES))
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
