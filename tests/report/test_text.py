"""What a failure looks like: the lines themselves, folding, verbosity, and that no data drives a terminal."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vector_suites import POLICY, Root

from lumyn.core.decide import Gate
from lumyn.model import JsonObject
from lumyn.report.folding import folded
from lumyn.report.text import Segment, Style, headline, plain, printable, render, terminal_markup
from lumyn.vectors import RunHooks, VectorResult, run


@pytest.fixture
def suite_root(tmp_path: Path) -> Root:
    """A suite root with a policy."""
    root = Root(tmp_path)
    root.write("policies/p.yml", POLICY)
    return root


def drifted(root: Root) -> VectorResult:
    """Return the drift of a limit that was moved."""
    (root.path / "policies/p.yml").write_text(POLICY.replace("trust_max: 25", "trust_max: 250"), encoding="utf-8")
    text = """\
    - name: limit
      request: { $use: small }
      table:
        columns: [id, request.action.amount.value, expect.verdict, expect.reason_codes]
        rows: [[at_limit, 200, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]]]
    """
    return run(root.suite(text, name="vectors/refund/limits.yaml").vectors[0])


def test_a_failure(suite_root: Root) -> None:
    """Place, verdicts, codes lost and gained, deciding rule, nearest miss, memory, and how to run it again."""
    expected = """\
vectors/refund/limits.yaml:14 limit[at_limit]   verdict ESCALATE -> TRUST   reason_codes -NO_MATCH_DEFAULT_ESCALATE +ACME_SMALL
  looser        more permissive than expected
  decided by    R050 (TRUST_PATHS) policies/p.yml:40   amount_usd 200 <= 250
  nearest miss  R030 (ESCALATIONS) amount_usd 200 > 200 is false; more than 200 would ESCALATE
  memory        0 items, failure_similarity 0
  rerun         pytest "vectors/refund/limits.yaml::limit[at_limit]" --lumyn-vectors"""  # noqa: E501 - the line is the point
    assert expected == plain(render(drifted(suite_root), width=200))


def test_a_narrow_terminal(suite_root: Root) -> None:
    """Words are kept whole, the command can be copied."""
    expected = """\
vectors/refund/limits.yaml:14 limit[at_limit]
  verdict ESCALATE -> TRUST   reason_codes
  -NO_MATCH_DEFAULT_ESCALATE +ACME_SMALL
  looser  more permissive than expected
  decided by  R050 (TRUST_PATHS)
    policies/p.yml:40   amount_usd 200 <= 250
  nearest miss  R030 (ESCALATIONS) amount_usd
    200 > 200 is false; more than 200 would
    ESCALATE
  memory  0 items, failure_similarity 0
  rerun  pytest "vectors/refund/limits.yaml::limit[at_limit]" --lumyn-vectors"""
    assert expected == plain(render(drifted(suite_root), width=48))


def test_a_group_that_fits_a_line_is_not_torn(suite_root: Root) -> None:
    """What changed and what a rule compared begin a line rather than ending in the next."""
    lines = plain(render(drifted(suite_root), width=80)).split("\n")
    assert lines[:2] == [
        "vectors/refund/limits.yaml:14 limit[at_limit]   verdict ESCALATE -> TRUST",
        "  reason_codes -NO_MATCH_DEFAULT_ESCALATE +ACME_SMALL",
    ]
    lines = plain(render(drifted(suite_root), width=70)).split("\n")
    place = lines.index("  decided by    R050 (TRUST_PATHS) policies/p.yml:40")
    assert "                amount_usd 200 <= 250" == lines[place + 1]


@pytest.mark.parametrize("width", [0, 40, 59, 60, 80, 100, 200])
def test_lines_fit_and_nothing_is_lost(suite_root: Root, width: int) -> None:
    """Only a word that is longer than the width may stick out, and the command, which must be copied whole."""
    result = drifted(suite_root)
    lines = plain(render(result, width=width)).split("\n")
    for line in lines[:-1]:
        assert len(line) <= max(width, 40) or len(line.split()) == 1
    assert [line.rstrip() for line in lines] == lines
    assert lines[-1].endswith('pytest "vectors/refund/limits.yaml::limit[at_limit]" --lumyn-vectors')
    assert plain(render(result, width=1000)).split() == plain(render(result, width=width)).split()


def test_the_headline_is_one_line_and_carries_everything(suite_root: Root) -> None:
    """It becomes the message of a summary and of JUnit."""
    text = headline(drifted(suite_root))
    assert "\n" not in text
    assert text == plain(render(drifted(suite_root), width=1000, verbosity=-1))
    for part in ("limits.yaml:14", "limit[at_limit]", "ESCALATE -> TRUST", "-NO_MATCH", "+ACME_SMALL"):
        assert part in text


def test_passing_vectors_say_their_verdict(suite_root: Root) -> None:
    """OK is not ALLOW."""
    text = "- { name: one, request: { $use: small }, expect: { verdict: TRUST } }\n"
    assert "vectors/a.yaml:10 one TRUST (ACME_SMALL)" == plain(render(suite_root.run(text)))


def test_styles_name_what_a_piece_is(suite_root: Root) -> None:
    """Colour is never the only carrier: the text is the same without."""
    (first, *_) = render(drifted(suite_root), width=1000)
    styled = {segment.text: segment.style for segment in first if segment.style is not Style.PLAIN}
    assert {
        "vectors/refund/limits.yaml:14": Style.PLACE,
        "limit[at_limit]": Style.NAME,
        "ESCALATE": Style.ESCALATE,
        "TRUST": Style.TRUST,
        "-NO_MATCH_DEFAULT_ESCALATE": Style.LOST,
        "+ACME_SMALL": Style.GAINED,
    } == styled
    assert {"red": True} == terminal_markup(Style.LOST)
    assert not {"yellow", "blue", "cyan", "white"} & {name for style in Style for name in terminal_markup(style)}
    assert {} == terminal_markup(Style.PLAIN)


def test_other_drifts_are_named(suite_root: Root) -> None:
    """Operators as they would be said; an order that differs; a member of the record."""
    text = """\
    - name: one
      request: { $use: small, $with: { evidence.ticket_id: null } }
      expect:
        verdict: QUERY
        reason_codes: [ACME_SMALL, ACME_ASK]
        matched_rules: [R010]
        queries: { is_empty: true }
        risk_signals: { uncertainty_score: { gte: 0.1, lt: 0.2 } }
        record: { policy: { mode: advisory }, links: 1 }
    """
    lines = plain(render(suite_root.run(text), width=200)).split("\n")
    entries = [" ".join(line.split()) for line in lines[1:6]] + [" ".join(lines[6].split())]
    assert [
        'reason_codes expected ["ACME_SMALL", "ACME_ASK"], got ["ACME_ASK", "ACME_SMALL"]',
        "matched_rules +R050",
        "queries +ticket_id",
        "risk_signals uncertainty_score expected >= 0.1 and < 0.2, got 0.5",
        'record policy.mode expected "advisory", got "enforce"',
        "record links expected 1, got absent",
    ] == entries


def test_a_scenario_shows_its_steps(suite_root: Root) -> None:
    """Verdict by verdict, up to the one that drifted; the place is that of the step."""
    text = """\
    - name: story
      steps:
        - decide: { id: first, request: { $use: small } }
          expect: { verdict: TRUST }
        - advance: P1D
        - decide: { id: second, request: { $use: small } }
          expect: { verdict: ESCALATE, reason_codes: [ACME_LARGE] }
        - restart: {}
        - replay: { decision: first, expect: identical }
    """
    lines = plain(render(suite_root.run(text), width=200)).split("\n")
    assert lines[0].startswith("vectors/a.yaml:15 story step second   verdict ESCALATE -> TRUST")
    assert "  looser        more permissive than expected" == lines[1]
    assert "  steps         first TRUST, advance P1D, second TRUST (2 not run)" == lines[2]


def test_an_error_is_shown_with_its_problems(suite_root: Root) -> None:
    """What came out instead of a record, and why, by pointer."""
    text = "- { name: one, request: { $use: small, $with: { action.amount.value: -1 } }, expect: { verdict: TRUST } }\n"
    lines = plain(render(suite_root.run(text), width=200)).split("\n")
    assert "vectors/a.yaml:10 one   outcome TRUST -> INVALID_REQUEST_SCHEMA" == lines[0]
    assert lines[1].startswith("  error         /action/amount/value: ")
    assert lines[1].endswith("[NUMBER_OUT_OF_RANGE]")


def test_an_error_that_did_not_come_is_shown(suite_root: Root) -> None:
    """With the rule that decided instead."""
    text = "- { name: one, request: { $use: small }, expect: { error: INVALID_REQUEST_SCHEMA } }\n"
    lines = plain(render(suite_root.run(text), width=200)).split("\n")
    assert "vectors/a.yaml:10 one   outcome INVALID_REQUEST_SCHEMA -> TRUST" == lines[0]
    assert lines[3].startswith("  decided by    R050")


def test_an_invalid_vector_lists_its_problems(suite_root: Root) -> None:
    """Each with its place."""
    result = run(suite_root.suite("- { name: one, request: { $use: small }, expect: {} }\n").vectors[0])
    lines = plain(render(result, width=200)).split("\n")
    assert "vectors/a.yaml:10 one cannot run: 1 problem" == lines[0]
    assert lines[1].startswith("  vectors/a.yaml:10:52: `expect` expects nothing [EXPECT_EMPTY]")


def test_more_verbosity_itemises_and_then_shows_everything(suite_root: Root) -> None:
    """By path first; request and record after that."""
    text = """\
    - name: one
      request: { $use: small }
      expect: { verdict: TRUST, matched_rules: [R030] }
    """
    result = suite_root.run(text)
    normal, more, most = (plain(render(result, width=120, verbosity=level)) for level in (0, 1, 2))
    assert "differences" not in normal
    assert "    matched_rules.0" in more
    assert '"inputs_digest": "sha256:' not in more
    assert '"inputs_digest": "sha256:' in most
    assert '"ticket_id": "T-1"' in most


def test_many_differences_are_cut(suite_root: Root) -> None:
    """A page is enough."""
    codes = ", ".join(f"{{ rule_id: R050, reason_codes: [ACME_C{number}] }}" for number in range(30))
    declared = "".join(f"  ACME_C{number}: x.\n" for number in range(30))
    emitting = ", ".join(f"ACME_C{number}" for number in range(30))
    policy = POLICY.replace("thresholds:", f"{declared}thresholds:").replace(
        "[ACME_LARGE]", f"[ACME_LARGE, {emitting}]"
    )
    (suite_root.path / "policies/p.yml").write_text(policy, encoding="utf-8")
    text = f"- {{ name: one, request: {{ $use: small }}, expect: {{ matched_rules: [{codes}] }} }}\n"
    shown = plain(render(suite_root.run(text), width=120, verbosity=1))
    assert "differences   32" in shown
    assert "and 12 more" in shown
    assert len(shown.split("\n")) < 40


def test_the_rerun_command_can_be_another(suite_root: Root) -> None:
    """Not everybody runs pytest at the suite root."""
    assert "rerun         lumyn vectors run x" in plain(render(drifted(suite_root), rerun="lumyn vectors run x"))


HOSTILE = "\x1b[31mred\x1b[0m\r\n\x07\x9b\u202eevil\u2066\u2028\ud800\u200b\U000e0001"


def test_printable() -> None:
    """Everything a terminal obeys, or nobody sees, is written out."""
    shown = printable(HOSTILE)
    assert shown.isprintable()
    assert r"\x1b[31mred\x1b[0m\x0d\x0a\x07\x9b\u202eevil\u2066\u2028\ud800\u200b\U000e0001" == shown
    assert "Grüße 日本" == printable("Grüße 日本")


@given(st.text())
def test_printable_is_printable_and_keeps_what_was(text: str) -> None:
    """For any text; printable text comes back unchanged."""
    assert printable(text).isprintable()
    assert (text == printable(text)) is text.isprintable()


def test_no_data_reaches_a_terminal_raw(suite_root: Root) -> None:
    """Summaries and evidence come from requests, which can hold what a vector file cannot."""
    hostile = "\x1b[31mred\x1b[0m\x07\x9b2J"

    def request(document: JsonObject) -> JsonObject:
        return {**document, "evidence": {"ticket_id": hostile, "note": hostile, "risk": 0.1}}

    def seed(gate: Gate) -> None:
        gate.seed("failure", next(vector.decisions).request, summary=hostile)

    text = (
        "- { name: one, request: { $use: small }, expect: { verdict: TRUST, record: { request: { evidence: [] } } } }\n"
    )
    vector = suite_root.vector(text)
    result = run(vector, hooks=RunHooks(request=request, seed=seed))
    assert result.record is not None
    assert hostile == result.record.similarity.top_k[0].summary
    for level in (-1, 0, 1, 2):
        lines = render(result, width=80, verbosity=level)
        assert all(segment.text.isprintable() for line in lines for segment in line)
    assert r"\x1b[31mred" in plain(render(result))


def test_wide_characters_count_twice() -> None:
    """Columns, not code points."""
    from lumyn.report.folding import _columns

    assert 2 == _columns("日")
    assert 1 == _columns("é")
    assert 1 == _columns(unicodedata.normalize("NFD", "é"))
    assert Segment("x") == Segment("x", Style.PLAIN)


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_a_folded_line_keeps_its_words_and_its_indent(width: int) -> None:
    """Further lines stand two columns further in; what fits is left as it is."""
    line = "  missing: R020 risk >= 0.7: no request at 0.7 that it decides  (+7)"
    lines = folded(line, width)
    assert line.split() == " ".join(lines).split()
    assert all(len(each) <= width for each in lines)
    assert lines[0].startswith("  missing")
    assert all(each.startswith("    ") and not each.startswith("     ") for each in lines[1:])
    assert [line] == folded(line, len(line))
