"""
From a judgement to a record: one decision in the making, and the writer that finishes it.
Pure but for its caches; must not know the store, the clock or the source of ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lumyn.core.judge import Judgement
from lumyn.core.record_text import OutcomeText, derived_text, outcome_text, projection_text
from lumyn.core.records import NO_SNAPSHOT, DecisionRecord, PolicyRef, write_record
from lumyn.core.requests import ParsedRequest
from lumyn.engine._per_policy import PerPolicy
from lumyn.engine.compiled import ActionPlan
from lumyn.engine.redaction import Redacted, RedactionPolicy, RedactionProfile, redact
from lumyn.errors import StoreUnavailableError
from lumyn.model import Evaluation, MatchedRule, Mode, Similarity, Stage, Verdict
from lumyn.policy.spec import Policy

__all__ = ["STORAGE_UNAVAILABLE", "Draft", "RecordWriter", "record_writer"]

STORAGE_UNAVAILABLE: Final = "STORAGE_UNAVAILABLE"

_UNAVAILABLE: Final = Evaluation(
    verdict=Verdict.ABSTAIN,
    reason_codes=(STORAGE_UNAVAILABLE,),
    matched_rules=(
        MatchedRule(
            rule_id="LUMYN_STORAGE_UNAVAILABLE",
            stage=Stage.HARD_BLOCKS,
            effect=Verdict.ABSTAIN,
            reason_codes=(STORAGE_UNAVAILABLE,),
        ),
    ),
)
_OUTCOMES_KEPT: Final = 4096
_WRITERS_KEPT: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a record needs besides the judgement."""

    parsed: ParsedRequest
    plan: ActionPlan
    decision_id: str
    created_at: str


class RecordWriter:
    """
    Writes the records of one policy.

    Args:
        mode: The operator's mode; a request may have asked for a stricter one.
        redaction: The operator's profile and pointers; a request may have asked for a stricter profile.
    """

    def __init__(self, policy: Policy, *, mode: Mode, redaction: RedactionPolicy) -> None:
        self._policy = policy
        self._mode = mode
        self._redaction = redaction
        self._stricter = {profile.value: redaction.with_profile(profile) for profile in RedactionProfile}
        self._outcomes: dict[int, tuple[Evaluation, OutcomeText]] = {}
        self._refs = {
            each: PolicyRef(
                policy_id=policy.policy_id,
                policy_version=policy.policy_version,
                policy_hash=policy.policy_hash,
                mode=each,
            )
            for each in Mode
        }

    def decided(self, draft: Draft, judgement: Judgement) -> DecisionRecord:
        """Return the record of a judgement."""
        return self._write(draft, judgement, storage_error=None)

    def unavailable(self, draft: Draft, error: StoreUnavailableError) -> DecisionRecord:
        """Return the record of a decision that could not be stored: `ABSTAIN`, whatever the policy says."""
        judgement = Judgement(
            facts=draft.plan.facts(draft.parsed.request),
            similarity=Similarity(),
            evaluation=_UNAVAILABLE,
            memory_snapshot=NO_SNAPSHOT,
        )
        return self._write(draft, judgement, storage_error=error.detail)

    def _write(self, draft: Draft, judgement: Judgement, *, storage_error: str | None) -> DecisionRecord:
        derived = derived_text(judgement.facts)
        projection: str | None = None
        if storage_error is None:
            projection = projection_text(draft.plan, judgement.facts, derived, judgement.similarity)
        return write_record(
            draft.parsed,
            redacted=self._redacted(draft.parsed),
            derived=derived,
            projection=projection,
            policy=self._refs[draft.parsed.request.mode or self._mode],
            evaluation=judgement.evaluation,
            outcome=self._outcome_text(judgement.evaluation),
            similarity=judgement.similarity,
            uncertainty=judgement.facts.uncertainty,
            memory_snapshot=judgement.memory_snapshot,
            decision_id=draft.decision_id,
            created_at=draft.created_at,
            storage_error=storage_error,
        )

    def _outcome_text(self, evaluation: Evaluation) -> OutcomeText:
        # The evaluator gives the same object for the same outcome; keeping it beside its text keeps its id its own.
        known = self._outcomes.get(id(evaluation))
        if known is not None and known[0] is evaluation:
            return known[1]
        text = outcome_text(evaluation)
        if len(self._outcomes) >= _OUTCOMES_KEPT:
            self._outcomes.clear()
        self._outcomes[id(evaluation)] = (evaluation, text)
        return text

    def _redacted(self, parsed: ParsedRequest) -> Redacted:
        request = parsed.request
        note = parsed.context.get("redaction")
        asked = note.get("profile") if isinstance(note, dict) else None
        redaction = self._redaction if asked is None else self._stricter[str(asked)]
        keys = self._policy.keys_for(request.action_type) if redaction.profile is RedactionProfile.STRICT else ()
        document = request.document
        if parsed.context is not document["context"]:
            document = {**document, "context": parsed.context}
        return redact(document, redaction, keys_read=keys)


def record_writer(policy: Policy, *, mode: Mode, redaction: RedactionPolicy) -> RecordWriter:
    """Return the writer of a policy's records; gates that agree in all three share one."""
    kept = _writers(policy)
    writer = kept.get((mode, redaction))
    if writer is None:
        if len(kept) >= _WRITERS_KEPT:
            kept.clear()
        writer = kept[mode, redaction] = RecordWriter(policy, mode=mode, redaction=redaction)
    return writer


def _no_writers(policy: Policy) -> dict[tuple[Mode, RedactionPolicy], RecordWriter]:
    return {}


_writers: Final = PerPolicy(_no_writers)
