"""The HTML page of a run: what stands beside a policy's lines, who can read it, and that data stays text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

import pytest
from plugin.shop import POLICY
from report.results import vector as usual_vector

from lumyn.policy.loader import parse_policy
from lumyn.report.html import render
from lumyn.report.run import Cause, Edit, Mark, RunReport, Strength, SuiteError, Table, VectorReport, policy_report
from lumyn.report.source import DEFAULTS, required_name, rule_name, threshold_name

HOSTILE = "\"><script>alert('1')</script>&amp;\u202e\x1b[31m"
LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3: text against what is behind it."""

SHOP = parse_policy(POLICY, file="policies/shop.yml")
VOID = {"meta", "input", "br"}


class Page(HTMLParser):
    """Collects what the tests ask about, and holds that every element is closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, Mapping[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert [] == self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self._open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & {*self._open}:
            self.text.append(data)

    def attributes(self, tag: str) -> list[Mapping[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.tags if "id" in attributes]


def vector(name: str = "one", outcome: str = "passed", **members: object) -> VectorReport:
    """Return a result under the policy of the shop."""
    rule = {"reason_codes": ("REFUND_SMALL",), "matched_rules": ("R050",), "decided_by": ("R050",)}
    return usual_vector(name, outcome, **({"policy_hash": SHOP.policy_hash} | rule | members))


def mark(aim: str, state: str, *about: str, vector: str = "", example: str = "") -> Mark:
    return Mark(aim=aim, missing=f"{aim} missing", state=state, vector=vector, example=example, about=about)


def edit(kind: str, name: str, about: str, reason: str = "") -> Edit:
    return Edit(kind=kind, mutant_id=name, text=f"edit {name}", request=f"told by {name}", about=about, reason=reason)


MARKS = (
    mark("fires", "met", rule_name("R050"), vector="vectors/a.yml::one"),
    mark("decides", "open", rule_name("R020"), example="support.refund 3 USD"),
    mark("never ever", "impossible", rule_name("R020")),
    mark("too hard", "unknown", rule_name("R020")),
    mark("only ticket_id missing", "open", required_name("support.refund"), rule_name("R010")),
    mark("no rule fires", "open", DEFAULTS),
)
EDITS = (
    edit("unknown", "R020/bound", rule_name("R020")),
    edit("new TRUST", "thresholds/trust_up_to_usd/up", threshold_name("trust_up_to_usd")),
    *(edit("new TRUST", f"R020/{number}", rule_name("R020")) for number in range(7)),
    edit("reason codes only", "R050/code", rule_name("R050")),
    edit("accepted", "R040/rule", rule_name("R040"), reason="nobody minds"),
)
STRENGTH = Strength(
    policy=SHOP,
    coverage=Table(
        title="c", note="4 decisions.", columns=("criterion", "a", "b", "c", "d"), rows=(("x", "1", "2", "0", ""),)
    ),
    mutation=Table(title="m", note="9 mutants."),
    marks=MARKS,
    edits=EDITS,
    reads={"R050": ("trust_up_to_usd",)},
)


def report(*vectors: VectorReport, strength: Strength | None = STRENGTH, **members: object) -> RunReport:
    shown = vectors or (vector(),)
    policy = policy_report(
        shown,
        policy_id="shop",
        policy_version="1.0.0",
        policy_hash=SHOP.policy_hash,
        path="policies/shop.yml",
        policy=SHOP,
    )
    strengths = {} if strength is None else {SHOP.policy_hash: strength}
    return RunReport(version="1", vectors=shown, policies=(policy,), strengths=strengths, **members)  # type: ignore[arg-type]


FAILED = vector(
    "two",
    "failed",
    expected="ESCALATE",
    direction="looser",
    summary="verdict ESCALATE -> TRUST",
    explanation=("first", "  decided by R050"),
    cause=Cause("ESCALATE -> TRUST", "R050", "policies/shop.yml:37"),
)


def beside(page: str, name: str) -> str:
    """Return what stands beside the lines that are about something, without markup."""
    begin = page.index(f"<p><strong>{name}</strong>")
    end = min(found for mark in ("</div></div>", "<p><strong>") if (found := page.find(mark, begin + 1)) > 0)
    return " ".join(re.sub(r"<[^>]+>", " ", page[begin:end]).split())


def test_goals_and_edits_stand_beside_their_lines() -> None:
    """A goal is called met, open, impossible or unknown; the gravest edits come first, the others are folded."""
    page = render(report())
    assert "rule R050 fired in 1 vector, decides 1 met fires" in beside(page, "rule R050")
    assert "open decides such as support.refund 3 USD" in beside(page, "rule R020")
    assert "impossible (proved) never ever" in beside(page, "rule R020")
    assert "unknown too hard may be impossible: given up over budget" in beside(page, "rule R020")
    assert "never fired" in beside(page, "rule R020")
    assert "open only ticket_id missing" in beside(page, "rule R010")
    assert "open only ticket_id missing" in beside(page, "required for support.refund")
    assert "open no rule fires" in beside(page, "defaults")
    assert "new TRUST edit thresholds/trust_up_to_usd/up" in beside(page, "threshold trust_up_to_usd")
    assert "reads trust_up_to_usd : 1 new TRUST" in beside(page, "rule R050")
    assert "accepted: nobody minds" in beside(page, "rule R040")
    guard = beside(page, "rule R020")
    assert guard.index("unknown edit R020/bound") < guard.index("new TRUST edit R020/0")
    assert "further edits nobody would notice: 3 new TRUST" in guard


def test_links_lead_to_the_lines_and_to_the_vectors() -> None:
    """From the matrix, an open goal, an edit and a failing vector to the lines; from a met goal to its vector."""
    page = render(report(vector(), FAILED))
    here = f"#policy-{SHOP.policy_hash[7:19]}"
    targets = {attributes["href"] for attributes in Page(page).attributes("a")}
    assert {f"{here}-37", f"{here}-22", f"{here}-11", f"{here}-13", f"{here}-4", "#vector-1"} <= targets
    assert f'decided by <a href="{here}-37"><code>R050</code></a>' in page
    assert {target.removeprefix("#") for target in targets if target} <= {*Page(page).ids}
    line = POLICY.splitlines()[36].replace("&", "&amp;")
    assert f'<li id="{here[1:]}-37">{line}</li>' in page


def test_without_coverage_the_source_says_what_fired() -> None:
    """As where nobody asked for coverage."""
    page = render(report(strength=None))
    assert "rule R050 fired in 1 vector, decides 1" == beside(page, "rule R050")
    assert "Coverage" not in page
    assert "threshold trust_up_to_usd" not in page


@pytest.mark.parametrize(
    "run",
    [
        report(),
        report(
            vector(), FAILED, failures=("the run was stopped",), errors=(SuiteError(path="a", line=3, message="b"),)
        ),
        report(strength=None),
        RunReport(version="1", vectors=()),
        replace(
            report(), policies=(*report().policies, replace(report().policies[0], policy_hash="sha256:" + "1" * 64))
        ),
    ],
    ids=["green", "red", "plain", "empty", "two"],
)
def test_the_page_can_be_read_by_everybody(run: RunReport) -> None:
    """Landmarks, headings without gaps, scoped headers, names for what scrolls, unique ids, no handlers, no styles."""
    page = Page(render(run))
    names = [name for name, _ in page.tags]
    assert 1 == names.count("h1") == names.count("main") == names.count("header") == names.count("footer")
    levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.attributes("th"))
    assert len(page.ids) == len(set(page.ids))
    for _, attributes in page.tags:
        assert "style" not in attributes
        assert not any(name.startswith("on") or name in ("src", "srcset", "action") for name in attributes)
        named = {
            *(attributes.get("aria-labelledby") or "").split(),
            *(attributes.get("aria-describedby") or "").split(),
        }
        assert named <= {*page.ids}
        assert "tabindex" not in attributes or "aria-labelledby" in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert all("hidden" in attributes for attributes in page.attributes("form"))  # until the script shows it


def test_a_line_never_ends_within_an_arrow_or_behind_a_sign() -> None:
    """Browsers break lines at hyphens; nothing but the words with one is touched, and nothing is lost."""
    line = "  verdict ESCALATE -> TRUST   reason_codes -A_CODE +OTHER"
    page = render(report(replace(FAILED, explanation=(line,))))
    kept = line.replace("->", '<span class="word">-&gt;</span>').replace("-A_CODE", '<span class="word">-A_CODE</span>')
    assert f"<div>{kept}</div>" in page
    assert line in "".join(Page(page).text)


def test_data_is_text_wherever_it_stands() -> None:
    """Ids, reasons, names of files and vectors, explanations and requests cannot become markup or be invisible."""
    failed = replace(
        FAILED,
        node_id=HOSTILE,
        vector=HOSTILE,
        expected=HOSTILE,
        reason_codes=(HOSTILE,),
        decided_by=(HOSTILE, "R050"),
        matched_rules=(HOSTILE,),
        explanation=(HOSTILE,),
        summary=HOSTILE,
        cause=Cause(HOSTILE, HOSTILE, HOSTILE),
    )
    strength = replace(
        STRENGTH,
        coverage=Table(title=HOSTILE, note=HOSTILE, columns=(HOSTILE,) * 5, rows=((HOSTILE,) * 5,)),
        mutation=Table(title=HOSTILE, note=HOSTILE),
        marks=tuple(replace(each, aim=HOSTILE, missing=HOSTILE, example=HOSTILE, vector=HOSTILE) for each in MARKS),
        edits=tuple(replace(each, mutant_id=HOSTILE, text=HOSTILE, request=HOSTILE, reason=HOSTILE) for each in EDITS),
    )
    error = SuiteError(path=HOSTILE, line=1, message=HOSTILE)
    run = report(vector(HOSTILE), failed, strength=strength, failures=(HOSTILE,), errors=(error,))
    run = replace(
        run,
        version=HOSTILE,
        policies=tuple(replace(each, policy_id=HOSTILE, policy_version=HOSTILE, path=HOSTILE) for each in run.policies),
    )
    text = render(run)
    page = Page(text)
    assert 1 == len(page.attributes("script"))
    assert "alert('1')" in "".join(page.text)
    for invisible in ("\u202e", "\x1b"):
        assert invisible not in text


def test_a_line_that_goes_on_is_marked_so_that_narrow_screens_fold_it_again() -> None:
    """Sixteen blanks and a long word are wider than a phone: the word would stand below an empty line."""
    said = ("  decided by    R310 and", "                previous_refund_count_90d 0 < 2", "  memory        0 items")
    page = render(report(replace(FAILED, explanation=said)))
    assert '<div class="on">                previous_refund_count_90d 0 &lt; 2</div><div>  memory' in page
    assert ".said .on { text-indent: 0; white-space: pre-line; }" in page


def test_a_large_run_stays_small() -> None:
    """Less than 500 bytes for a vector that passed; few of the drifts of one cause are explained."""
    size = len(render(report(*(vector(f"v{number}") for number in range(1000)), strength=None)))
    assert 500 * 1000 > size - len(render(report(strength=None)))
    many = [replace(FAILED, node_id=f"vectors/a.yml::v{number}") for number in range(1000)]
    assert 10 == render(report(*many)).count('class="said"')
    apart = [replace(each, cause=Cause(f"change {place}")) for place, each in enumerate(many)]
    page = render(report(*apart))
    assert 50 == page.count('class="said"')
    assert "and 950 causes more, in the table of every vector" in page


def colours(theme: str) -> dict[str, str]:
    """Return the variables of the style in one theme."""
    style = files("lumyn.report").joinpath("page.css").read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", part))
        for part in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    return light if theme == "light" else light | dark


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2.2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_can_be_read_on_every_paper(theme: str) -> None:
    """At least 4.5 to 1 for each colour of text on each background."""
    found = colours(theme)
    papers = {name: found.pop(name) for name in ("paper", "raised", "mark")}
    del found["line"]  # only ever a border
    assert len(found) > 6
    for name, ink in found.items():
        for paper, behind in papers.items():
            bright, dim = sorted((luminance(ink), luminance(behind)), reverse=True)
            contrast = (bright + 0.05) / (dim + 0.05)
            assert contrast >= LEAST_CONTRAST, f"{name} on {paper}: {contrast:.2f}"
