"""The canonical layout of policies: what it changes, and that it changes nothing else."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from lumyn.errors import InvalidPolicyError
from lumyn.policy.layout import formatted_policy
from lumyn.policy.loader import parse_policy

ROOT = Path(__file__).resolve().parents[2]
POLICIES = sorted([*(ROOT / "policies").rglob("*.yml"), *(ROOT / "examples").rglob("policies/*.yml")])

MESSY = """\

# head
schema_version:   policy.v0   # at the end
policy_id: "quoted"
policy_version: '1'



thresholds: {a:   1.50, b: 2}
# before the rules
rules:
- id: A
  # inside a rule
  stage:    ESCALATIONS
  if:
      evidence.x_gt: {threshold: a}     # about x

      evidence.y_is: "no"
  then:
    verdict: ESCALATE
    reason_codes:
    - MANUAL_APPROVAL_REQUESTED
    obligations:
      - type: log
        text: |
          one
            # no comment


          two
- {id: B, stage: TRUST_PATHS, if: {evidence.z_present: true, amount_usd_lte: {threshold: b}}, then: {verdict: TRUST, reason_codes: [REFUND_SMALL_LOW_RISK]}}
# the end


"""  # noqa: E501 - one line of it is too long on purpose

NEAT = """\
# head
schema_version: policy.v0  # at the end
policy_id: "quoted"
policy_version: '1'

thresholds: { a: 1.50, b: 2 }
# before the rules
rules:
  - id: A
    # inside a rule
    stage: ESCALATIONS
    if:
      evidence.x_gt: { threshold: a }  # about x

      evidence.y_is: "no"
    then:
      verdict: ESCALATE
      reason_codes:
        - MANUAL_APPROVAL_REQUESTED
      obligations:
        - type: log
          text: |
            one
              # no comment


            two
  - id: B
    stage: TRUST_PATHS
    if: { evidence.z_present: true, amount_usd_lte: { threshold: b } }
    then: { verdict: TRUST, reason_codes: [REFUND_SMALL_LOW_RISK] }
# the end
"""


def test_indentation_spacing_width_comments_and_empty_lines() -> None:
    """Text blocks, quotes, the digits of numbers and every comment stay."""
    assert NEAT == formatted_policy(MESSY, file="p.yml")


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_our_own_policies_are_in_the_canonical_layout(path: Path) -> None:
    """Also the ones that people start from."""
    text = path.read_text(encoding="utf-8")
    assert text == formatted_policy(text, file=str(path))


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_whatever_the_layout_the_hash_stays_and_the_result_is_final(path: Path) -> None:
    """From brackets only, from JSON, from line ends of another system, with and without a byte order mark."""
    policy = parse_policy(path.read_text(encoding="utf-8"), file=str(path))
    compact = json.dumps(policy.document)
    other = path.read_text(encoding="utf-8").replace("\n", "\r\n")
    texts = [compact, other, "\ufeff" + other, indented(policy.source)]
    for text, file in [(compact, "p.json"), *((each, "p.yml") for each in texts)]:
        found = formatted_policy(text, file=file)
        assert policy.policy_hash == parse_policy(found, file=file).policy_hash
        assert found == formatted_policy(found, file=file)
        assert ("\r\n" in text, found.count("\n") if "\r\n" in text else 0) == ("\r" in found, found.count("\r\n"))
        assert not found.startswith("\ufeff")


def indented(text: str) -> str:
    """Return YAML with another indentation."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.indent(mapping=7, sequence=5, offset=1)
    written = io.StringIO()
    yaml.dump(yaml.load(text), written)
    return written.getvalue()


LINES = [number for number in range(len(NEAT.splitlines())) if number not in range(22, 27)]


@pytest.mark.parametrize("number", LINES)
def test_a_comment_on_any_line_of_its_own_is_kept(number: int) -> None:
    """Lines inside a text block apart, where it would be none."""
    lines = NEAT.splitlines()
    found = formatted_policy("\n".join([*lines[:number], f"# note {number}", *lines[number:]]) + "\n", file="p.yml")
    assert 1 == found.count(f"# note {number}")


@pytest.mark.parametrize(
    "text", ["", "a: [", "schema_version: policy.v0\n", NEAT + "x: 1\n", NEAT.replace("TRUST_PATHS", "TRUST")]
)
def test_what_is_no_valid_policy_is_refused_with_its_problems(text: str) -> None:
    with pytest.raises(InvalidPolicyError) as refused:
        formatted_policy(text, file="p.yml")
    assert refused.value.problems
