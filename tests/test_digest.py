"""Canonical JSON and digests: equal to RFC 8785 for every value, and to nothing for values that have no form."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from lumyn import digest as module
from lumyn.digest import (
    FreezeError,
    canonical_bytes,
    canonical_members,
    canonical_text,
    digest,
    freeze,
    join_members,
    sha256_text,
)
from lumyn.documents import Limits, parse_json

JCS = Path(__file__).parent / "data" / "jcs"
MAX_SAFE = 2**53 - 1

texts = st.text(st.characters(codec="utf-8"))
numbers = st.one_of(
    st.integers(-MAX_SAFE, MAX_SAFE),
    st.floats(-MAX_SAFE, MAX_SAFE),
    st.floats(-1e-3, 1e-3),
    st.sampled_from([0.0, -0.0, 1e-4, 9.999e-5, 1e-5, 1e-6, 1e-7, 5e-324, 12.0, 0.1, 1e15, 2.0**53 - 1]),
)
keys = st.one_of(texts, st.sampled_from(["a", "ﬀ", "😀", "\ud7ff", "\ue000", "e-1", "\u20ac"]))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts, st.just("1e-5")),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=20,
)


@given(values)
def test_canonical_text_equals_the_reference_library(value: Any) -> None:
    """The kept C encoder and the slow path together give what `rfc8785` gives."""
    frozen = freeze(value)
    assert rfc8785.dumps(frozen).decode() == canonical_text(frozen)


@given(values)
def test_freezing_changes_no_meaning(value: Any) -> None:
    """The canonical form of a value and of its frozen copy are one, and freezing again changes nothing."""
    frozen = freeze(value)
    assert rfc8785.dumps(value) == canonical_bytes(value)
    assert frozen == freeze(frozen)


@given(st.dictionaries(keys, values, max_size=6))
def test_members_join_to_the_whole(value: dict[str, Any]) -> None:
    """An object assembled from the texts of its members is the canonical object."""
    frozen = freeze(value)
    assert isinstance(frozen, dict)
    members = canonical_members(frozen)
    assert canonical_text(frozen) == join_members(members, reversed(list(members)))


def test_join_takes_only_the_members_named() -> None:
    """Members can be left out and come from several objects; one that is missing is an error."""
    members = {"b": "1", "a": "[]"}
    assert '{"a":[]}' == join_members(members, ["a"])
    with pytest.raises(KeyError):
        join_members(members, ["a", "c"])


@pytest.mark.parametrize("value", [{"b": 1, "a": [0.5, "\u20ac", None, True]}, {"k": "e-1 e-2"}, {"\u00e9": "\ud7ff"}])
def test_ordinary_values_take_the_fast_path(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ordinary documents never reach the slow library."""
    monkeypatch.setattr(module, "_rfc8785_text", lambda frozen: pytest.fail("slow path"))
    assert rfc8785.dumps(value).decode() == canonical_text(value)


@pytest.mark.parametrize("value", [1e-5, {"a": [5e-7]}, {"\ue000": 1, "\U00010000": 2}, [{"😀": 1, "ﬀ": 2}]])
def test_what_the_encoder_writes_otherwise_takes_the_slow_path(value: Any) -> None:
    """Small doubles and keys beyond U+D7FF are where the standard library and RFC 8785 part."""
    assert rfc8785.dumps(value).decode() == canonical_text(value)
    assert canonical_text(value) != module._encode(value)


def test_fallback_encoder_agrees_with_the_kept_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the C encoder the text is the same."""
    value = {"b": [1, 0.5, "\u20ac\n\x7f\u2028"], "a": None}
    expected = module._encode(value)
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    assert expected == module._make_encoder()(value)


@pytest.mark.parametrize("name", ["arrays", "french", "structures", "unicode", "weird"])
def test_published_documents(name: str) -> None:
    """The published inputs give the published bytes."""
    value = parse_json((JCS / "input" / f"{name}.json").read_bytes())
    assert (JCS / "output" / f"{name}.json").read_bytes() == canonical_bytes(value)


def test_published_document_with_a_number_beyond_i_json() -> None:
    """The sixth document holds 1E30, which Lumyn refuses and the slow path writes as published."""
    value = json.loads((JCS / "input" / "values.json").read_bytes())
    with pytest.raises(FreezeError) as caught:
        freeze(value)
    assert ["NUMBER_OUT_OF_RANGE"] == [problem.code for problem in caught.value.problems]
    assert (JCS / "output" / "values.json").read_text(encoding="utf-8") == module._rfc8785_text(value)


def es6_doubles(count: int) -> Iterator[tuple[int, float]]:
    """Yield bit pattern and value of the published number sequence."""
    static = [int(line, 16) for line in (JCS / "es6_static_doubles.txt").read_text().split()]
    serial = [0x0010000000000000 + place for place in range(2000)]
    for bits in (static + serial)[:count]:
        yield bits, struct.unpack("<d", struct.pack("<Q", bits))[0]
    left = count - len(static) - len(serial)
    block = bytes(32)
    while left > 0:
        block = hashlib.sha256(block).digest()
        for place in range(0, 32, 8):
            (bits,) = struct.unpack_from("<Q", block, place)
            (value,) = struct.unpack_from("<d", block, place)
            if left > 0 and value != 0 and math.isfinite(value):
                left -= 1
                yield bits, value


@pytest.mark.parametrize(
    ("count", "published"),
    [
        (10_000, "b9f7a8e75ef22a835685a52ccba7f7d6bdc99e34b010992cbc5864cd12be6892"),
        (100_000, "22776e6d4b49fa294a0d0f349268e5c28808fe7e0cb2bcbe28f63894e494d4c7"),
    ],
)
def test_published_number_sequence(count: int, published: str) -> None:
    """Lumyn's text of every number it accepts, and the slow path's of the others, hash to the published sum."""
    sha256 = hashlib.sha256()
    for bits, value in es6_doubles(count):
        within = -MAX_SAFE <= value <= MAX_SAFE
        text = canonical_text(freeze([value]))[1:-1] if within else module._rfc8785_text(value)
        sha256.update(f"{bits:x},{text}\n".encode())
    assert published == sha256.hexdigest()


class Colour(StrEnum):
    """A text with a class of its own."""

    RED = "red"


class Changing(dict[str, object]):
    """A dict that answers differently each time it is read."""

    reads = 0

    def items(self) -> Any:
        self.reads += 1
        return {"n": self.reads}.items()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12.0, 12),
        (-0.0, 0),
        (Decimal("12.00"), 12),
        (Decimal("25.10"), 25.1),
        (Decimal("-0.0"), 0),
        (True, True),
        ((1, 2.5), [1, 2.5]),
        (Colour.RED, "red"),
        ({Colour.RED: Colour.RED}, {"red": "red"}),
        (MappingProxyType({"a": (1,)}), {"a": [1]}),
        ({"a": [[2.0]], "b": None}, {"a": [[2]], "b": None}),
    ],
)
def test_freeze_gives_plain_data_in_canonical_number_form(value: object, expected: object) -> None:
    """Numbers equal as JSON become one Python value, and every subclass becomes the plain type."""
    frozen = freeze({"x": value})
    assert isinstance(frozen, dict)
    assert expected == frozen["x"]
    assert type(expected) is type(frozen["x"])
    assert repr(expected) == repr(frozen["x"])


@pytest.mark.parametrize("items", [list, tuple], ids=["plain data", "with a tuple"])
def test_freeze_shares_nothing_with_its_argument(items: Any) -> None:
    """Freezing changes nothing in the argument, and changing the argument afterwards nothing in the copy."""
    argument: dict[str, Any] = {"a": {"b": [1.0]}, "c": items([{"d": [2.0]}]), "e": 3.0}
    before = repr(argument)
    frozen = freeze(argument)
    assert before == repr(argument)
    argument["a"]["b"].append(2)
    argument["a"]["x"] = 1
    argument["c"][0]["d"].append(2)
    argument["c"][0]["x"] = 1
    argument["y"] = 1
    assert {"a": {"b": [1]}, "c": [{"d": [2]}], "e": 3} == frozen


def test_freeze_reads_a_changing_mapping_once() -> None:
    """What is checked is what is kept, even when the mapping answers differently the next time."""
    value = Changing()
    assert {"n": 1} == freeze(value)
    assert 1 == value.reads


@pytest.mark.parametrize(
    ("value", "code", "pointer"),
    [
        ({"a": float("nan")}, "NUMBER_NOT_FINITE", "/a"),
        ({"a": [float("inf")]}, "NUMBER_NOT_FINITE", "/a/0"),
        ({"a": -math.inf}, "NUMBER_NOT_FINITE", "/a"),
        ({"a": Decimal("NaN")}, "NUMBER_NOT_FINITE", "/a"),
        ({"a": Decimal("sNaN")}, "NUMBER_NOT_FINITE", "/a"),
        ({"a": Decimal("Infinity")}, "NUMBER_NOT_FINITE", "/a"),
        ({"a": 10**400}, "NUMBER_OUT_OF_RANGE", "/a"),
        ({"a": 2**53}, "NUMBER_OUT_OF_RANGE", "/a"),
        ({"a": -(2**53)}, "NUMBER_OUT_OF_RANGE", "/a"),
        ({"a": 2.0**53}, "NUMBER_OUT_OF_RANGE", "/a"),
        ({"a": 1e300}, "NUMBER_OUT_OF_RANGE", "/a"),
        ({"a": Decimal("1e400")}, "NUMBER_OUT_OF_RANGE", "/a"),
        ({"a": Decimal("-1e999999")}, "NUMBER_OUT_OF_RANGE", "/a"),
        ({"a": Decimal("25.0000000000000001")}, "NUMBER_PRECISION", "/a"),
        ({"a": Decimal("1e-400")}, "NUMBER_PRECISION", "/a"),
        ({"a": Decimal("9007199254740990.9")}, "NUMBER_PRECISION", "/a"),
        ({"a/b": b"x"}, "TYPE_INVALID", "/a~1b"),
        ({"a": {1, 2}}, "TYPE_INVALID", "/a"),
        ({"a": object()}, "TYPE_INVALID", "/a"),
        ({"a": 1j}, "TYPE_INVALID", "/a"),
        ({1: "a"}, "TYPE_INVALID", ""),
        ({"a": {None: 1}}, "TYPE_INVALID", "/a"),
        ({"a": "\ud800"}, "UNICODE_INVALID", "/a"),
        ({"a": ["\udfff"]}, "UNICODE_INVALID", "/a/0"),
        ({"\ud800": 1}, "UNICODE_INVALID", ""),
        (float("nan"), "NUMBER_NOT_FINITE", ""),
        (b"{}", "TYPE_INVALID", ""),
    ],
)
def test_value_without_a_canonical_form(value: object, code: str, pointer: str) -> None:
    """The problem has its code and pointer, can be written as UTF-8 and repeats no value."""
    with pytest.raises(FreezeError) as caught:
        freeze(value)
    (problem,) = caught.value.problems
    assert (code, pointer) == (problem.code, problem.pointer)
    str(caught.value).encode()


def test_all_problems_are_reported_at_once() -> None:
    """Two wrong members give two problems."""
    with pytest.raises(FreezeError) as caught:
        freeze({"a": float("nan"), "b": [b""], "c": 1})
    assert [("/a", "NUMBER_NOT_FINITE"), ("/b/0", "TYPE_INVALID")] == [
        (problem.pointer, problem.code) for problem in caught.value.problems
    ]


def nested(depth: int) -> Any:
    """Return lists and dicts nested `depth` levels deep."""
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"n": value}
    return value


def test_depth_is_bounded() -> None:
    """64 levels pass, 65 do not, and neither does a value that holds itself."""
    assert nested(64) == freeze(nested(64))
    itself: dict[str, Any] = {}
    itself["a"] = itself
    for value in (nested(65), itself, nested(5_000)):
        with pytest.raises(FreezeError) as caught:
            freeze(value)
        assert ["JSON_TOO_DEEP"] == [problem.code for problem in caught.value.problems]


def test_size_is_bounded_where_a_value_is_shared() -> None:
    """A small Python value that unfolds into a huge document is refused before it is unfolded."""
    bomb: Any = "x"
    for _ in range(30):
        bomb = [bomb] * 9
    for value in ({"a": bomb}, {"a": ["x" * 10_000] * 1_000}, [{"k" * 10_000: 1}] * 1_000, ("x" * 10_000,) * 1_000):
        with pytest.raises(FreezeError) as caught:
            freeze(value)
        assert ["REQUEST_TOO_LARGE"] == [problem.code for problem in caught.value.problems]


def test_size_limit_can_be_set() -> None:
    """The limits of the caller hold instead."""
    assert {"a": "xxxx"} == freeze({"a": "xxxx"}, limits=Limits(max_bytes=5))
    for limits in (Limits(max_bytes=4), Limits(max_nodes=0), Limits(max_depth=0)):
        with pytest.raises(FreezeError):
            freeze({"a": "xxxx"}, limits=limits)


def test_digest_is_sha256_of_the_canonical_form() -> None:
    """The digest names its algorithm and covers the canonical bytes."""
    value: Mapping[str, object] = {"b": 12.0, "a": "\u20ac"}
    expected = "sha256:" + hashlib.sha256('{"a":"\u20ac","b":12}'.encode()).hexdigest()
    assert expected == digest(value)
    assert expected == sha256_text('{"a":"\u20ac","b":12}')


def test_equal_documents_have_one_digest() -> None:
    """Key order, integral floats, negative zero and Decimals change no digest; values do."""
    assert digest({"a": 12.0, "b": -0.0}) == digest({"b": 0, "a": Decimal("12.00")})
    assert digest({"a": 12}) != digest({"a": "12"})
    assert digest({"a": True}) != digest({"a": 1})
