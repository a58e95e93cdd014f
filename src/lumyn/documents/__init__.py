"""
The only parsers of the project: strict JSON, strict YAML, safe file reading, and positions for error messages.
Importing this package loads no YAML or schema library; it must not know what a document means.
"""

from __future__ import annotations

from lumyn.documents.document import Document, Limits
from lumyn.documents.files import load, read_bytes
from lumyn.documents.pointers import escape_pointer, join_pointer
from lumyn.documents.strict_json import load_json, parse_json
from lumyn.documents.strict_yaml import load_yaml
from lumyn.documents.text import control_characters

__all__ = [
    "Document",
    "Limits",
    "control_characters",
    "escape_pointer",
    "join_pointer",
    "load",
    "load_json",
    "load_yaml",
    "parse_json",
    "read_bytes",
]
