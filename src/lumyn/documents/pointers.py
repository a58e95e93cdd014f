"""
RFC 6901 JSON Pointers, as problems and positions use them.
Builds and takes apart pointer texts; must not know the documents they point into.
"""

from __future__ import annotations

__all__ = ["escape_pointer", "join_pointer", "parent_pointer", "pointer_tokens"]


def escape_pointer(token: str) -> str:
    """Return `token` as one reference token: `~` becomes `~0` and `/` becomes `~1`."""
    return token.replace("~", "~0").replace("/", "~1")


def join_pointer(pointer: str, *tokens: str | int) -> str:
    """Return `pointer` extended by member names and list indices, each escaped."""
    return pointer + "".join(f"/{escape_pointer(str(token))}" for token in tokens)


def parent_pointer(pointer: str) -> str:
    """Return the pointer without its last token; the parent of a top-level member is the empty pointer."""
    return pointer.rpartition("/")[0]


def pointer_tokens(pointer: str) -> tuple[str, ...]:
    """Return the unescaped tokens of `pointer`; none for the empty pointer."""
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])
