"""
What would have to change in a file so that its drifted vectors pass: proposed, and proved by running them again.
Reads files and writes none; must not know pytest, nor who decides that a change is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from lumyn.core.records import normalised
from lumyn.documents import join_pointer, load, read_bytes
from lumyn.documents.editing import EditRefusedError, edited
from lumyn.documents.writing import same
from lumyn.errors import InvalidVectorError, LumynError
from lumyn.model import JsonObject, JsonValue
from lumyn.vectors.changes import Change, ChangeRefusedError, Proposal, agree, changed, disagreement, text_digest
from lumyn.vectors.drift import DriftKind
from lumyn.vectors.expect import equal
from lumyn.vectors.format import DecideStep, Step, Suite, Vector
from lumyn.vectors.loader import parse_suite
from lumyn.vectors.origins import VectorPath
from lumyn.vectors.revising import Revision, RevisionRefusedError, revise
from lumyn.vectors.runner import Outcome, StepResult, VectorResult, run
from lumyn.vectors.sharing import golden_of, vectors_resting_on
from lumyn.vectors.sources import LIMITS

__all__ = ["Rerun", "acceptance", "preview", "propose", "propose_xfail"]

Rerun: TypeAlias = "Callable[[Vector], VectorResult]"
"""Runs a vector as it was run when it drifted, with whatever took part in that."""

_NO_EDITOR = "its file does not hold what was run: a hook made it, or it changed meanwhile"


def preview(result: VectorResult) -> Revision | str:
    """Return how the first decision that drifted would be rewritten, or why it takes a person; nothing is proved."""
    if result.vector.xfail is not None:
        return "it is marked `xfail`"
    step = result.failed_step
    if step is None:
        return "it cannot run"
    try:
        return revise(step)
    except RevisionRefusedError as error:
        return str(error)


def acceptance(result: VectorResult, command: str) -> str:
    """Return how to accept what came out of a failed vector: `command`, which runs it, with options, or why not."""
    revision = preview(result)
    if isinstance(revision, str):
        return f"by hand: {revision}"
    step = result.failed_step
    new = step is not None and any(drift.kind is DriftKind.MISSING for drift in step.drifts)
    looser = " --lumyn-accept-looser" if revision.looser else ""
    return f"{command} --lumyn-update={'new' if new else 'failing'}{looser}"


def propose(
    results: Sequence[VectorResult], *, root: Path, accept_looser: bool = False, rerun: Rerun = run
) -> list[Proposal]:
    """
    Return one proposal for each drifted vector of one file, in their order.

    Every proposal that is not refused was tried: with its changes, and those of the others, the vector passes.

    Args:
        results: At least one, all of the same file and not passed.
        root: The suite root.
        accept_looser: Propose also what permits more or demands less than before.
    """
    return _Proposing(results, root, accept_looser, rerun).proposals()


def propose_xfail(vector: Vector, reason: str) -> Proposal:
    """Return a proposal that marks a vector as an expected failure."""
    document, file = vector.origins.layers[0].document, vector.file
    if vector.row is not None:
        refused = "rows of a table share one `xfail`: mark the whole vector by hand"
        return Proposal(file=file, vector_id=vector.vector_id, refused=refused)
    pointer = join_pointer(vector.origins.case_pointer, "xfail")
    change = Change(file=file, pointer=pointer, value={"reason": reason})
    digests = {file: text_digest(document.text)}
    return Proposal(file=file, vector_id=vector.vector_id, changes=(change,), digests=digests)


@dataclass(slots=True)
class _Attempt:
    """One vector on its way to passing."""

    result: VectorResult
    vector: Vector
    changes: dict[tuple[str, str], Change] = field(default_factory=dict)
    goldens: dict[str, JsonObject] = field(default_factory=dict)
    transitions: list[tuple[str, str]] = field(default_factory=list)
    looser: list[str] = field(default_factory=list)
    refused: str = ""
    passed: bool = False

    def refuse(self, why: str) -> None:
        self.refused = self.refused or why
        self.passed = False


class _Proposing:
    def __init__(self, results: Sequence[VectorResult], root: Path, accept_looser: bool, rerun: Rerun) -> None:
        self._attempts = [_Attempt(result, result.vector) for result in results]
        self._root = root
        self._accept_looser = accept_looser
        self._rerun = rerun
        self._first = results[0].vector
        self._document = self._first.origins.layers[0].document
        self._rests: dict[str, tuple[str, ...]] = {}
        self._digests: dict[str, str] = {self._first.file: text_digest(self._document.text)}

    def proposals(self) -> list[Proposal]:
        if not self._is_editable():
            for attempt in self._attempts:
                attempt.refuse(_NO_EDITOR)
        rounds = max(len(attempt.vector.steps) for attempt in self._attempts) + 1
        for _ in range(rounds):
            waiting = [each for each in self._attempts if not each.passed and not each.refused]
            for attempt in waiting:
                self._revise(attempt)
            self._refuse_conflicts()
            self._try([each for each in waiting if not each.refused])
        for attempt in self._attempts:
            if not attempt.passed:
                attempt.refuse("it would still drift")
        self._refuse_unreadable()
        return [self._proposal(attempt) for attempt in self._attempts]

    def _is_editable(self) -> bool:
        try:
            data = read_bytes(self._first.path, error=InvalidVectorError, limits=LIMITS, root=self._root)
            text = data.decode("utf-8-sig")
        except (InvalidVectorError, UnicodeDecodeError):
            return False
        return text == self._document.text

    def _proposal(self, attempt: _Attempt) -> Proposal:
        vector = attempt.result.vector
        changes = () if attempt.refused else tuple(attempt.changes.values())
        return Proposal(
            file=vector.file,
            vector_id=vector.vector_id,
            changes=changes,
            digests={file: self._digests[file] for file in dict.fromkeys(each.file for each in changes)},
            rests={golden: self._rests[golden] for golden in attempt.goldens if not attempt.refused},
            transitions=tuple(attempt.transitions),
            looser="; ".join(attempt.looser),
            refused=attempt.refused,
        )

    def _revise(self, attempt: _Attempt) -> None:
        revision = preview(attempt.result)
        if isinstance(revision, str):
            attempt.refuse(revision)
            return
        attempt.transitions.append((revision.before, revision.after))
        if revision.looser:
            attempt.looser.append(revision.looser)
            if not self._accept_looser:
                attempt.refuse(f"looser: {revision.looser}")
                return
        step = attempt.result.failed_step
        if step is None or not isinstance(step.step, DecideStep):
            return
        for change in self._changes(attempt.vector, step, revision.document):
            attempt.changes[change.file, change.pointer] = change
        if revision.golden is not None:
            self._golden(attempt, *revision.golden)

    def _changes(self, vector: Vector, step: StepResult, wanted: JsonObject) -> Iterator[Change]:
        if not isinstance(step.step, DecideStep):
            return
        expect = step.step.expect
        for path, value, delete in _leaves(expect.document, wanted, expect.path):
            pointer = vector.origins.own_place(path)
            yield Change(file=vector.file, pointer=pointer, value=value, delete=delete)

    def _golden(self, attempt: _Attempt, name: str, record: JsonObject) -> None:
        try:
            data = read_bytes(self._root / name, error=InvalidVectorError, limits=LIMITS, root=self._root)
            document = load(data, file=name, error=InvalidVectorError, limits=LIMITS)
        except InvalidVectorError as error:
            attempt.refuse(f"`{name}` cannot be read: {error.problems[0].message}")
            return
        written = document.value if isinstance(document.value, dict) else {}
        compared = normalised(written)
        value: dict[str, JsonValue] = {key: below for key, below in written.items() if key not in compared}
        for key in [*written, *record]:
            if key in record:
                value[key] = _kept_forms(written.get(key), record[key])
        self._digests[name] = text_digest(document.text)
        attempt.goldens[name] = normalised(value)
        attempt.changes[name, ""] = Change(file=name, pointer="", value=value)

    def _refuse_conflicts(self) -> None:
        """Refuse everybody who would change a place for which somebody else wants something else."""
        sharing: dict[tuple[str, str], list[_Attempt]] = {}
        for attempt in self._attempts:
            for place in attempt.changes:
                sharing.setdefault(place, []).append(attempt)
        for place, attempts in sharing.items():
            if not agree([attempt.changes[place] for attempt in attempts]):
                for attempt in attempts:
                    attempt.refuse(disagreement(*place))

    def _try(self, attempts: Sequence[_Attempt]) -> None:
        """Run what is waiting with its changes in place; what fails by itself is refused, the others go on."""
        if not attempts:
            return
        try:
            suite = self._suite([each for each in self._attempts if not each.refused])
        except (EditRefusedError, ChangeRefusedError, InvalidVectorError) as error:
            if len(attempts) == 1:
                attempts[0].refuse(_reason(error))
                return
            for attempt in attempts:
                self._try_alone(attempt)
            return
        for attempt in attempts:
            self._run(attempt, suite)

    def _try_alone(self, attempt: _Attempt) -> None:
        try:
            suite = self._suite([attempt])
        except (EditRefusedError, ChangeRefusedError, InvalidVectorError) as error:
            attempt.refuse(_reason(error))
        else:
            self._run(attempt, suite)

    def _run(self, attempt: _Attempt, suite: Suite) -> None:
        vector = next((each for each in suite.vectors if each.vector_id == attempt.vector.vector_id), None)
        if vector is None or vector.problems:
            attempt.refuse(str(vector.problems[0]) if vector is not None else "it would be gone")
            return
        vector = replace(vector, steps=tuple(_with_golden(step, attempt.goldens) for step in vector.steps))
        result = self._rerun(vector)
        if result.outcome is Outcome.PASSED:
            attempt.passed = True
            return
        before, after = attempt.result.failed_step, result.failed_step
        attempt.result, attempt.vector = result, vector
        if after is None or before is None or (after.index == before.index and after.drifts == before.drifts):
            attempt.refuse("it would still drift")

    def _suite(self, attempts: Sequence[_Attempt], *, strict: bool = False) -> Suite:
        """Return the file with the changes of some in it; `strict` as every other run would read it."""
        file, first = self._first.file, self._first
        changes = {each.pointer: each for attempt in attempts for each in attempt.changes.values() if each.file == file}
        document = edited(self._document, changed(self._document.value, changes.values()), limits=LIMITS)
        override = first.policy if not first.policy_file else None
        return parse_suite(
            document,
            path=first.path,
            root=self._root,
            policy_override=override,
            open_expectations=not strict,
            revising=not strict,
        )

    def _refuse_unreadable(self) -> None:
        """Refuse what other runs would not read: in between, a scenario may expect what cannot come out any more."""
        done = [each for each in self._attempts if each.passed]
        if not done:
            return
        try:
            problems = {each.vector_id: each.problems for each in self._suite(done, strict=True).vectors}
            goldens = {golden for attempt in done for golden in attempt.goldens}
            vectors = self._suite(done).vectors if goldens else ()
        except (EditRefusedError, ChangeRefusedError, InvalidVectorError) as error:
            for attempt in done:
                attempt.refuse(_reason(error))
            return
        self._rests = {golden: vectors_resting_on(golden, vectors, self._root) for golden in goldens}
        for attempt in done:
            for problem in problems.get(attempt.vector.vector_id, ())[:1]:
                attempt.refuse(str(problem))


def _leaves(old: JsonValue, new: JsonValue, path: VectorPath) -> Iterator[tuple[VectorPath, JsonValue, bool]]:
    """Yield the innermost places where two values differ, what the new one has there, and whether it has nothing."""
    if same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if key not in new:
                yield (*path, key), None, True
        for key, value in new.items():
            if key not in old:
                yield (*path, key), value, False
            else:
                yield from _leaves(old[key], value, (*path, key))
    else:
        yield path, new, False


def _with_golden(step: Step, goldens: dict[str, JsonObject]) -> Step:
    name = golden_of(step)
    if not isinstance(step, DecideStep) or name is None or name not in goldens:
        return step
    return replace(step, expect=replace(step.expect, exact=goldens[name]))


def _kept_forms(old: JsonValue, new: JsonValue) -> JsonValue:
    """Return `new` with the numbers that are the same written as they were, and what no comparison reads kept."""
    if isinstance(old, dict) and isinstance(new, dict):
        kept = [key for key in old if key in new or key == "engine_version"]
        return {key: _kept_forms(old.get(key), new[key]) if key in new else old[key] for key in (*kept, *new)}
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [_kept_forms(*pair) for pair in zip(old, new, strict=True)]
    return old if equal(old, new) else new


def _reason(error: LumynError | ValueError) -> str:
    return str(error.problems[0]) if isinstance(error, InvalidVectorError) else str(error)
