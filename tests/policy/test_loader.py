"""A policy is what it says: the same meaning has the same hash however it is written, and one file gives one policy."""

from __future__ import annotations

import copy
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumyn import documents
from lumyn.digest import digest
from lumyn.errors import InvalidPolicyError
from lumyn.policy.loader import load_policy, parse_policy

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "policies" / "lumyn-support.v0.yml"
STARTERS = sorted((ROOT / "policies").rglob("*.yml"))
TEXT = SUPPORT.read_text(encoding="utf-8")


def value_of(path: Path) -> Any:
    """Return a policy file as plain data."""
    return documents.load(path.read_bytes(), file=str(path)).value


def codes_of(text: str | bytes, file: str = "policy.yml") -> list[str]:
    """Return the codes of the problems of a policy that must not load."""
    with pytest.raises(InvalidPolicyError) as caught:
        parse_policy(text, file=file)
    return [problem.code for problem in caught.value.problems]


class Writer:
    """Writes data as YAML in a style that changes from node to node."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def write(self, value: Any) -> str:
        """Return a document that holds `value`."""
        lines = self.block(value, 0) if isinstance(value, dict) else [self.flow(value)]
        return "".join(f"{line}{self.noise()}" for line in lines)

    def noise(self) -> str:
        return self.random.choice(["\n", "\n", "\n", "  # note\n", " \n", "\n\n", "\n# note: not: data\n"])

    def shuffled(self, value: dict[str, Any]) -> list[tuple[str, Any]]:
        items = list(value.items())
        self.random.shuffle(items)
        return items

    def block(self, value: Any, depth: int) -> list[str]:
        indent = " " * depth
        step = self.random.choice([1, 2, 4])
        lines: list[str] = []
        pairs = self.shuffled(value) if isinstance(value, dict) else [(None, item) for item in value]
        for key, item in pairs:
            head = f"{indent}-" if key is None else f"{indent}{self.scalar(key)}:"
            if isinstance(item, (dict, list)) and item and self.random.random() < 0.7:
                lines += [head, *self.block(item, depth + step)]
            else:
                lines.append(f"{head} {self.flow(item)}")
        return lines

    def flow(self, value: Any) -> str:
        space = self.random.choice(["", " "])
        if isinstance(value, dict):
            members = [f"{self.scalar(key)}: {self.flow(item)}" for key, item in self.shuffled(value)]
            return f"{{{space}{', '.join(members)}{space}}}"
        if isinstance(value, list):
            return f"[{space}{f',{space or chr(32)}'.join(self.flow(item) for item in value)}{space}]"
        return self.scalar(value)

    def scalar(self, value: Any) -> str:
        if isinstance(value, float) and value.is_integer():
            return self.random.choice([f"{value:.1f}", f"{value:.0f}", f"{value:.2f}"])
        if not isinstance(value, str):
            return json.dumps(value)
        styles = [json.dumps(value), "'" + value.replace("'", "''") + "'"]
        if value.replace(".", "").replace("_", "").isalnum() and value[0].isalpha():
            styles.append(value)
        return self.random.choice(styles)


@pytest.mark.parametrize("path", STARTERS, ids=lambda path: path.name)
@settings(max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_layout_does_not_change_the_hash(path: Path, seed: int) -> None:
    """White space, comments, order of keys, quoting, block and flow style are not part of a policy."""
    plain = load_policy(path)
    rewritten = parse_policy(Writer(seed).write(value_of(path)))
    assert plain.policy_hash == rewritten.policy_hash
    assert plain.document == rewritten.document


def test_hash_is_the_digest_of_the_document() -> None:
    """Anyone with an RFC 8785 library can recompute it from the file."""
    assert digest(value_of(SUPPORT)) == load_policy(SUPPORT).policy_hash


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r\n"),
        TEXT.rstrip() + "\n\n# the end",
        "---\n" + TEXT,
        TEXT.replace("0.70", "0.7").replace(": 25\n", ": 25.0\n"),
    ],
    ids=["bytes", "byte order mark", "crlf", "text", "comment", "document start", "number form"],
)
def test_encoding_and_number_form_do_not_change_the_hash(data: bytes | str) -> None:
    """Editors add marks and change line ends without anybody's decision."""
    assert load_policy(SUPPORT).policy_hash == parse_policy(data).policy_hash


@pytest.mark.parametrize("path", STARTERS, ids=lambda path: path.name)
def test_json_twin_is_the_same_policy(path: Path) -> None:
    """The language is JSON's; YAML is one way to write it."""
    twin = json.dumps(value_of(path), indent=1)
    plain = load_policy(path)
    for policy in (parse_policy(twin, file="twin.json"), parse_policy(twin)):
        assert plain.policy_hash == policy.policy_hash
        assert [rule.rule_id for rule in plain.rules] == [rule.rule_id for rule in policy.rules]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every scalar."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if children is None:
        return [path]
    return [leaf for key, child in children for leaf in leaves(child, (*path, key))]


def test_every_change_of_meaning_changes_the_hash() -> None:
    """No scalar of a policy is left out of its hash, and neither is the order of its rules."""
    document = value_of(SUPPORT)
    seen = {digest(document)}
    for path in leaves(document):
        changed = copy.deepcopy(document)
        parent = changed
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = "changed"
        seen.add(digest(changed))
    swapped = copy.deepcopy(document)
    swapped["rules"][0], swapped["rules"][1] = swapped["rules"][1], swapped["rules"][0]
    seen.add(parse_policy(json.dumps(swapped)).policy_hash)
    assert len(leaves(document)) + 2 == len(seen)


def test_threshold_and_its_value_are_different_policies() -> None:
    """Thresholds are not substituted before hashing: the name is part of what was reviewed."""
    written_out = TEXT.replace("{ threshold: refund_trust_max_usd }", "25")
    assert load_policy(SUPPORT).policy_hash != parse_policy(written_out).policy_hash


def test_source_is_kept_as_it_was_written() -> None:
    """Comments and layout are kept for whoever reads an old decision."""
    assert TEXT == load_policy(SUPPORT).source
    assert TEXT == parse_policy(b"\xef\xbb\xbf" + TEXT.encode()).source


def test_file_is_named_as_the_user_named_it() -> None:
    """Positions lead back to the file that was given."""
    assert str(SUPPORT) == load_policy(SUPPORT).rules[0].span.file
    assert "git:HEAD:policy.yml" == parse_policy(TEXT, file="git:HEAD:policy.yml").rules[0].span.file


def test_policy_shares_nothing_with_its_reader() -> None:
    """Two loads of one file are equal and independent."""
    first, second = load_policy(SUPPORT), load_policy(SUPPORT)
    assert first.document == second.document
    assert first.document is not second.document


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """There is no built-in policy to fall back to."""
    with pytest.raises(InvalidPolicyError) as caught:
        load_policy(tmp_path / "gone.yml")
    assert ["PATH_NOT_FOUND"] == [problem.code for problem in caught.value.problems]


def test_folder_and_pipe_are_refused_without_waiting(tmp_path: Path) -> None:
    """A FIFO without a writer would hang the gate."""
    pipe = tmp_path / "pipe.yml"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        with pytest.raises(InvalidPolicyError) as caught:
            load_policy(path)
        assert ["PATH_NOT_FILE"] == [problem.code for problem in caught.value.problems]


def test_other_suffix_is_refused(tmp_path: Path) -> None:
    """What a file is called says how it is read; nothing is guessed."""
    path = tmp_path / "policy.toml"
    path.write_text(TEXT, encoding="utf-8")
    with pytest.raises(InvalidPolicyError) as caught:
        load_policy(path)
    assert ["FILE_TYPE_UNKNOWN"] == [problem.code for problem in caught.value.problems]


HIGH = "if: { evidence.payment_instrument_risk_is: high }"
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (TEXT.replace(HIGH, "if: { evidence.flag_is: on }"), "YAML_AMBIGUOUS_SCALAR"),
        (TEXT.replace(HIGH, "if: { evidence.count_is: 012 }"), "YAML_AMBIGUOUS_SCALAR"),
        (TEXT.replace(HIGH, "if: { evidence.count_is: 1_000 }"), "YAML_AMBIGUOUS_SCALAR"),
        (TEXT.replace(HIGH, "if: { amount_usd_gt: .nan }"), "YAML_AMBIGUOUS_SCALAR"),
        (TEXT.replace(HIGH, "if: { amount_usd_gt: 25.0000000000000001 }"), "NUMBER_PRECISION"),
        (TEXT.replace(HIGH, "if: { amount_usd_gt: 1e400 }"), "NUMBER_OUT_OF_RANGE"),
        (TEXT.replace(HIGH, f"{HIGH}\n    if: {{ evidence.payment_instrument_risk_is: low }}"), "YAML_DUPLICATE_KEY"),
        (f"{TEXT}\nrules: []\n", "YAML_DUPLICATE_KEY"),
        (f"{TEXT}\n---\n{TEXT}", "YAML_MULTI_DOCUMENT"),
        (TEXT.replace(HIGH, "if: &x { evidence.payment_instrument_risk_is: high }"), "YAML_ALIAS"),
        (f"{BOMB}{TEXT}", "YAML_ALIAS"),
        (TEXT.replace(HIGH, "<<: { if: {} }"), "YAML_MERGE_KEY"),
        (TEXT.replace(HIGH, "if: !!map { evidence.payment_instrument_risk_is: high }"), "YAML_TAG"),
        (f"%YAML 1.1\n---\n{TEXT}", "YAML_DIRECTIVE"),
        (f"{TEXT}x: {'[' * 2000}", "YAML_TOO_DEEP"),
        ("rules:\n\t- id: R1\n", "YAML_SYNTAX"),
        (TEXT.encode("utf-16"), "YAML_ENCODING"),
        ("policy_id: \udc80", "YAML_ENCODING"),
        (TEXT.replace("policy_id: lumyn-support", 'policy_id: "\\u202Epwn"'), "CONTROL_CHARACTER"),
        ("#" * 1_048_577, "TOO_LARGE"),
    ],
)
def test_file_that_reads_differently_elsewhere_is_refused(text: str | bytes, code: str) -> None:
    """What another YAML reader would take for something else never becomes a policy."""
    assert code in codes_of(text)


def test_json_file_is_read_as_json() -> None:
    """A duplicate key in JSON is as much an error as in YAML."""
    assert "JSON_DUPLICATE_KEY" in codes_of('{"rules": [], "rules": []}', file="policy.json")


def test_direction_override_in_a_json_policy_is_refused() -> None:
    """What a reviewer sees must be what is loaded, in JSON as in YAML."""
    with pytest.raises(InvalidPolicyError) as caught:
        parse_policy('{"schema_version": "policy.v0", "policy_id": "\\u202epwn"}', file="p.json")
    assert "CONTROL_CHARACTER" in {problem.code for problem in caught.value.problems}
