"""Plain scalars: JSON's own words and numbers, text, and everything YAML versions disagree on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lumyn.documents.numbers import NumberRefusedError
from lumyn.documents.yaml_scalars import AmbiguousScalarError, plain_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("null", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-12", -12),
        ("12.50", 12.5),
        ("1e3", 1000.0),
        ("1E-2", 0.01),
        ("-0.0", -0.0),
        ("low", "low"),
        ("nulls", "nulls"),
        ("yEs", "yEs"),
        ("None", "None"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("1.2.3", "1.2.3"),
        ("v1", "v1"),
        ("12 USD", "12 USD"),
        ("12%", "12%"),
        ("R030", "R030"),
        ("support.refund", "support.refund"),
        ("2026-Q1", "2026-Q1"),
        ("P1D", "P1D"),
        ("a_b", "a_b"),
        ("-", "-"),
        ("--", "--"),
        ("...x", "...x"),
        ("0xyz", "0xyz"),
        ("sha256:00", "sha256:00"),
        ("1,000", "1,000"),
    ],
)
def test_value(text: str, value: object) -> None:
    """What means one thing everywhere is read as that."""
    assert repr(value) == repr(plain_value(text))


AMBIGUOUS = """
y Y n N yes Yes YES no No NO on On ON off Off OFF True TRUE False FALSE Null NULL ~ = <<
+1 +0 -012 012 00 0777 08 1_000 1__0 -1_0 0x1F 0X1f +0x1 0b11 0B1 -0b1 0o12 0O7
.5 -.5 +.5 5. 1_000.5 01.5 +1.5 . 1.5_0 +1e3 01e3 1_0e3 1.e3 .5e3
.inf -.inf +.Inf .INF .nan .NaN .NAN
12:30 12:30:00 -1:30 1:30.5 190:20:30 00:30
2026-01-01 2026-1-1 2026-01-15T12:00:00Z 2026-01-15t12:00:00.5+01:00
a: http://a.b/c: :: :
"""


@pytest.mark.parametrize("text", [*AMBIGUOUS.split(), "2026-01-15 12:00:00"])
def test_ambiguous(text: str) -> None:
    """What some YAML version reads as another type must be quoted."""
    with pytest.raises(AmbiguousScalarError):
        plain_value(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1e400", "NUMBER_OUT_OF_RANGE"),
        ("9007199254740992", "NUMBER_OUT_OF_RANGE"),
        ("0.1000000000000000001", "NUMBER_PRECISION"),
    ],
)
def test_number_that_no_double_carries(text: str, code: str) -> None:
    """The number rules of JSON hold."""
    with pytest.raises(NumberRefusedError) as caught:
        plain_value(text)
    assert code == caught.value.code


@pytest.mark.parametrize("version", [(1, 1), (1, 2)])
@given(text=st.text("0123456789.eE+-_xob:nNaAoOyYfFtTrRuUlLsSiI~<=", min_size=1, max_size=8))
def test_text_is_text_for_the_library_too(version: tuple[int, int], text: str) -> None:
    """Whatever is accepted as text, the YAML library reads as text under both versions of YAML."""
    try:
        value = plain_value(text)
    except (AmbiguousScalarError, NumberRefusedError):
        return
    if not isinstance(value, str):
        return
    resolver = YAML(typ="safe", pure=True)
    resolver.version = version
    from ruamel.yaml.nodes import ScalarNode

    assert "tag:yaml.org,2002:str" == str(resolver.resolver.resolve(ScalarNode, text, (True, False)))
