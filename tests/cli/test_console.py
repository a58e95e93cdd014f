"""What reaches a terminal: nothing raw, nothing cut, nothing too wide."""

from __future__ import annotations

import io
import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumyn.cli.console import Console, OutputError, PipeClosedError, error_lines, safe, write_document
from lumyn.errors import InvalidRequestError, LumynError, NotFoundError, Problem, Span

HOSTILE = "\x1b[2J\x00\x07\n\r\t\x7f\x85\x9b31m\u202eevil\u2066\u200e\u061c\u2028\ud800\U000e0041"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(
    columns: int | None, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None = None
) -> tuple[Console, io.StringIO]:
    """Return a console of that width and what it writes to."""
    stream = stream or io.StringIO()
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", str(columns))
    return Console(stream), stream


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("\n\r\t\x00", "\\x0a\\x0d\\x09\\x00"),
        ("\x7f\x80\x9f", "\\x7f\\x80\\x9f"),
        ("\u202e\u2066", "\\u{202e}\\u{2066}"),
        ("\udcff", "\\u{dcff}"),
        ("naïve 日本 🙂 \\x1b", "naïve 日本 🙂 \\x1b"),
    ],
)
def test_what_steers_a_terminal_is_shown_as_its_code(text: str, expected: str) -> None:
    """cli-003."""
    assert expected == safe(text)


@given(st.text())
def test_safe_text_holds_no_control_or_bidi_character(text: str) -> None:
    out = safe(text)
    assert not [c for c in out if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}]
    assert not [
        c
        for c in out
        if unicodedata.bidirectional(c) in {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    ]


@pytest.mark.parametrize("columns", [None, 30, 200])
def test_lines_and_tables_escape_what_they_are_given(columns: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = shown(columns, monkeypatch)
    console.line("a ", (HOSTILE, "red"))
    console.table(["column"], [[HOSTILE], [("x" + HOSTILE, "red")]])
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066\ud800]", stream.getvalue())
    assert 3 == len(re.sub(r"\s", "", stream.getvalue()).split("\\x1b[2J")) - 1


def test_json_escapes_what_it_is_given_and_means_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = shown(None, monkeypatch)
    console.json("x", {"a": HOSTILE, HOSTILE: ["日本"]})
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066\ud800\U000e0041]", stream.getvalue())
    assert "日本" in stream.getvalue()
    assert {"schema": "lumyn.cli.x.v0", "a": HOSTILE, HOSTILE: ["日本"]} == json.loads(stream.getvalue())


def test_into_a_pipe_lines_and_rows_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = shown(None, monkeypatch)
    console.line("word " * 100)
    console.table(["a", "b"], [["x" * 300, "y"]])
    assert 3 == len(stream.getvalue().splitlines())


@pytest.mark.parametrize("columns", [20, 60, 80])
def test_in_a_width_nothing_is_wider_and_nothing_is_cut(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = shown(columns, monkeypatch)
    console.line("reason  ", "A_VERY_LONG_REASON_CODE_" * 6, indent=2, hang=10)
    console.table(["a", "b"], [["x" * 100, "words " * 20]])
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    assert 4 * 6 + 6 == stream.getvalue().count("_")
    assert 100 == stream.getvalue().count("x")
    assert 20 == stream.getvalue().count("words")


@pytest.mark.parametrize("columns", [71, 72, 75, 80, 84, 85, 120])
def test_a_digest_stays_in_one_piece_wherever_it_fits(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is copied out of a terminal."""
    digest = f"sha256:{'0123456789abcdef' * 4}"
    console, stream = shown(columns, monkeypatch)
    console.line("  policy      lumyn-support 0.1.0 ", digest, hang=14)
    console.line(digest, indent=14)
    lines = stream.getvalue().splitlines()
    assert 2 == sum(line.split()[-1] == digest for line in lines)
    assert all(len(line) <= columns for line in lines)
    console, stream = shown(70, monkeypatch)
    console.line("  policy      ", digest, hang=14)
    assert digest == "".join(stream.getvalue().split()).removeprefix("policy")


def test_a_table_breaks_sentences_before_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = shown(60, monkeypatch)
    console.table(["verdict", "request", "reasons"], [["TRUST", "several words " * 5, "REFUND_OVER_ESCALATION_LIMIT"]])
    assert "REFUND_OVER_ESCALATION_LIMIT" in stream.getvalue()
    assert max(map(len, stream.getvalue().splitlines())) <= 60


def test_colour_only_on_a_terminal_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    console, stream = shown(80, monkeypatch, Terminal())
    console.line(("TRUST", "bold green"))
    assert "\x1b[" in stream.getvalue()
    for variable, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            console, stream = shown(80, monkeypatch, Terminal())
            console.line(("TRUST", "bold green"))
            assert "TRUST\n" == stream.getvalue()
    console, stream = shown(80, monkeypatch)
    console.line(("TRUST", "bold green"))
    assert "TRUST\n" == stream.getvalue()


def test_a_reader_that_is_gone_and_a_full_disk_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(PipeClosedError):
        Console(Gone()).line("x")
    with pytest.raises(OutputError, match="No space left"):
        Console(Full()).line("x")


TEXT = "für Größe \u2615 \U0001f600"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16", "utf-8"])
def test_json_in_a_pipe_is_utf_8_whatever_the_locale(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    r"""RFC 8259, section 8.1. What Python makes of what an encoding lacks, `\xfc`, is no JSON at all."""
    monkeypatch.setenv("COLUMNS", "40")
    pipe = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    Console(pipe).json("x", {"text": TEXT * 9})
    assert TEXT * 9 == json.loads(pipe.buffer.getvalue().decode())["text"]


def test_a_document_is_never_folded_and_steers_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML that is folded at the width of a terminal says something else, or nothing."""
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    write_document(terminal, "# a comment of more than twenty words " * 3 + "\r\na: \x1b[2J\n")
    assert "# a comment of more than twenty words " * 3 + "\na: \\x1b[2J\n" == terminal.getvalue()


def test_an_error_has_its_code_and_its_hint() -> None:
    lines = error_lines(NotFoundError("there is no decision `x`", hint="look again"))
    assert ["error: there is no decision `x` [NOT_FOUND]", "hint: look again"] == lines


def test_one_problem_stands_on_the_first_line_with_its_place() -> None:
    problem = Problem(
        code="FIELD_UNKNOWN", message="unknown key `x`", span=Span("f.yml", 3, 7), hint="did you mean `y`?"
    )
    expected = ["error: invalid request: f.yml:3:7: unknown key `x` [FIELD_UNKNOWN]", "hint: did you mean `y`?"]
    assert expected == error_lines(InvalidRequestError([problem]))


@pytest.mark.parametrize("count", [2, 8, 9, 10, 500])
def test_many_problems_take_at_most_ten_lines_and_none_is_forgotten(count: int) -> None:
    lines = error_lines(InvalidRequestError([Problem(code="C", message=f"m{i:04}") for i in range(count)]))
    assert len(lines) <= 10
    listed = [line for line in lines if "[C]" in line]
    more = int(re.findall(r"and (\d+) more", lines[-1])[0]) if "more" in lines[-1] else 0
    assert count == len(listed) + more


def test_an_error_line_is_cropped_and_safe() -> None:
    (line,) = error_lines(LumynError("x" * 10_000))
    assert len(line) < 600
    first, second = error_lines(LumynError("a\x1b[2J\nb\u202e"))
    assert ("error: a\\x1b[2J [LUMYN_ERROR]", "  b\\u{202e}") == (first, second)


def test_a_terminal_that_does_not_know_its_size_has_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh pseudo-terminal says 0."""
    pty = pytest.importorskip("pty")
    monkeypatch.delenv("COLUMNS", raising=False)
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as stream, open(ours, "rb"):
        assert 80 == Console(stream).width
