"""`lumyn policy prove`: hold a policy to its invariants, for every request. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console, counted_noun
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config

if TYPE_CHECKING:
    from lumyn.analysis.prove import Proof
    from lumyn.policy.spec import Policy

__all__ = ["add"]

_STYLES: Final = {"proved": "bold green", "violated": "bold red", "unknown": "bold yellow", "vacuous": "bold yellow"}
_INDENT: Final = 10


def add(group: typer.Typer) -> None:
    """Add the command."""
    group.command()(prove)


def prove(
    context: typer.Context,
    path: Annotated[
        str | None,
        typer.Argument(metavar="PATH", help="A policy file, or git:REV:PATH; default the configured policy."),
    ] = None,
    json: JsonFlag = False,
) -> int:
    """
    Prove the invariants of a policy for every request, or print one that breaks them, as a vector.

    Exits 1 when one is broken, could not be told within its budget, or is about no request at all (vacuous); 5 when
    the policy has none.

    JSON (`lumyn.cli.policy_prove.v0`): `file`, `policy_hash`, `invariants`, each with `name`, `kind`, `status`, `line`,
    `reason`, and where broken `verdict`, `request`, `failure_similarity`, `by_gate`, `vectors` (a file that shows it);
    two requests that are compared also have `other`.
    """
    from lumyn.analysis.prove import Status
    from lumyn.analysis.prove import prove as held
    from lumyn.analysis.shown import confirmed_proof
    from lumyn.cli.analysing import named_from, policy_at
    from lumyn.cli.diagnosis.paths import shown
    from lumyn.discovery import policy_path

    config = find_config(context.obj)
    file = shown(policy_path(config)) if path is None else path
    policy = policy_at(file)
    named = named_from(config.folder, file)
    proofs = [confirmed_proof(policy, held(policy, invariant)) for invariant in policy.promises]
    console = Console()
    if json:
        data: dict[str, object] = {
            "file": file,
            "policy_hash": policy.policy_hash,
            "invariants": [_document(proof, named) for proof in proofs],
        }
        console.json("policy_prove", data)
    else:
        _print(console, file, policy, proofs, named)
    if not proofs:
        return ExitCode.NOTHING_TO_DO
    return ExitCode.OK if all(proof.status is Status.PROVED for proof in proofs) else ExitCode.FAILED


def _document(proof: Proof, named: str) -> dict[str, object]:
    from lumyn.report.broken import broken_vectors

    invariant = proof.invariant
    data: dict[str, object] = {
        "name": invariant.name,
        "kind": invariant.kind.value,
        "status": proof.status.value,
        "line": invariant.span.line,
        "reason": proof.reason or None,
    }
    if proof.case is not None and proof.evaluation is not None:
        data["verdict"] = proof.evaluation.verdict.value
        data["request"] = proof.case.request
        data["failure_similarity"] = float(proof.case.similarity)
        data["by_gate"] = proof.by_gate
        data["vectors"] = broken_vectors(proof, policy_file=named) or None
    if proof.other is not None and proof.other_evaluation is not None:
        data["other"] = {"verdict": proof.other_evaluation.verdict.value, "request": proof.other.request}
    return data


def _print(console: Console, file: str, policy: Policy, proofs: list[Proof], named: str) -> None:
    from lumyn.report.broken import broken_vectors, broken_words

    if not proofs:
        console.line(f"{file}: {policy.policy_id} {policy.policy_version} has no `invariants`")
        return
    for proof in proofs:
        console.line((f"{proof.status.value:10}", _STYLES[proof.status.value]), proof.invariant.name, hang=_INDENT)
        for line in broken_words(proof):
            console.line(line, indent=_INDENT, hang=_INDENT + 2)
        # Not folded: it is copied into a file, where a line end in the wrong place says something else.
        vectors = broken_vectors(proof, policy_file=named).splitlines()
        console.laid_out([[(" " * _INDENT + line, "")] for line in vectors])
    held = sum(1 for proof in proofs if proof.status.value == "proved")
    console.line(f"{held} of {counted_noun(len(proofs), 'invariant')} proved for every request a gate would accept")
