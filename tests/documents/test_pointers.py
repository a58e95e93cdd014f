"""JSON Pointers: building and taking apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumyn.documents import escape_pointer, join_pointer
from lumyn.documents.pointers import parent_pointer, pointer_tokens


@pytest.mark.parametrize(("token", "escaped"), [("a", "a"), ("a/b", "a~1b"), ("m~n", "m~0n"), ("~1", "~01"), ("", "")])
def test_escape(token: str, escaped: str) -> None:
    """`~` and `/` are escaped as RFC 6901 says."""
    assert escaped == escape_pointer(token)


def test_join() -> None:
    """Names and indices extend a pointer."""
    assert "/a/0/b~1c" == join_pointer("/a", 0, "b/c")
    assert "" == join_pointer("")


@given(st.lists(st.text(max_size=4), max_size=4))
def test_tokens_undo_join(tokens: list[str]) -> None:
    """Taking apart gives what was put together."""
    pointer = join_pointer("", *tokens)
    assert tuple(tokens) == pointer_tokens(pointer)
    assert join_pointer("", *tokens[:-1]) == parent_pointer(pointer)
