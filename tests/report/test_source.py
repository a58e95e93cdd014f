"""A policy's text in pieces: nothing is lost, and each line belongs to what the loader says begins there."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin.shop import POLICY

from lumyn.policy.loader import parse_policy
from lumyn.report.source import DEFAULTS, pieces, required_name, rule_name, threshold_name

BLOCK = (
    POLICY.replace(
        "thresholds: {trust_up_to_usd: 25, escalate_over_usd: 200}",
        "thresholds:\n  # up to here\n  trust_up_to_usd: 25\n\n  # from here\n  escalate_over_usd: 200",
    )
    .replace("  - id: R020", "\n  # What is too risky.\n  - id: R020")
    .replace("rules:", "# The rules.\nrules:")
)
AFTER = "\n# What must hold.\ninvariants:\n  - {fail_closed: all}\n"


def about(source: str, file: str = "p.yml") -> dict[str, list[str]]:
    """Return what each piece is about -> the lines, in order."""
    found: dict[str, list[str]] = {}
    for piece in pieces(parse_policy(source, file=file)):
        for name in piece.about or ("",):
            found.setdefault(name, []).extend(piece.lines)
    return found


@pytest.mark.parametrize(
    "source",
    [POLICY, BLOCK, BLOCK + AFTER, BLOCK.replace("\n", "\r\n"), POLICY.rstrip("\n"), POLICY + "\n\n# the end\n"],
    ids=["flow", "block", "after", "crlf", "no_line_end", "comment"],
)
def test_no_line_is_lost_or_counted_twice(source: str) -> None:
    """The pieces follow each other and are the text."""
    found = pieces(parse_policy(source, file="p.yml"))
    assert source.splitlines() == [line for piece in found for line in piece.lines]
    line = 1
    for piece in found:
        assert line == piece.line
        assert piece.lines
        line += len(piece.lines)


def test_rules_end_where_they_end() -> None:
    """Comments above a rule, blank lines, and the section behind the last one are not a rule's."""
    found = about(BLOCK + AFTER)
    assert ["  - id: R010", "    then: {verdict: QUERY, reason_codes: [TICKET_MISSING]}"] == [
        found[rule_name("R010")][0],
        found[rule_name("R010")][-1],
    ]
    assert 5 == len(found[rule_name("R050")])
    assert {"  # What is too risky.", "# The rules.", "rules:", "# What must hold.", "  - {fail_closed: all}"} <= {
        *found[""]
    }


def test_thresholds_keys_and_defaults_have_lines() -> None:
    """In block style each its own, in flow style together."""
    found = about(BLOCK)
    assert ["  escalate_over_usd: 200"] == found[threshold_name("escalate_over_usd")]
    assert ["  trust_up_to_usd: 25"] == found[threshold_name("trust_up_to_usd")]
    assert ["  support.refund: [ticket_id]"] == found[required_name("support.refund")]
    assert found[DEFAULTS][0].startswith("defaults: {mode")
    line = "thresholds: {trust_up_to_usd: 25, escalate_over_usd: 200}"
    flow = next(piece for piece in pieces(parse_policy(POLICY, file="p.yml")) if line in piece.lines)
    assert (threshold_name("trust_up_to_usd"), threshold_name("escalate_over_usd")) == flow.about


def test_every_rule_of_our_policies_begins_where_its_id_stands() -> None:
    """The starter policies, as they are shipped."""
    for path in sorted((Path(__file__).parents[2] / "policies").glob("*.yml")):
        policy = parse_policy(path.read_text(encoding="utf-8"), file=path.name)
        first = {piece.about: piece.lines[0] for piece in reversed(pieces(policy)) if piece.about}
        for rule in policy.rules:
            assert f"- id: {rule.rule_id}" == first[(rule_name(rule.rule_id),)].strip()
