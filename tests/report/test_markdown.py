"""Markdown shows data as it is: a reference renderer makes the same text of it again, and no markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from plugin.shop import POLICY
from report.results import vector

from lumyn.policy.loader import parse_policy
from lumyn.report.markdown import code, render, table
from lumyn.report.run import Cause, RunReport, Strength, SuiteError, Table
from lumyn.report.text import printable

RENDERER = MarkdownIt("commonmark", {"html": True}).enable("table")
WORDS = st.text(alphabet=st.sampled_from("ab` |<>&*_[]()\\\n\u202e#@-"), min_size=1, max_size=12)


def cells(markdown: str) -> list[str]:
    """Return the text of every cell of the tables in a document, as a reader sees it."""
    found = re.findall(r"<td[^>]*>(.*?)</td>", RENDERER.render(markdown), flags=re.DOTALL)
    return [unescape(re.sub(r"</?code>", "", cell)) for cell in found]


@given(text=WORDS)
@example(text="`")
@example(text="a|b")
@example(text="``|``")
def test_a_cell_shows_exactly_its_text(text: str) -> None:
    """Backticks, bars and tags inside of a cell stay text, and the cell stays one."""
    shown = printable(text)
    rows = "\n".join(table(["one", "two"], [[code(text, cell=True), "end"]]))
    first, second = cells(rows)
    assert "end" == second
    assert (shown if shown.strip() else "") == first.strip() or shown.strip() == first.strip()


def test_the_first_lines_say_it_all() -> None:
    """Passed, failed, nothing, a part."""
    one = vector()
    loose = vector(outcome="failed", direction="looser", cause=Cause("ESCALATE -> TRUST", "R1", "p.yml:3"), summary="x")
    error = SuiteError(path="a.yml", line=3, message="broken")
    assert ["## Lumyn vectors: passed", "", "1 vector, none failed"] == head(RunReport(version="1", vectors=(one,)))
    assert ["## Lumyn vectors: empty", "", "no vector was found"] == head(RunReport(version="1", vectors=()))
    assert ["## Lumyn vectors: empty", "", "no vector ran (not every vector ran)"] == head(
        RunReport(version="1", vectors=(), complete=False)
    )
    assert ["## Lumyn vectors: failed", "", "the run failed, no vector was found"] == head(
        RunReport(version="1", vectors=(), failures=("x",))
    )[:3]
    assert [
        "## Lumyn vectors: failed",
        "",
        "1 of 2 vectors failed, 1 more permissive than expected (not every vector ran)",
    ] == head(RunReport(version="1", vectors=(one, loose), complete=False))
    assert ["## Lumyn vectors: failed", "", "1 vector, none failed, 1 file could not be read"] == head(
        RunReport(version="1", vectors=(one,), errors=(error, replace(error, line=4)), complete=True)
    )
    stopped = RunReport(version="1", vectors=(one,), failures=("interrupted",))
    assert ["## Lumyn vectors: failed", "", "the run failed, 1 vector, none failed"] == head(stopped)
    assert "- `interrupted`" in render(stopped).splitlines()
    assert head(RunReport(version="1", vectors=(vector(outcome="skipped"),)))[0] == "## Lumyn vectors: skipped"


def head(report: RunReport) -> list[str]:
    """Return the first three lines."""
    return render(report).splitlines()[:3]


def test_other_parts_have_their_tables() -> None:
    """Such as coverage; markup in them is text."""
    extra = Table(title="Coverage <b>", note="1 of 2", columns=("goal",), rows=(("<i>",),))
    strength = Strength(policy=parse_policy(POLICY, file="p.yml"), coverage=extra, mutation=extra, reads={})
    html = RENDERER.render(render(RunReport(version="1", vectors=(vector(),), strengths={"sha256:0": strength})))
    assert 2 == html.count("Coverage &lt;b&gt;")
    assert "<code>&lt;i&gt;</code>" in html
    assert "<b>" not in html
    assert "\\" not in html


def test_what_does_not_fit_is_left_out_with_a_word() -> None:
    """A step summary has a limit; what is kept is whole, and what is kept is the beginning."""
    failed = [
        vector(outcome="failed", node_id=f"a::{place}", cause=Cause(f"change {place}"), summary="x" * 100)
        for place in range(300)
    ]
    run = RunReport(version="1", vectors=tuple(failed))
    whole = render(run)
    assert whole == render(run, most_bytes=len(whole.encode()) + 200)
    short = render(run, most_bytes=20_000)
    assert len(short.encode()) <= 20_000
    assert short.splitlines()[:5] == whole.splitlines()[:5]
    assert short.count("<details>") == short.count("</details>")
    assert "does not fit" in short.splitlines()[-1]
    assert "does not fit" in render(run, most_bytes=10)


def test_a_long_name_does_not_push_out_the_others() -> None:
    """Each is cut for itself, so that a place with a limit still says what changed, and what else was wrong."""
    long = "|" * 200_000
    rows = tuple(
        vector(
            outcome="failed", node_id=f"{place}{long}", cause=Cause(f"change {place}{long}", long, long), summary=long
        )
        for place in range(1_000)
    )
    error = SuiteError(path=long, line=1, message=f"broken{long}")
    text = render(RunReport(version="1", vectors=rows, errors=(error,), failures=(long,)), most_bytes=1_000_000)
    assert len(text.encode()) <= 1_000_000
    assert "The rest does not fit" not in text
    assert 50 == text.count("`change ")
    assert "`broken|" in text
