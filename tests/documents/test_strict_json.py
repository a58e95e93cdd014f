"""The JSON door: what it refuses, with which code and where; the fast and the slow reader are one."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumyn.documents import Limits, load_json, parse_json
from lumyn.errors import InvalidDocumentError, InvalidPolicyError, InvalidRequestError, Span

REQUEST = (
    '{"schema_version": "decision_request.v0", "subject": {"type": "agent", "id": "agent-1"}, "action": '
    '{"type": "support.refund", "intent": "Refund duplicate charge", "amount": {"value": 12.00, "currency": "USD"}}, '
    '"evidence": {"chargeback_risk": 0.05}}'
)


def found(data: bytes | str, **options: Any) -> list[tuple[str, str]]:
    """Return code and pointer of every problem `parse_json` reports."""
    with pytest.raises(InvalidDocumentError) as caught:
        parse_json(data, **options)
    str(caught.value).encode()
    return [(problem.code, problem.pointer) for problem in caught.value.problems]


REFUSED: list[tuple[str, bytes | str, str, str]] = [
    ("infinity", REQUEST.replace("12.00", "Infinity"), "JSON_INVALID", ""),
    ("minus infinity", REQUEST.replace("12.00", "-Infinity"), "JSON_INVALID", ""),
    ("nan", REQUEST.replace("12.00", "NaN"), "JSON_INVALID", ""),
    ("overflow", REQUEST.replace("12.00", "1e400"), "NUMBER_OUT_OF_RANGE", "/action/amount/value"),
    ("negative overflow", REQUEST.replace("12.00", "-1e400"), "NUMBER_OUT_OF_RANGE", "/action/amount/value"),
    ("5000 digits", REQUEST.replace("12.00", "9" * 5000), "NUMBER_OUT_OF_RANGE", "/action/amount/value"),
    ("5000 digits, negative", "-" + "9" * 5000, "NUMBER_OUT_OF_RANGE", ""),
    ("2**53+1", REQUEST.replace("12.00", "9007199254740993"), "NUMBER_OUT_OF_RANGE", "/action/amount/value"),
    ("-2**53", "[-9007199254740992]", "NUMBER_OUT_OF_RANGE", "/0"),
    ("2**53 with fraction", "9007199254740992.0", "NUMBER_OUT_OF_RANGE", ""),
    ("1e16", "1e16", "NUMBER_OUT_OF_RANGE", ""),
    ("rounds to a limit", REQUEST.replace("12.00", "25.0000000000000001"), "NUMBER_PRECISION", "/action/amount/value"),
    ("underflow", "1e-400", "NUMBER_PRECISION", ""),
    ("not the shortest form", "0.1000000000000000055", "NUMBER_PRECISION", ""),
    ("exponent beyond decimals", "1e-99999999999999999999", "NUMBER_PRECISION", ""),
    ("lone surrogate", REQUEST.replace("Refund duplicate", "x\\ud800y"), "UNICODE_INVALID", "/action/intent"),
    ("lone surrogate in a key", '{"a": {"\\udc00": 1}}', "UNICODE_INVALID", "/a"),
    ("surrogates the wrong way round", '"\\ude00\\ud83d"', "UNICODE_INVALID", ""),
    ("raw lone surrogate", '"\ud800"', "UNICODE_INVALID", ""),
    ("duplicate key", '{"evidence": {"r": 0.99, "r": 0.05}}', "JSON_DUPLICATE_KEY", "/evidence/r"),
    ("duplicate object", REQUEST[:-1] + ', "evidence": {}}', "JSON_DUPLICATE_KEY", "/evidence"),
    ("duplicate behind an escape", '{"a":1,"\\u0061":2}', "JSON_DUPLICATE_KEY", "/a"),
    ("byte order mark", b"\xef\xbb\xbf{}", "JSON_INVALID", ""),
    ("byte order mark in text", "\ufeff{}", "JSON_INVALID", ""),
    ("utf-16", "{}".encode("utf-16"), "JSON_INVALID", ""),
    ("utf-16 without mark", "{}".encode("utf-16-le"), "JSON_INVALID", ""),
    ("overlong utf-8", b'{"id": "\xc0\xaf"}', "JSON_INVALID", ""),
    ("surrogate in utf-8", b'"\xed\xa0\x80"', "JSON_INVALID", ""),
    ("trailing garbage", "{}x", "JSON_INVALID", ""),
    ("second document", "{} {}", "JSON_INVALID", ""),
    ("single quotes", "{'a':1,}", "JSON_INVALID", ""),
    ("trailing comma in object", '{"a":1,}', "JSON_INVALID", ""),
    ("trailing comma in list", "[1,]", "JSON_INVALID", ""),
    ("comment", "// x\n{}", "JSON_INVALID", ""),
    ("empty", "", "JSON_INVALID", ""),
    ("blank", " \n", "JSON_INVALID", ""),
    ("unterminated", '{"a": [1', "JSON_INVALID", ""),
    ("unterminated string", '"a', "JSON_INVALID", ""),
    ("raw line feed in a string", '"a\nb"', "JSON_INVALID", ""),
    ("raw NUL in a string", '"a\x00"', "JSON_INVALID", ""),
    ("unknown escape", '"\\x41"', "JSON_INVALID", ""),
    ("short escape", '"\\u12"', "JSON_INVALID", ""),
    ("leading zero", "012", "JSON_INVALID", ""),
    ("leading plus", "+1", "JSON_INVALID", ""),
    ("no digit before the point", ".5", "JSON_INVALID", ""),
    ("no digit after the point", "1.", "JSON_INVALID", ""),
    ("digits of another script", "\u0661", "JSON_INVALID", ""),
    ("hexadecimal", "0x1F", "JSON_INVALID", ""),
    ("capital literal", "True", "JSON_INVALID", ""),
    ("form feed as space", "[\f1]", "JSON_INVALID", ""),
    ("no-break space", "\u00a01", "JSON_INVALID", ""),
    ("key without quotes", "{a: 1}", "JSON_INVALID", ""),
    ("number as key", "{1: 1}", "JSON_INVALID", ""),
    ("no colon", '{"a" 1}', "JSON_INVALID", ""),
    ("no comma", "[1 2]", "JSON_INVALID", ""),
    ("wrong bracket", "[1}", "JSON_INVALID", ""),
]


@pytest.mark.parametrize(("data", "code", "pointer"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(data: bytes | str, code: str, pointer: str) -> None:
    """Each is refused with its code, at its pointer, by both readers."""
    assert [(code, pointer)] == found(data)
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    with pytest.raises(InvalidDocumentError) as caught:
        load_json(data, file="r.json")
    assert [problem.span.file for problem in caught.value.problems if problem.span] == ["r.json"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12.00", 12.0),
        ("25.00", 25.0),
        ("5e-324", 5e-324),
        ("-0", 0),
        ("-0.0", -0.0),
        ("0.30000000000000004", 0.30000000000000004),
        ("9007199254740991", 9007199254740991),
        ("-9007199254740991.0", -9007199254740991.0),
        ("1E+2", 100.0),
        ("1.5e3", 1500.0),
        ('"\\ud83d\\ude00"', "😀"),
        ('"\\\\ud800"', "\\ud800"),
        (' \t\r\n{"a" : [ ] , "b":{ }} ', {"a": [], "b": {}}),
        ("null", None),
        ('"\x7f\u2028"', "\x7f\u2028"),
    ],
)
def test_accepted(text: str, value: object) -> None:
    """Every exact number and every valid text is read as it is, with its Python type."""
    assert repr(value) == repr(parse_json(text))
    assert repr(value) == repr(load_json(text.encode(), file="x").value)


def test_every_problem_is_reported_at_once() -> None:
    """One bad number does not hide the next, nor a duplicate key."""
    problems = found('{"a": 1e400, "b": {"c": [1, 0.10000000000000001]}, "a": "\\ud800"}')
    assert sorted(problems) == [
        ("JSON_DUPLICATE_KEY", "/a"),
        ("NUMBER_OUT_OF_RANGE", "/a"),
        ("NUMBER_PRECISION", "/b/c/1"),
        ("UNICODE_INVALID", "/a"),
    ]


def test_number_of_problems_is_bounded() -> None:
    """A document of nothing but errors gives a readable report."""
    assert 50 == len(found("[" + "1e400," * 5000 + "1]"))


@pytest.mark.parametrize("opening", ["[", '{"n":'])
@pytest.mark.parametrize("depth", [65, 500, 10_000, 100_000])
def test_too_deep(opening: str, depth: int) -> None:
    """Depth 65 and any other beyond is refused, however large, and never by a RecursionError."""
    closing = {"[": "]", '{"n":': "}"}[opening]
    problems = found(opening * depth + "1" + closing * depth)
    assert ["JSON_TOO_DEEP"] == [code for code, _ in problems]


def test_depth_at_the_limit() -> None:
    """Depth 64 is accepted; an object above it makes it 65."""
    text = "[" * 64 + "]" * 64
    assert 64 == str(parse_json(text)).count("[")
    assert ["JSON_TOO_DEEP"] == [code for code, _ in found(f'{{"a": {text}}}')]


def test_brackets_in_strings_are_not_depth() -> None:
    """Text that looks like nesting is text."""
    assert {"a": "[" * 100} == parse_json(json.dumps({"a": "[" * 100}))


@pytest.mark.parametrize("as_text", [False, True])
def test_too_large(as_text: bool) -> None:
    """One byte over the limit is refused before it is read; a multi-byte text is measured in bytes."""
    body = json.dumps("x" * 30)
    limits = Limits(max_bytes=32)
    assert parse_json(body if as_text else body.encode(), limits=limits)
    for text in (body + " ", '"' + "é" * 16 + '"'):
        data: bytes | str = text if as_text else text.encode()
        assert [("REQUEST_TOO_LARGE", "")] == found(data, limits=limits, error=InvalidRequestError)
        assert [("TOO_LARGE", "")] == found(data, limits=limits, error=InvalidPolicyError)


def test_default_limit_is_one_mebibyte() -> None:
    """1 MiB passes, one byte more does not."""
    body = '"' + "x" * (2**20 - 2) + '"'
    assert parse_json(body)
    assert [("REQUEST_TOO_LARGE", "")] == found(body + " ", error=InvalidRequestError)


def test_too_many_values() -> None:
    """The number of values is bounded apart from the size."""
    limits = Limits(max_nodes=4)
    assert [1, {"a": 2}] == parse_json('[1,{"a":2}]', limits=limits)
    assert ["TOO_LARGE"] == [code for code, _ in found('[1,{"a":2},3]', limits=limits)]


def test_error_class_is_the_callers() -> None:
    """The caller chooses which error carries the problems."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_json("{", error=InvalidRequestError)
    assert "INVALID_REQUEST_SCHEMA" == caught.value.reason_code


def test_messages_repeat_no_value() -> None:
    """What stands near an error may be a secret."""
    for text in ('{"k": "s3cret" "x"}', '["s3cret\x00"]', '{"k": 5355723.00000000000000001}', '["s3cret", s3cret]'):
        with pytest.raises(InvalidDocumentError) as caught:
            parse_json(text)
        assert "s3cret" not in str(caught.value)
        assert "5355723" not in str(caught.value)


def test_positions_are_line_and_column() -> None:
    """Problems of a file carry the place, counted from 1 in characters, whatever the line ends are."""
    with pytest.raises(InvalidDocumentError) as caught:
        load_json('{\r\n "é": 1e400,\n "é": 2}'.encode(), file="r.json")
    assert [Span("r.json", 2, 7), Span("r.json", 3, 2)] == [problem.span for problem in caught.value.problems]


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="utf-8"), max_size=5),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


def outcome(read: Any) -> object:
    """Return the value, or the sorted problems."""
    try:
        return repr(read())
    except InvalidDocumentError as error:
        return sorted((problem.code, problem.pointer) for problem in error.problems)


@given(json_values, st.booleans(), st.randoms(use_true_random=False))
def test_fast_and_slow_reader_agree(value: object, ascii_only: bool, rng: random.Random) -> None:
    """On valid and on damaged texts both readers give the same value or the same problems."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    for _ in range(rng.randrange(3)):
        at = rng.randrange(len(text) + 1)
        piece = rng.choice(["", ",", '"', "}", "[", "0", "e9", "\\ud800", "\\u0061", "NaN", " ", "1.", "\\", '"a":1,'])
        text = text[:at] + piece + text[at + rng.randrange(2) :]
    fast = outcome(lambda: parse_json(text))
    data = text.encode("utf-8", "surrogatepass")
    assert fast == outcome(lambda: load_json(data, file="x").value)


@given(json_values)
def test_accepted_values_are_those_of_the_standard_library(value: object) -> None:
    """Where the text is accepted, the value is the one every JSON reader sees."""
    text = json.dumps(value)
    read = outcome(lambda: parse_json(text))
    if isinstance(read, str):
        assert repr(json.loads(text)) == read
    else:
        assert isinstance(read, list)
        assert {code for code, _ in read} <= {"NUMBER_OUT_OF_RANGE", "UNICODE_INVALID"}
