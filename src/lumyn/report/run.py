"""
What a whole run of vectors amounts to, as typed values: outcomes, drift by cause, rules against verdicts.
Must not know how a run was made or in which format it is written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lumyn.model import JsonObject, Stage, Verdict
from lumyn.policy.spec import Policy
from lumyn.report.source import Piece, pieces

__all__ = [
    "DEFAULT_RULE",
    "OUTCOMES",
    "Cause",
    "Edit",
    "Group",
    "Mark",
    "PolicyReport",
    "RuleRow",
    "RunReport",
    "Strength",
    "SuiteError",
    "Table",
    "VectorReport",
    "by_cause",
    "error_identities",
    "policy_report",
]

UPDATED: Final = "updated"
OUTCOMES: Final = ("passed", "failed", "skipped", "xfailed", UPDATED)
DEFAULT_RULE: Final = "default"
"""What records name where no rule fired."""
_LINE: Final = re.compile(r"\bline \d+")


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """
    What drifts of one root have in common.

    Attributes:
        change: What changed, such as `TRUST -> ESCALATE -REFUND_SMALL`.
        rule: The rule that decides now; empty where nothing was decided.
        place: `file:line` of that rule; empty for the engine's own rules.
    """

    change: str
    rule: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorReport:
    """
    What came of one vector.

    Attributes:
        path: The file, relative to the folder that the run's places are relative to, with forward slashes.
        line: From 1.
        outcome: One of `OUTCOMES`.
        expected: The verdict or verdicts that were expected; empty where the verdict did not drift.
        direction: `looser`, `tighter` or `other` for one that drifted; else empty.
        summary: A drift in one line; empty for one that passed.
        explanation: Why it failed, as lines of plain text; may be empty.
        document: Everything above and the drifts as plain JSON data, as the JSON report holds it.
    """

    node_id: str
    path: str
    line: int
    vector: str
    outcome: str
    verdict: str
    expected: str
    direction: str
    error: str
    reason_codes: tuple[str, ...]
    matched_rules: tuple[str, ...]
    decided_by: tuple[str, ...]
    policy_hash: str
    summary: str
    explanation: tuple[str, ...]
    cause: Cause | None
    document: JsonObject

    @property
    def identity(self) -> str:
        """What tells it from all others of the repository, and stays the same when lines come and go."""
        return f"{self.path}::{self.vector}"

    @property
    def outcome_text(self) -> str:
        """The verdict, else the error the decision ended in, else nothing."""
        return self.verdict or self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Vectors that failed for one cause, sorted by node id; never empty."""

    cause: Cause
    vectors: tuple[VectorReport, ...]

    @property
    def direction(self) -> str:
        """`looser` where any of the vectors became so, else that of the first; `other` where none decided anything."""
        directions = {vector.direction for vector in self.vectors}
        return "looser" if "looser" in directions else self.vectors[0].direction or "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteError:
    """A file that could not be collected; `line` is 0 where none is known."""

    path: str
    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """
    How often a rule took part.

    Attributes:
        stage: Empty for what a policy that could not be read again does not tell.
        line: In the policy file, from 1; 0 for rules of the engine.
        fired: Verdict -> how many vectors had this rule fire and ended in the verdict.
        decided: In how many vectors the rule's effect was the verdict.
    """

    rule_id: str
    stage: str
    effect: str
    line: int
    fired: Mapping[str, int]
    decided: int

    @property
    def total(self) -> int:
        """In how many vectors the rule fired."""
        return sum(self.fired.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReport:
    """
    The rules of one policy against the verdicts of the vectors it decided.

    Attributes:
        path: The policy file; empty where none is known.
        source: Its text in pieces; empty where it could not be read as it was decided with.
        verdicts: Verdict -> vectors, every verdict in order of strictness.
        rules: In the order in which they run, the default last; those that never fired included where the policy
            could be read.
    """

    policy_id: str
    policy_version: str
    policy_hash: str
    path: str
    source: tuple[Piece, ...]
    verdicts: Mapping[str, int]
    rules: tuple[RuleRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Something else to show beside the vectors: a title, a sentence, and rows of text of one length."""

    title: str
    note: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """
    Something vectors should do, beside the lines of the policy that it is about.

    Attributes:
        aim: What is to be done, such as `amount_usd <= 25 at 25.01`.
        missing: What is said where nobody does it, away from the lines, such as `R020 never fired`.
        state: `met`, `open`, `unknown` where it is open and may be impossible, `impossible` where that is proved.
        vector: Node id of a vector that does it; empty unless it is met.
        example: A request that would, in words; may be empty.
        about: As pieces of the source have it; at least one.
    """

    aim: str
    missing: str
    state: str
    vector: str
    example: str
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """
    A small edit of a policy that no vector notices.

    Attributes:
        kind: `new TRUST`, `looser`, `tighter`, `reason codes only`, `unknown`; `accepted` with its `reason`.
        text: What it does, such as `R020 risk >= 0.7 -> > 0.7`.
        request: A request that tells it, and how it is decided before and after; empty where none is known.
        about: As a piece of the source has it.
    """

    kind: str
    mutant_id: str
    text: str
    request: str
    about: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """
    How strong the vectors of one policy are.

    Attributes:
        policy: As the vectors were decided with.
        coverage: The goals counted; None where only mutation was asked for.
        mutation: The edits as a table.
        marks: In the order of the criteria and of the file.
        edits: Gravest first, accepted ones last.
        reads: Rule id -> the thresholds it reads.
    """

    policy: Policy
    coverage: Table | None
    mutation: Table
    marks: tuple[Mark, ...] = ()
    edits: tuple[Edit, ...] = ()
    reads: Mapping[str, tuple[str, ...]]

    @property
    def tables(self) -> tuple[Table, ...]:
        """The same for formats that show tables only."""
        return (self.mutation,) if self.coverage is None else (self.coverage, self.mutation)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """
    A run of vectors.

    Attributes:
        version: Of Lumyn.
        vectors: Sorted by node id.
        errors: Files that could not be collected, sorted.
        complete: Whether every vector that was found ran, and the run came to its end.
        failures: What failed the run beside its vectors and files: gates, an interruption, workers that died.
        strengths: Policy hash -> how strong its vectors are, where that was asked for.
        extra: The same as plain JSON data, by name.
    """

    version: str
    vectors: tuple[VectorReport, ...]
    errors: tuple[SuiteError, ...] = ()
    policies: tuple[PolicyReport, ...] = ()
    complete: bool = True
    failures: tuple[str, ...] = ()
    strengths: Mapping[str, Strength] = field(default_factory=dict)
    extra: Mapping[str, JsonObject] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Outcome -> how many vectors, every outcome; `updated` only where expectations were rewritten."""
        found = Counter(vector.outcome for vector in self.vectors)
        return {outcome: found[outcome] for outcome in OUTCOMES if outcome != UPDATED or found[outcome]}

    @property
    def failed(self) -> tuple[VectorReport, ...]:
        """The vectors that failed: looser ones first, then by node id."""
        found = [vector for vector in self.vectors if vector.outcome == "failed"]
        return tuple(sorted(found, key=lambda vector: (vector.direction != "looser", vector.node_id)))

    @property
    def looser(self) -> int:
        """How many vectors got a more permissive verdict than they expected."""
        return sum(vector.direction == "looser" for vector in self.vectors)

    @property
    def tighter(self) -> int:
        """How many vectors got a stricter verdict than they expected."""
        return sum(vector.direction == "tighter" for vector in self.vectors)

    @property
    def ok(self) -> bool:
        """Whether nothing failed and something ran."""
        return bool(self.vectors) and not self.errors and not self.failed and not self.failures

    @property
    def status(self) -> str:
        """The run in one word: `failed`, `passed`, `skipped` where every vector was, `empty` where none ran."""
        if self.failed or self.errors or self.failures:
            return "failed"
        if not self.vectors:
            return "empty"
        return "skipped" if self.counts["skipped"] == len(self.vectors) else "passed"

    @property
    def groups(self) -> tuple[Group, ...]:
        """The failures by cause: looser ones first, then the largest."""
        found = by_cause(self.failed)
        return tuple(sorted(found, key=lambda group: (group.direction != "looser", -len(group.vectors), group.cause)))


def error_identities(errors: Iterable[SuiteError]) -> Iterator[str]:
    """Yield what tells an error from all others of a run, and stays the same when lines above it come and go."""
    seen: Counter[str] = Counter()
    for error in errors:
        text = f"{error.path}\n{_LINE.sub('line', error.message)}"
        seen[text] += 1
        yield text if seen[text] == 1 else f"{text}\n{seen[text]}"


def by_cause(failed: Iterable[VectorReport]) -> list[Group]:
    """Return failures grouped by cause, the largest group first."""
    groups: dict[Cause, list[VectorReport]] = {}
    for vector in failed:
        groups.setdefault(vector.cause or Cause(vector.summary or "error"), []).append(vector)
    found = [
        Group(cause=cause, vectors=tuple(sorted(members, key=lambda vector: vector.node_id)))
        for cause, members in groups.items()
    ]
    return sorted(found, key=lambda group: (-len(group.vectors), group.cause))


def policy_report(
    vectors: Sequence[VectorReport],
    *,
    policy_id: str,
    policy_version: str,
    policy_hash: str,
    path: str,
    policy: Policy | None,
) -> PolicyReport:
    """
    Return one policy's rules against verdicts.

    Args:
        vectors: Those of the run; only the ones this policy decided last are counted.
        policy: The policy as it was decided with, or None where it cannot be read again.
    """
    fired: dict[str, Counter[str]] = {}
    decided: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    for vector in vectors:
        if vector.policy_hash != policy_hash or not vector.verdict:
            continue
        verdicts[vector.verdict] += 1
        decided.update(vector.decided_by)
        for rule_id in {*vector.matched_rules, *vector.decided_by}:
            fired.setdefault(rule_id, Counter())[vector.verdict] += 1
    return PolicyReport(
        policy_id=policy_id,
        policy_version=policy_version,
        policy_hash=policy_hash,
        path=path,
        source=() if policy is None else pieces(policy),
        verdicts={verdict.value: verdicts[verdict.value] for verdict in Verdict},
        rules=tuple(_rows(fired, decided, policy)),
    )


def _rows(fired: Mapping[str, Counter[str]], decided: Counter[str], policy: Policy | None) -> Iterable[RuleRow]:
    order = {stage: place for place, stage in enumerate(Stage)}
    rules = () if policy is None else sorted(policy.rules, key=lambda rule: (order[rule.stage], rule.index))
    known = {rule.rule_id for rule in rules}

    def row(rule_id: str, stage: str, effect: str, line: int) -> RuleRow:
        counts = {verdict.value: fired.get(rule_id, Counter())[verdict.value] for verdict in Verdict}
        return RuleRow(rule_id=rule_id, stage=stage, effect=effect, line=line, fired=counts, decided=decided[rule_id])

    for rule_id in sorted(fired.keys() - known - {DEFAULT_RULE}):
        yield row(rule_id, "", "", 0)
    for rule in rules:
        yield row(rule.rule_id, rule.stage.value, rule.verdict.value, rule.span.line)
    effect = "" if policy is None else policy.default_verdict.value
    yield row(DEFAULT_RULE, "", effect, 0)
