"""Bad configuration: a typing error never falls back to a default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bad_inputs.catalogue import case

from lumyn import InvalidConfigError, InvalidPolicyError
from lumyn.cli.exit_codes import ExitCode
from lumyn.config import load_config
from lumyn.policy.loader import parse_policy

Lumyn = Callable[..., tuple[int, str]]

FILES: dict[str, tuple[list[str], str]] = {
    "cfg-001": (
        ['stroage_url = "x"\n', '[store]\nulr = "x"\n', '[stroe]\nurl = "x"\n', '[redaction]\nprofil = "strict"\n'],
        "FIELD_UNKNOWN",
    ),
    "cfg-002": ([f'[policy]\nmode = "{mode}"\n' for mode in ("Enforce ", "off", "", "ENFORCE")], "MODE_INVALID"),
    "cfg-005": (
        [f"[store]\nbusy_timeout_s = {value}\n" for value in ("-1", "nan", "inf", '"5s"', "61")],
        "VALUE_INVALID",
    ),
}
VARIABLES: dict[str, tuple[dict[str, str], str]] = {
    "cfg-003": ({"LUMYN_CONFIG_PATH": "nope.toml"}, "CONFIG_NOT_FOUND"),
    "cfg-004": ({"LUMYN_POLICY_MODE": "  "}, "ENV_BLANK"),
    "cfg-005": ({"LUMYN_STORE_BUSY_TIMEOUT_S": "5s"}, "VALUE_INVALID"),
}


@pytest.mark.parametrize(
    ("case", "files", "code"), [pytest.param(case, files, code, id=case) for case, (files, code) in FILES.items()]
)
def test_file_is_refused(lumyn: Lumyn, tmp_path: Path, case: str, files: list[str], code: str) -> None:
    """With its place; and the command line does nothing with the rest of it."""
    for content in files:
        (tmp_path / "lumyn.toml").write_text(content, encoding="utf-8")
        with pytest.raises(InvalidConfigError) as caught:
            load_config(start=tmp_path, environ={})
        assert [code] == [problem.code for problem in caught.value.problems]
        assert caught.value.problems[0].span is not None
        exit_code, output = lumyn("decide", "-", stdin=b"{}")
        assert ExitCode.INVALID == exit_code
        assert code in output


@pytest.mark.parametrize(
    ("case", "variables", "code"),
    [pytest.param(case, variables, code, id=case) for case, (variables, code) in VARIABLES.items()],
)
def test_environment_is_refused(
    lumyn: Lumyn,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    variables: dict[str, str],
    code: str,
) -> None:
    """A file that would do stands beside it, and is not taken instead."""
    with pytest.raises(InvalidConfigError) as caught:
        load_config(start=workspace, environ=variables)
    assert [code] == [problem.code for problem in caught.value.problems]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    exit_code, output = lumyn("show")
    assert ExitCode.INVALID == exit_code
    assert code in output


@case("cfg-005")
@pytest.mark.parametrize("value", ["-1", "0", "1.5", '"5"', "true", "5s"])
def test_number_of_matches_in_a_policy_is_a_positive_integer(case: str, value: str) -> None:
    """`memory.top_k` is set in the policy; it limits what is shown, so 0 is refused rather than read as none."""
    head = 'schema_version: policy.v0\npolicy_id: p\npolicy_version: "1"\nrules: []\n'
    with pytest.raises(InvalidPolicyError) as caught:
        parse_policy(f"{head}memory: {{ top_k: {value} }}\n")
    assert {"/memory/top_k"} & {problem.pointer for problem in caught.value.problems}
