"""YAML as JSON data: what is refused, with which code and where; what is accepted equals its JSON twin."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumyn.digest import digest
from lumyn.documents import Limits, load, load_yaml
from lumyn.errors import InvalidDocumentError, InvalidPolicyError, Span


def read(text: str | bytes, **options: Any) -> Any:
    """Return the value of a YAML text."""
    return load_yaml(text.encode() if isinstance(text, str) else text, file="p.yml", **options).value


def found(text: str | bytes, **options: Any) -> list[tuple[str, str]]:
    """Return code and `line:column` of every problem."""
    with pytest.raises(InvalidDocumentError) as caught:
        read(text, **options)
    str(caught.value).encode()
    return [
        (problem.code, f"{problem.span.line}:{problem.span.column}" if problem.span else "")
        for problem in caught.value.problems
    ]


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("a: on", "YAML_AMBIGUOUS_SCALAR", "1:4"),
        ("a:\n  - NO", "YAML_AMBIGUOUS_SCALAR", "2:5"),
        ("on: push", "YAML_AMBIGUOUS_SCALAR", "1:1"),
        ("a: {is: 012}", "YAML_AMBIGUOUS_SCALAR", "1:9"),
        ("a: 1_000", "YAML_AMBIGUOUS_SCALAR", "1:4"),
        ("a: 2026-01-01", "YAML_AMBIGUOUS_SCALAR", "1:4"),
        ("a: .nan", "YAML_AMBIGUOUS_SCALAR", "1:4"),
        ("a: 1e400", "NUMBER_OUT_OF_RANGE", "1:4"),
        ("a: -9007199254740992", "NUMBER_OUT_OF_RANGE", "1:4"),
        ("a: 25.0000000000000001", "NUMBER_PRECISION", "1:4"),
        ("a: 1\nb: 2\na: 3", "YAML_DUPLICATE_KEY", "3:1"),
        ("r:\n  - if: {x: high}\n    if: {x: low}", "YAML_DUPLICATE_KEY", "3:5"),
        ("rules: [block]\nrules: [trust]", "YAML_DUPLICATE_KEY", "2:1"),
        ('a: 1\n"\\x61": 2', "YAML_DUPLICATE_KEY", "2:1"),
        ("{a: 1, 'a': 2}", "YAML_DUPLICATE_KEY", "1:8"),
        ("doc: 1\n---\ndoc: 2", "YAML_MULTI_DOCUMENT", "2:1"),
        ("--- a\n--- b", "YAML_MULTI_DOCUMENT", "2:1"),
        ("a: 1\n...\nb: 2", "YAML_MULTI_DOCUMENT", "3:1"),
        ("a: &x 1", "YAML_ALIAS", "1:4"),
        ("a: *x", "YAML_ALIAS", "1:4"),
        ("*x : 1", "YAML_ALIAS", "1:1"),
        ("&x a: 1", "YAML_ALIAS", "1:1"),
        ("a:\n  <<: {b: 1}", "YAML_MERGE_KEY", "2:3"),
        ("!!set {a: null}", "YAML_TAG", "1:1"),
        ("a: !!binary aGk=", "YAML_TAG", "1:4"),
        ("a: !foo 1", "YAML_TAG", "1:4"),
        ("a: ! b", "YAML_TAG", "1:4"),
        ("a: !!str 1", "YAML_TAG", "1:4"),
        ("a: !!python/object:os.system {}", "YAML_TAG", "1:4"),
        ("%YAML 1.1\n---\na: b", "YAML_DIRECTIVE", "1:1"),
        ("%YAML 9.9\n---\na: b", "YAML_DIRECTIVE", "1:1"),
        ("# c\n\n%TAG ! tag:x:\n---\na: b", "YAML_DIRECTIVE", "3:1"),
        ("%FUTURE x\n---\na: b", "YAML_DIRECTIVE", "1:1"),
        ("1: a", "YAML_KEY_NOT_STRING", "1:1"),
        ("true: a", "YAML_KEY_NOT_STRING", "1:1"),
        (": a", "YAML_KEY_NOT_STRING", "1:1"),
        ("? [a]\n: b", "YAML_KEY_NOT_STRING", "1:3"),
        ("{a: 1}: b", "YAML_KEY_NOT_STRING", "1:1"),
        ("a:\n\t- b", "YAML_SYNTAX", "2:1"),
        ("a: 'x", "YAML_SYNTAX", "1:6"),
        ("a: [1, 2", "YAML_SYNTAX", "1:9"),
        ("a: b: c", "YAML_SYNTAX", "1:5"),
        ("a: {b: 1}}", "YAML_SYNTAX", "1:10"),
        ("{?a: 1}", "YAML_SYNTAX", "1:2"),
        ('a: "\\q"', "YAML_SYNTAX", "1:6"),
        ('a: "\\UFFFFFFFF"', "YAML_SYNTAX", "1:1"),
        ('policy_id: "\\u202Epwn"', "CONTROL_CHARACTER", "1:12"),
        ('"\\e[2J": 1', "CONTROL_CHARACTER", "1:1"),
        ("a: \u202epwn", "CONTROL_CHARACTER", "1:4"),
        ("a: b # \u2066x", "CONTROL_CHARACTER", "1:8"),
        ("a: \x07", "CONTROL_CHARACTER", "1:4"),
        ("a: b\x85c: d", "CONTROL_CHARACTER", "1:5"),
        ("a: b\rc: d", "CONTROL_CHARACTER", "1:5"),
        ("a: b\u2028c: d", "CONTROL_CHARACTER", "1:5"),
        ("a: \ufeffb", "CONTROL_CHARACTER", "1:4"),
        ("a: b\x00", "CONTROL_CHARACTER", "1:5"),
        ('a: "\\ud800"', "UNICODE_INVALID", "1:4"),
        ('a: "\\ud83d\\ude00"', "UNICODE_INVALID", "1:4"),
        ("a: b".encode("utf-16"), "YAML_ENCODING", "1:1"),
        ("a: b".encode("utf-16-le"), "YAML_ENCODING", "1:1"),
        ("a: b".encode("utf-32"), "YAML_ENCODING", "1:1"),
        ("a: b\nc: é".encode("latin-1"), "YAML_ENCODING", "2:4"),
    ],
)
def test_refused(text: str | bytes, code: str, place: str) -> None:
    """Each is refused with its code, at its line and column."""
    assert [(code, place)] == found(text)


def test_every_problem_is_reported_at_once() -> None:
    """The file is read on after a problem that leaves its structure clear."""
    text = "<<: *x\na: no\na: !t 1e400\nb: [&y 0x1F]\n"
    assert found(text) == [
        ("YAML_MERGE_KEY", "1:1"),
        ("YAML_ALIAS", "1:5"),
        ("YAML_AMBIGUOUS_SCALAR", "2:4"),
        ("YAML_DUPLICATE_KEY", "3:1"),
        ("NUMBER_OUT_OF_RANGE", "3:4"),
        ("YAML_TAG", "3:4"),
        ("YAML_ALIAS", "4:5"),
        ("YAML_AMBIGUOUS_SCALAR", "4:5"),
    ]


def test_problems_say_where_in_the_document() -> None:
    """A problem carries the JSON Pointer too, and a hint."""
    with pytest.raises(InvalidPolicyError) as caught:
        load_yaml(b"rules:\n  - if: {country_in: [NO]}\n", file="policies/p.yml", error=InvalidPolicyError)
    (problem,) = caught.value.problems
    assert "/rules/0/if/country_in/0" == problem.pointer
    assert Span("policies/p.yml", 2, 23) == problem.span
    assert problem.hint is not None
    assert "quote it" in problem.hint


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "".join(f"a{level}: &a{level} [" + f"*a{level - 1}, " * 9 + "1]\n" for level in range(1, 10)),
    ],
    ids=["recursive", "nested", "bomb"],
)
def test_aliases_are_never_followed(text: str) -> None:
    """An alias bomb costs what its text costs."""
    codes = {code for code, _ in found(text)}
    assert {"YAML_ALIAS"} == codes


@pytest.mark.parametrize(
    "text", ["[" * 2000, "{a: " * 2000, "- " * 2000, "".join(f"{' ' * level}a:\n" for level in range(200)), "[" * 10**6]
)
def test_too_deep(text: str) -> None:
    """Nesting is counted while the file is read, so that depth costs neither a stack nor time."""
    assert ["YAML_TOO_DEEP"] == [code for code, _ in found(text)]


def test_depth_at_the_limit() -> None:
    """64 levels are accepted, 65 are not."""
    assert read("[" * 64 + "]" * 64)
    assert [("YAML_TOO_DEEP", "1:65")] == found("[" * 65 + "]" * 65)


def test_too_large() -> None:
    """Bytes, lines and values are bounded."""
    assert [1] == read("- 1\n", limits=Limits(max_bytes=4))
    for text, limits in (
        ("- 1\n ", Limits(max_bytes=4)),
        ("[1, 2]", Limits(max_nodes=2)),
        ("\n" * 10, Limits(max_nodes=9)),
    ):
        assert [("TOO_LARGE", "")] == found(text, limits=limits)


@pytest.mark.parametrize("text", ["", "---\n", "null", "# only a comment\n", "--- # c\n...\n"])
def test_empty_document_is_null(text: str) -> None:
    """Whoever needs an object finds null."""
    assert read(text) is None


POLICY = """\
# comment
policy_id: acme
policy_version: "1.2.0"   # text
rules:
  - id: R1
    when: {action_type: support.refund}
    if: {amount_usd_gt: 200, evidence.risk_in: [low, "no"]}
    note: |
      two
      lines
    empty:
    ask: {question: Which one?}
"""
TWIN = {
    "policy_id": "acme",
    "policy_version": "1.2.0",
    "rules": [
        {
            "id": "R1",
            "when": {"action_type": "support.refund"},
            "if": {"amount_usd_gt": 200, "evidence.risk_in": ["low", "no"]},
            "note": "two\nlines\n",
            "empty": None,
            "ask": {"question": "Which one?"},
        }
    ],
}


@pytest.mark.parametrize(
    "data",
    [
        POLICY.encode(),
        b"\xef\xbb\xbf" + POLICY.encode(),
        POLICY.replace("\n", "\r\n").encode(),
        POLICY.replace("# comment\n", "\n\n").encode(),
        POLICY.rstrip("\n").encode(),
        json.dumps(TWIN).encode(),
    ],
    ids=["plain", "byte order mark", "crlf", "other comments", "no final line end", "flow"],
)
def test_one_document_in_many_spellings(data: bytes) -> None:
    """Spelling changes neither the value nor the digest, and the JSON twin is the same document."""
    assert TWIN == load_yaml(data, file="p.yml").value
    assert digest(TWIN) == digest(load_yaml(data, file="p.yml").value)
    assert digest(TWIN) == digest(load(json.dumps(TWIN).encode(), file="p.json").value)


@pytest.mark.parametrize("text", ["a: |\n  x", "a: |\n  x\n", "a: |+\n  x", "a: >\n  x\n\n"])
def test_final_line_end_changes_no_block_text(text: str) -> None:
    """An editor that adds the final line end does not change the document."""
    assert {"a": "x\n"} == read(text)


def test_columns_count_characters() -> None:
    """A byte order mark and CRLF do not shift positions."""
    document = load_yaml("\ufeffé: 1\r\nb: [1, 2]\r\n".encode(), file="p.yml")
    assert Span("p.yml", 1, 1) == document.key_span("/é")
    assert Span("p.yml", 2, 8) == document.span("/b/1")


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.floats(-(2.0**52), 2.0**52),
        st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=6),
        st.sampled_from(["no", "012", "~", "1e3", "<<", "a: b", "- a", "? a", "&a", "*a", "!t", "# c", "'", '"', "%a"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(st.characters(codec="utf-8", categories=["L", "N"]), max_size=4), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(json_values)
def test_json_is_yaml(value: object) -> None:
    """A JSON text read as YAML is the same value: JSON's quoting decides what is text."""
    text = json.dumps(value, ensure_ascii=False)
    assert repr(load(text.encode(), file="x.json").value) == repr(read(text))


@pytest.mark.parametrize("text", ["[a:, b]", "[a:]", "{a:, b: 1}", "{a:}", "{ x: [http://a.b/c:] }"])
def test_colon_at_the_end_inside_brackets_must_be_quoted(text: str) -> None:
    """YAML 1.2 reads the beginning of a mapping there, the library a text."""
    with pytest.raises(InvalidDocumentError) as caught:
        load_yaml(text.encode(), file="a.yml")
    assert ["YAML_AMBIGUOUS_SCALAR"] == [problem.code for problem in caught.value.problems]


@pytest.mark.parametrize("text", ["a:", "- a:", "x: 'a:'", '["a:"]', "a: { b: }", "a: http://a.b/c"])
def test_colon_is_an_indicator_or_inside_a_text(text: str) -> None:
    """What every YAML reads alike is accepted."""
    assert load_yaml(text.encode(), file="a.yml").value
