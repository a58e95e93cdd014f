"""
Reads a policy file or text and hands back a checked `Policy`.
Must not know what makes a policy valid, nor keep anything it has read.
"""

from __future__ import annotations

from pathlib import Path, PurePath

from lumyn.documents import Document, control_characters, load, load_yaml, read_bytes
from lumyn.errors import InvalidPolicyError
from lumyn.policy.spec import Policy
from lumyn.policy.validate import validate_document

__all__ = ["load_policy", "parse_policy"]


def load_policy(path: Path) -> Policy:
    """
    Return the policy in the file at `path`, which is YAML (`.yml`, `.yaml`) or JSON (`.json`).

    Raises:
        InvalidPolicyError: The file cannot be read, or holds anything but a valid policy; with every problem found.
        InstallationError: The reason code registry is missing from the installation.
    """
    return parse_policy(read_bytes(path, error=InvalidPolicyError), file=str(path))


def parse_policy(data: bytes | str, *, file: str = "<policy>") -> Policy:
    """
    Return the policy that `data` holds.

    Args:
        file: What messages call it. A suffix says how to read it, as in `load_policy`; without one it is YAML, which
            JSON is a part of.

    Raises:
        InvalidPolicyError: With every problem found, sorted by position.
        InstallationError: The reason code registry is missing from the installation.
    """
    # A lone surrogate has no UTF-8 form; passed on as bytes, the parser refuses it with its position.
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    read = load if PurePath(file).suffix else load_yaml
    return read_policy(read(raw, file=file, error=InvalidPolicyError))


def read_policy(document: Document) -> Policy:
    """
    Return the policy that a document holds.

    Raises:
        InvalidPolicyError: With every problem found, sorted by position.
        InstallationError: The reason code registry is missing from the installation.
    """
    hidden = list(control_characters(document))
    if hidden:
        raise InvalidPolicyError(hidden)
    return validate_document(document)
