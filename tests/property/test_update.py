"""
Updating one expectation changes that value's text and not a byte more: hand-written awkward files and generated ones.
What must come out is known beforehand, as each file is written twice: with the wrong and with the right expectation.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from awkward import Awkward, awkward_files, marked
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples
from vector_suites import POLICY

from lumyn.vectors import Outcome, load_suite, run
from lumyn.vectors.rewrite import rewrite
from lumyn.vectors.update import propose

pytestmark = pytest.mark.property

FILES = awkward_files()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repo")
    (root / "policies").mkdir()
    (root / "vectors").mkdir()
    (root / "policies" / "p.yml").write_text(POLICY, encoding="utf-8")
    return root


def update(root: Path, file: Awkward) -> bytes:
    """Update every vector of a file that drifts; return the bytes that come of it. All of them pass afterwards."""
    path = root / "vectors" / file.name
    path.write_bytes(file.before)
    suite = load_suite(path, root=root, revising=True)
    assert () == suite.problems
    results = [result for result in map(run, suite.vectors) if result.outcome is not Outcome.PASSED]
    assert results
    written = rewrite(propose(results, root=root, accept_looser=True), root=root)
    assert () == written.refused
    suite = load_suite(path, root=root)
    assert {Outcome.PASSED} == {run(vector).outcome for vector in suite.vectors}
    return path.read_bytes()


def test_there_are_enough_awkward_files() -> None:
    assert len(FILES) >= 50


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_awkward_file(root: Path, file: Awkward) -> None:
    """Byte for byte what somebody would have typed."""
    assert file.after.decode() == update(root, file).decode()


OUTCOMES = {
    12: ("TRUST", "ACME_SMALL"),
    25: ("TRUST", "ACME_SMALL"),
    100: ("ESCALATE", "NO_MATCH_DEFAULT_ESCALATE"),
    300: ("ESCALATE", "ACME_LARGE"),
}
CODES = ("ACME_SMALL", "ACME_LARGE", "ACME_RISKY", "NO_MATCH_DEFAULT_ESCALATE")
COMMENTS = ("", "  # TRUST, ESCALATE and ACME_SMALL", " # é 🚦: [a, {b", "   #")
WORDS = (
    "plain",
    "'it''s # quoted'",
    '"\\"ESCALATE\\" \\u00e9"',
    "verdict ESCALATE",
    "[TRUST, ESCALATE]",
    "1.50",
    "ｆｕｌｌ 🙂",
)
QUOTES = ("{}", "'{}'", '"{}"')


@st.composite
def yaml_files(draw) -> Awkward:
    """A suite of several vectors in many styles, of which one expects another verdict or reason code than comes out."""
    pick = lambda *choices: draw(st.sampled_from(choices))  # noqa: E731
    quote, pad, step = pick(*QUOTES), pick("", " "), pick(2, 3, 4)
    lines = ["schema_version: vector.v0", "policy: policies/p.yml", 'clock: "2026-01-15T12:00:00Z"']
    lines = [line + pick(*COMMENTS) for line in lines]
    count = draw(st.integers(1, 4))
    wrong = draw(st.integers(0, count - 1))
    lines.append("vectors:" + pick(*COMMENTS))
    dash = pick("", " " * step)
    for number in range(count):
        amount = pick(*OUTCOMES)
        inner = dash + "  "
        verdict, code = (quote.format(word) for word in OUTCOMES[amount])
        if number == wrong:
            if draw(st.booleans()):
                other = quote.format("ESCALATE" if OUTCOMES[amount][0] == "TRUST" else "TRUST")
                verdict = f"<<{other}|{verdict}>>"
            else:
                other = quote.format(pick(*(each for each in CODES if each != OUTCOMES[amount][1])))
                code = f"<<{other}|{code}>>"
        lines += [dash + f"- name: v{number}" + pick(*COMMENTS)]
        if draw(st.booleans()):
            lines += [f"{inner}x-note: {pick(*WORDS)}"]
        if draw(st.booleans()):
            lines += [f"{inner}why: >-", f"{inner}  verdict: ESCALATE", "", f"{inner}  # reason_codes: [ACME_SMALL]"]
        if draw(st.booleans()):
            lines += pick(["# own line"], [""], [f"{inner}# verdict: TRUST", ""])
        amount_text = f"amount: {{ value: {amount}, currency: USD }}"
        action = f"{{ type: acme.refund, intent: refund, {amount_text} }}"
        lines.append(f"{inner}request: {{ action: {action}, evidence: {{ ticket_id: T-1, risk: 0.1 }} }}")
        lines += draw(expectations(inner, verdict, code, pad, step))
    settings = {pick("crlf", "mixed", "lf"), pick("bom", ""), pick("no-final-newline", "")}
    return marked("generated.yml", "\n".join(lines) + "\n", settings)


@st.composite
def expectations(draw, inner: str, verdict: str, code: str, pad: str, step: int) -> list[str]:
    """An `expect` of a verdict and one reason code, in block or flow style or as the row of a table."""
    comment = draw(st.sampled_from(COMMENTS))
    form = draw(st.sampled_from(["flow", "spread", "block", "block list", "table", "block table"]))
    below = inner + " " * step
    if form == "flow":
        return [f"{inner}expect: {{{pad}verdict: {verdict}, reason_codes: [{pad}{code}{pad}]{pad}}}{comment}"]
    if form == "spread":
        return [
            f"{inner}expect: {{{comment}",
            f"{below}verdict: {verdict} ,",
            f"{below}reason_codes: [{code}]",
            inner + "}",
        ]
    if form == "block":
        return [
            f"{inner}expect:{comment}",
            f"{below}reason_codes: [{code}]{comment}",
            f"{below}verdict:  {verdict}{comment}",
        ]
    if form == "block list":
        return [
            f"{inner}expect:",
            f"{below}verdict: {verdict}{comment}",
            f"{below}reason_codes:{comment}",
            f"{below}# ACME_SMALL",
            f"{below}-   {code}{comment}",
        ]
    columns = f"{below}columns: [id, expect.verdict, expect.reason_codes]"
    if form == "table":
        return [f"{inner}table:", columns, f"{below}rows:", f"{below}  - [a,  {verdict},  [{code}]]{comment}"]
    row = [f"{below}  - - a", f"{below}    - {verdict}{comment}", f"{below}    - - {code}{comment}"]
    return [f"{inner}table:", columns, f"{below}rows:{comment}", *row]


@examples(60)
@given(yaml_files())
def test_one_value_changes_and_nothing_else(root, file):
    """In whatever style, with whatever around it."""
    assert file.after.decode() == update(root, file).decode()


@examples(20)
@given(st.lists(yaml_files(), min_size=1, max_size=4))
def test_one_line_goes_and_one_comes(root, files):
    """What `git diff --stat` says of a word that changes."""
    for file in files:
        old, new = file.before.splitlines(), update(root, file).splitlines()
        assert len(old) == len(new)
        assert 1 == sum(pair[0] != pair[1] for pair in zip(old, new, strict=True))
