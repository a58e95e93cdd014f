"""
Runs the public test suites for JSON, YAML and RFC 8785 through the doors of this project, and tells what came of it.

    python tests/documents/input_suites.py FOLDER

FOLDER, or the environment variable `LUMYN_INPUT_SUITES`, holds checkouts of the suites under their own names; a suite
that is not there is left out. None of their files is part of this repository; `docs/input-doors.md` has the results.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lumyn.digest import FreezeError, canonical_bytes
from lumyn.documents import load_json, load_yaml, parse_json
from lumyn.errors import InvalidDocumentError
from lumyn.model import JsonValue

__all__ = ["SUITES", "VARIABLE", "Result", "folder", "run"]

VARIABLE = "LUMYN_INPUT_SUITES"

ACCEPTED, REFUSED, DIFFERENT = "accepted", "refused", "different"
SLOW_S = 2.0

STRICTER = {"JSON_DUPLICATE_KEY", "NUMBER_OUT_OF_RANGE"}
"""What is refused although RFC 8259 allows it: keys that stand twice, and numbers beyond 2^53 - 1."""

LENIENT = {"9C9N", "9JBA", "CVW2", "DK95/01", "G5U8", "QB6E", "SU5Z", "Y79Y/003", "YJV2"}
"""
Invalid YAML that the parser underneath reads all the same, each as what it plainly says: a comment without a blank
before it (9JBA, CVW2, SU5Z), lines inside brackets or quotes that are indented too little or by a tab (9C9N, DK95/01,
QB6E, Y79Y/003), a lone dash inside brackets (G5U8, YJV2).
"""


@dataclass(frozen=True)
class Result:
    """
    What came of one file.

    Attributes:
        kind: What the suite says of it: `valid`, `invalid` or `undefined`.
        outcome: `accepted` (with the value the suite gives, where it gives one), `refused`, or `different`.
        codes: The codes of the problems it was refused with.
        note: What is wrong with the outcome; empty when nothing is.
    """

    suite: str
    case: str
    kind: str
    outcome: str
    codes: tuple[str, ...] = ()
    note: str = ""


def folder() -> Path | None:
    """Return the folder of the suites, or None when it is not set."""
    name = os.environ.get(VARIABLE)
    return Path(name) if name else None


def attempt(read: Callable[[], JsonValue]) -> tuple[JsonValue, tuple[str, ...]]:
    """Return a value, or the codes of the problems there are instead."""
    try:
        return read(), ()
    except InvalidDocumentError as error:
        return None, tuple(sorted({problem.code for problem in error.problems}))


def exactly(value: object) -> str:
    """Return a text that tells 1, 1.0 and true apart, whatever the order of keys."""
    return json.dumps(value, sort_keys=True)


def json_parsing(root: Path) -> Iterator[Result]:
    """nst/JSONTestSuite, test_parsing: `y_` must be accepted, `n_` must not, `i_` is left to the parser."""
    kinds = {"y": "valid", "n": "invalid", "i": "undefined"}
    for path in sorted((root / "test_parsing").iterdir()):
        yield json_result(path, "JSONTestSuite parsing", kinds[path.name[0]])


def json_transform(root: Path) -> Iterator[Result]:
    """nst/JSONTestSuite, test_transform: files that parsers read differently."""
    for path in sorted((root / "test_transform").iterdir()):
        yield json_result(path, "JSONTestSuite transform", "undefined")


def json_result(path: Path, suite: str, kind: str) -> Result:
    data = path.read_bytes()
    start = time.process_time()
    value, codes = attempt(lambda: parse_json(data))
    again, codes_again = attempt(lambda: load_json(data, file=path.name).value)
    note = ""
    if (codes, exactly(value)) != (codes_again, exactly(again)):
        note = f"the two readers disagree: {codes} and {codes_again}"
    elif time.process_time() - start > SLOW_S:
        note = "slow"
    elif kind == "invalid" and not codes:
        note = "accepted, and invalid"
    elif kind == "valid" and not set(codes) <= STRICTER:
        note = "refused, and valid"
    elif not codes and exactly(value) != exactly(json.loads(data)):
        note = "another value than the standard library reads"
    return Result(suite, path.name, kind, REFUSED if codes else ACCEPTED, codes, note)


def yaml_suite(root: Path) -> Iterator[Result]:
    """yaml/yaml-test-suite, branch `data`: a file is refused, or has the value of the JSON beside it."""
    for path in sorted(root.rglob("in.yaml")):
        case = path.parent.relative_to(root).as_posix()
        data = path.read_bytes()
        kind = "invalid" if (path.parent / "error").exists() else "valid"
        start = time.process_time()
        value, codes = attempt(lambda data=data: load_yaml(data, file="in.yaml").value)  # type: ignore[misc]
        outcome, note = (REFUSED if codes else ACCEPTED), ""
        twin = path.parent / "in.json"
        if time.process_time() - start > SLOW_S:
            note = "slow"
        elif kind == "invalid" and not codes and case not in LENIENT:
            note = "accepted, and invalid"
        elif kind == "valid" and not codes and not twin.exists():
            note = "accepted, and nobody says as what"
        elif kind == "valid" and not codes and [exactly(value)] != [exactly(each) for each in values(twin)]:
            outcome, note = DIFFERENT, "another value than the suite gives"
        if kind == "valid" and not twin.exists():
            kind = "undefined"
        yield Result("yaml-test-suite", case, kind, outcome, codes, note)


def values(path: Path) -> list[object]:
    """Return the JSON values of a file, one for each YAML document; a file without any counts as null."""
    text, place, found = path.read_text(encoding="utf-8").strip(), 0, []
    while place < len(text):
        value, place = json.JSONDecoder().raw_decode(text, place)
        found.append(value)
        place += len(text[place:]) - len(text[place:].lstrip())
    return found or [None]


def canonical_documents(root: Path) -> Iterator[Result]:
    """cyberphone/json-canonicalization, testdata: the canonical form of each input, byte for byte."""
    for path in sorted((root / "testdata" / "input").iterdir()):
        expected = (root / "testdata" / "output" / path.name).read_bytes()
        codes: tuple[str, ...] = ()
        outcome, note = ACCEPTED, ""
        try:
            if canonical_bytes(json.loads(path.read_bytes())) != expected:
                outcome, note = DIFFERENT, "other bytes"
        except FreezeError as error:
            codes = tuple(sorted({problem.code for problem in error.problems}))
            outcome = REFUSED
            note = "" if codes == ("NUMBER_OUT_OF_RANGE",) else "refused"
        yield Result("RFC 8785 documents", path.name, "valid", outcome, codes, note)


SUITES: dict[str, tuple[str, Callable[[Path], Iterator[Result]]]] = {
    "JSONTestSuite parsing": ("JSONTestSuite", json_parsing),
    "JSONTestSuite transform": ("JSONTestSuite", json_transform),
    "yaml-test-suite": ("yaml-test-suite", yaml_suite),
    "RFC 8785 documents": ("json-canonicalization", canonical_documents),
}
"""Name -> checkout, and the function that runs it."""


def run(suites: Path, name: str) -> list[Result]:
    """Return the results of one suite; none when its checkout is not there."""
    checkout, results = SUITES[name]
    return list(results(suites / checkout)) if (suites / checkout).is_dir() else []


def main(arguments: list[str]) -> int:
    """Print what came of every suite; return 1 when anything is wrong, 2 when there is nothing to run."""
    suites = Path(arguments[0]) if arguments else folder()
    if suites is None:
        print(f"give the folder of the suites, or set {VARIABLE}", file=sys.stderr)
        return 2
    found = [result for name in SUITES for result in run(suites, name)]
    if not found:
        checkouts = ", ".join(sorted({checkout for checkout, _ in SUITES.values()}))
        print(f"none of {checkouts} in {suites}", file=sys.stderr)
        return 2
    counts = Counter((result.suite, result.kind, result.outcome) for result in found)
    for (suite, kind, outcome), count in sorted(counts.items()):
        print(f"{suite:26} {kind:10} {outcome:10} {count:4}")
    codes = Counter((result.suite, ", ".join(result.codes)) for result in found if result.codes)
    for (suite, names), count in sorted(codes.items()):
        print(f"{suite:26} refused with {names}: {count}")
    for result in found:
        if result.kind == "undefined" and result.outcome == ACCEPTED and "yaml" not in result.suite:
            print(f"{result.suite:26} undefined, accepted: {result.case}")
        if result.kind == "valid" and result.outcome == REFUSED and "yaml" not in result.suite:
            print(f"{result.suite:26} valid, refused: {result.case} ({', '.join(result.codes)})")
    wrong = [result for result in found if result.note]
    for result in wrong:
        print(f"WRONG {result.suite} {result.case}: {result.note}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
