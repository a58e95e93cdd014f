"""
What shows that an invariant is not proved: vectors that break it, and how the requests that are compared differ.
Must not know how it was found, nor where the lines go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lumyn.analysis.emit import vector_document, vectors_text
from lumyn.analysis.prove import Proof, Status
from lumyn.analysis.witness import Case
from lumyn.model import Verdict
from lumyn.report.strength import case_text

__all__ = ["apart", "broken_lines", "broken_vectors", "broken_words"]

_LONGEST_NAME: Final = 60
_NOT_PROVED: Final = {Status.UNKNOWN: "neither proved nor broken", Status.VACUOUS: "promises nothing"}


def broken_lines(proof: Proof, *, policy_file: str) -> Iterator[str]:
    """
    Yield what to show of an invariant that is not proved: why, and a file of vectors that break it.

    Args:
        policy_file: The policy, as vectors name it.
    """
    yield from broken_words(proof)
    yield from broken_vectors(proof, policy_file=policy_file).splitlines()


def broken_words(proof: Proof) -> Iterator[str]:
    """Yield why an invariant is not proved, for people, without the vectors."""
    if proof.reason:
        yield f"{_NOT_PROVED[proof.status]}: {proof.reason}"
    if proof.case is None or proof.evaluation is None:
        return
    if proof.other is not None and proof.other_evaluation is not None:
        here, there = proof.evaluation.verdict, proof.other_evaluation.verdict
        one, other = apart(proof.other, proof.case), apart(proof.case, proof.other)
        yield f"{here} with {one}; {there} with {other}, all else alike"
        if {here, there} == {Verdict.QUERY, Verdict.ESCALATE}:
            yield "from QUERY to ESCALATE is looser: a question takes no action, a person may"
    if proof.by_gate is False:
        score = max(each.similarity for each in (proof.case, proof.other) if each is not None)
        yield f"{case_text(proof.case)}, failure similarity {score}: no labelled request that was tried gives that, so"
        yield "the engine decided it, but no gate did, and no vector can show it"


def broken_vectors(proof: Proof, *, policy_file: str) -> str:
    """Return a file of vectors that break an invariant, as what they expect shows; empty where there is none."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", proof.invariant.name).strip("_")[:_LONGEST_NAME] or "invariant"
    if proof.case is None or proof.evaluation is None or proof.by_gate is False:
        return ""
    why = f"breaks the invariant `{proof.invariant.name}`: this is what comes out today"
    vectors = [vector_document(name, why, proof.case, proof.evaluation, memory=proof.memory)]
    if proof.other is not None and proof.other_evaluation is not None:
        why = "what it is compared with"
        other = vector_document(f"{name}_other", why, proof.other, proof.other_evaluation, memory=proof.other_memory)
        vectors.append(other)
    return vectors_text(vectors, policy_file=policy_file)


def apart(case: Case, other: Case) -> str:
    """Return how another request differs from one that it agrees with but for one attribute."""
    said = []
    for part in ("action", "evidence", "subject", "tenant"):
        here, there = case.request.get(part, {}), other.request.get(part, {})
        if isinstance(here, dict) and isinstance(there, dict):
            for key in sorted(here.keys() | there.keys()):
                if here.get(key) != there.get(key):
                    value = there.get(key)
                    shown = (
                        f"{value['value']} {value['currency']}"
                        if key == "amount" and isinstance(value, dict)
                        else value
                    )
                    told = str(shown).lower() if isinstance(shown, bool) else shown
                    said.append(f"{key} {'missing' if told is None else told}")
    if case.similarity != other.similarity:
        said.append(f"failure similarity {other.similarity}")
    return ", ".join(said) or "nothing changed"
