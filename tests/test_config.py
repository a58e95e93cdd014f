"""Configuration: precedence, origins, and every way in which a typing error could have become a default."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lumyn.config import Config, Source, find_config_file, load_config, variable_for
from lumyn.errors import InvalidConfigError
from lumyn.model import Mode

FULL = """\
[store]
url = "sqlite:///data/lumyn.db"
synchronous = "NORMAL"
busy_timeout_s = 5
id = "0123456789abcdef0123456789abcdef"

[policy]
path = "policies/refunds.yml"
mode = "advisory"

[redaction]
profile = "strict"
remove = ["/subject/ip", "/context/inline/card"]

[limits]
request_bytes = 4096
"""


def load(
    folder: Path, text: str | None = None, *, environ: Mapping[str, str] | None = None, **arguments: object
) -> Config:
    """Load the configuration of `folder`, with `text` as its lumyn.toml."""
    if text is not None:
        (folder / "lumyn.toml").write_text(text, encoding="utf-8")
    named = {key.replace("__", "."): value for key, value in arguments.items()}
    return load_config(start=folder, environ=environ or {}, arguments=named)


def codes(folder: Path, text: str | None = None, **options: object) -> list[str]:
    """Return the codes of the problems that loading reports."""
    with pytest.raises(InvalidConfigError) as caught:
        load(folder, text, **options)  # type: ignore[arg-type]
    return [problem.code for problem in caught.value.problems]


def test_without_any_file_the_defaults_hold_and_no_policy_is_named(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert None is config.file
    assert f"sqlite:///{tmp_path}/.lumyn/lumyn.db" == config.store.url
    assert ("FULL", 2.0, None) == (config.store.synchronous, config.store.busy_timeout_s, config.store.id)
    assert (None, None) == (config.policy.path, config.policy.mode)
    assert ("default", 1_048_576) == (config.redaction.profile, config.limits.request_bytes)


def test_a_file_sets_every_key_and_its_relative_paths_start_from_its_folder(tmp_path: Path) -> None:
    below = tmp_path / "src" / "app"
    below.mkdir(parents=True)
    (tmp_path / "lumyn.toml").write_text(FULL, encoding="utf-8")
    config = load(below)
    assert tmp_path / "lumyn.toml" == config.file
    assert f"sqlite:///{tmp_path}/data/lumyn.db" == config.store.url
    assert tmp_path / "policies/refunds.yml" == config.policy.path
    assert ("NORMAL", 5.0, "0123456789abcdef0123456789abcdef") == (
        config.store.synchronous,
        config.store.busy_timeout_s,
        config.store.id,
    )
    assert Mode.ADVISORY is config.policy.mode
    assert ("strict", 4096) == (config.redaction.profile, config.limits.request_bytes)
    assert ("/subject/ip", "/context/inline/card") == config.redaction.remove


def test_an_argument_goes_before_the_environment_before_the_file_before_the_default(tmp_path: Path) -> None:
    environ = {"LUMYN_STORE_BUSY_TIMEOUT_S": "7", "LUMYN_POLICY_MODE": "enforce"}
    config = load(tmp_path, FULL, environ=environ, policy__mode="advisory")
    assert Mode.ADVISORY is config.policy.mode
    assert 7.0 == config.store.busy_timeout_s
    assert "NORMAL" == config.store.synchronous
    sources = {key: origin.source for key, origin in config.origins.items()}
    assert Source.ARGUMENT is sources["policy.mode"]
    assert Source.ENVIRONMENT is sources["store.busy_timeout_s"]
    assert Source.FILE is sources["store.synchronous"]
    assert Source.DEFAULT is load(tmp_path, "").origins["store.synchronous"].source


def test_the_environment_alone_overrides_the_mode_of_the_file(tmp_path: Path) -> None:
    assert Mode.ENFORCE is load(tmp_path, FULL, environ={"LUMYN_POLICY_MODE": "enforce"}).policy.mode


def test_every_key_has_a_variable_that_is_read(tmp_path: Path) -> None:
    values = {
        "store.url": "sqlite:////elsewhere.db",
        "store.synchronous": "NORMAL",
        "store.busy_timeout_s": "0.5",
        "store.id": "abc",
        "policy.path": "/p.yml",
        "policy.mode": "advisory",
        "redaction.profile": "off",
        "redaction.remove": '["/trace"]',
        "limits.request_bytes": "10",
        "telemetry.log": "logger",
        "telemetry.otel": "true",
        "service.bind_host": "::1",
        "service.bind_port": "0",
        "service.keys": '[{"id": "a", "secret": "0123456789abcdef01234567", "scopes": ["read", "decide"]}]',
        "service.header_timeout_s": "1",
        "service.body_timeout_s": "2.5",
        "service.drain_timeout_s": "0",
        "service.watch_s": "0",
        "service.max_waiting": "7",
    }
    config = load(tmp_path, environ={variable_for(key): value for key, value in values.items()})
    assert {key: variable_for(key) for key in values} == {key: str(o) for key, o in config.origins.items()}
    assert ("sqlite:////elsewhere.db", 0.5, "abc") == (config.store.url, config.store.busy_timeout_s, config.store.id)
    assert (Path("/p.yml"), Mode.ADVISORY) == (config.policy.path, config.policy.mode)
    assert ("off", 10) == (config.redaction.profile, config.limits.request_bytes)
    assert ("logger", True) == (config.telemetry.log, config.telemetry.otel)
    assert ("/trace",) == config.redaction.remove
    service = config.service
    assert ("::1", 0, 7) == (service.bind_host, service.bind_port, service.max_waiting)
    assert (1.0, 2.5, 0.0) == (service.header_timeout_s, service.body_timeout_s, service.watch_s)
    (key,) = service.keys
    assert ("a", b"0123456789abcdef01234567", {"read", "decide"}) == (key.id, key.secret, key.scopes)


def test_a_path_from_the_environment_starts_from_the_start_folder(tmp_path: Path) -> None:
    """A path typed in a shell means what the shell means by it."""
    below = tmp_path / "app"
    below.mkdir()
    (tmp_path / "lumyn.toml").write_text(FULL, encoding="utf-8")
    assert below / "p.yml" == load(below, environ={"LUMYN_POLICY_PATH": "p.yml"}).policy.path


def test_a_plain_store_path_is_made_absolute_and_memory_is_left_alone(tmp_path: Path) -> None:
    assert f"sqlite:///{tmp_path}/x.db" == load(tmp_path, '[store]\nurl = "x.db"\n').store.url
    assert "sqlite:///:memory:" == load(tmp_path, '[store]\nurl = "sqlite:///:memory:"\n').store.url


def test_pyproject_serves_too_and_lumyn_toml_goes_before_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.lumyn.policy]\npath = "p.yml"\n', encoding="utf-8")
    assert (tmp_path / "pyproject.toml", tmp_path / "p.yml") == (load(tmp_path).file, load(tmp_path).policy.path)
    assert tmp_path / "lumyn.toml" == load(tmp_path, FULL).file


def test_a_pyproject_about_other_things_is_passed_by_even_when_it_is_broken(tmp_path: Path) -> None:
    below = tmp_path / "app"
    below.mkdir()
    (tmp_path / "lumyn.toml").write_text(FULL, encoding="utf-8")
    (below / "pyproject.toml").write_text("[tool.other\n", encoding="utf-8")
    assert tmp_path / "lumyn.toml" == find_config_file(below)
    (below / "pyproject.toml").write_text('[project]\ndependencies = ["lumyn"]\n', encoding="utf-8")
    assert tmp_path / "lumyn.toml" == find_config_file(below)


def test_a_broken_pyproject_that_mentions_lumyn_is_not_passed_by(tmp_path: Path) -> None:
    """What it says about Lumyn is not known, so an outer configuration must not take its place."""
    below = tmp_path / "app"
    below.mkdir()
    (tmp_path / "lumyn.toml").write_text(FULL, encoding="utf-8")
    (below / "pyproject.toml").write_text("[tool.lumyn\n", encoding="utf-8")
    assert ["TOML_INVALID"] == codes(below)


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ('stroage_url = "x"\n', 1, None),
        ('[store]\n\nulr = "x"\n', 3, "did you mean `store.url`?"),
        ('[polcy]\npath = "x"\n', 1, "did you mean `policy`?"),
        ('[store]\nmode = "enforce"\n', 2, "did you mean `policy.mode`?"),
        ('store.url = "x"\npolicy = { pth = "p.yml" }\n', 2, "did you mean `policy.path`?"),
        ('mode = "enforce"\n', 1, "did you mean `policy.mode`?"),
    ],
)
def test_an_unknown_key_is_an_error_with_its_place(tmp_path: Path, text: str, line: int, hint: str | None) -> None:
    """cfg-001: a typing error must not fall back to a default."""
    with pytest.raises(InvalidConfigError) as caught:
        load(tmp_path, text)
    (problem,) = caught.value.problems
    assert "FIELD_UNKNOWN" == problem.code
    assert problem.span is not None
    assert (line, 1) == (problem.span.line, problem.span.column)
    assert problem.span.file.endswith("lumyn.toml")
    if hint:
        assert hint == problem.hint


def test_an_unknown_key_in_pyproject_has_its_place(tmp_path: Path) -> None:
    text = '[project]\nname = "x"\n\n[tool.lumyn.policy]\n  path = "p.yml"\n  mod = "enforce"\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidConfigError) as caught:
        load(tmp_path)
    span = caught.value.problems[0].span
    assert span is not None
    assert (6, 3) == (span.line, span.column)


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = '[store]\nsynchronous = "OFF"\nbusy_timeout_s = -1\n[policy]\nmode = "off"\nx = 1\n'
    assert ["VALUE_INVALID", "VALUE_INVALID", "MODE_INVALID", "FIELD_UNKNOWN"] == codes(tmp_path, text)


@pytest.mark.parametrize("mode", ["Enforce ", "off", "", "ADVISORY", "enforce\\n"])
def test_a_mode_is_taken_exactly(tmp_path: Path, mode: str) -> None:
    """cfg-002."""
    assert ["MODE_INVALID"] == codes(tmp_path, f'[policy]\nmode = "{mode}"\n')


@pytest.mark.parametrize("mode", ["true", "1", '["enforce"]'])
def test_a_mode_of_another_type_is_refused(tmp_path: Path, mode: str) -> None:
    assert ["MODE_INVALID"] == codes(tmp_path, f"[policy]\nmode = {mode}\n")


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """cfg-003: the nearest file must not take the place of the one that was named."""
    (tmp_path / "lumyn.toml").write_text(FULL, encoding="utf-8")
    assert ["CONFIG_NOT_FOUND"] == codes(tmp_path, environ={"LUMYN_CONFIG_PATH": "nope.toml"})
    assert ["CONFIG_NOT_FOUND"] == codes(tmp_path, environ={"LUMYN_CONFIG_PATH": "a" * 5_000})
    with pytest.raises(InvalidConfigError):
        load_config(start=tmp_path, file=tmp_path / "nope.toml", environ={})


def test_a_named_file_is_used_and_an_argument_goes_before_the_variable(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[policy]\npath = "a.yml"\n', encoding="utf-8")
    (tmp_path / "b.toml").write_text('[policy]\npath = "b.yml"\n', encoding="utf-8")
    environ = {"LUMYN_CONFIG_PATH": "a.toml"}
    assert tmp_path / "a.yml" == load(tmp_path, environ=environ).policy.path
    config = load_config(start=tmp_path, file=tmp_path / "b.toml", environ=environ)
    assert tmp_path / "b.yml" == config.policy.path


@pytest.mark.parametrize(
    "name", ["LUMYN_POLICY_MODE", "LUMYN_MODE", "LUMYN_CONFIG_PATH", "LUMYN_STORE_ID", "LUMYN_LIMITS_REQUEST_BYTES"]
)
@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_a_variable_that_is_set_but_blank_is_an_error(tmp_path: Path, name: str, blank: str) -> None:
    """cfg-004: set but blank is a mistake, not unset."""
    assert ["ENV_BLANK"] == codes(tmp_path, environ={name: blank})


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "5s", "1_0", "1e1", "61", " 5", "٣", "0x10"])
@pytest.mark.parametrize("name", ["LUMYN_STORE_BUSY_TIMEOUT_S"])
def test_a_number_from_the_environment_is_a_plain_decimal_in_range(tmp_path: Path, name: str, value: str) -> None:
    """cfg-005."""
    assert ["VALUE_INVALID"] == codes(tmp_path, environ={name: value})


@pytest.mark.parametrize("value", ["/subject/ip", "[1]", '"/subject/ip"', "{}", "[", '["/a"] x'])
def test_pointers_in_the_environment_are_a_json_list_of_texts(tmp_path: Path, value: str) -> None:
    """A list that could be read in two ways would keep what it was meant to remove."""
    assert ["VALUE_INVALID"] == codes(tmp_path, environ={"LUMYN_REDACTION_REMOVE": value})


@pytest.mark.parametrize("value", ['"/subject/ip"', "[1]", '[["/subject/ip"]]', "true"])
def test_pointers_in_the_file_are_a_list_of_texts(tmp_path: Path, value: str) -> None:
    assert ["VALUE_INVALID"] == codes(tmp_path, f"[redaction]\nremove = {value}\n")


@pytest.mark.parametrize("value", ["-1", "nan", "inf", '"5s"', '"5"', "true", "61.0", "[]"])
def test_a_timeout_in_the_file_is_a_number_in_range(tmp_path: Path, value: str) -> None:
    """cfg-005."""
    assert ["VALUE_INVALID"] == codes(tmp_path, f"[store]\nbusy_timeout_s = {value}\n")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "true", "99999999999", "nan"])
def test_a_size_limit_is_a_whole_number_in_range(tmp_path: Path, value: str) -> None:
    assert ["VALUE_INVALID"] == codes(tmp_path, f"[limits]\nrequest_bytes = {value}\n")


@pytest.mark.parametrize("key", ["store.url", "store.id", "policy.path"])
def test_a_blank_text_in_the_file_is_refused(tmp_path: Path, key: str) -> None:
    section, name = key.split(".")
    assert ["VALUE_INVALID"] == codes(tmp_path, f'[{section}]\n{name} = " "\n')


@pytest.mark.parametrize("key", ["store.url", "policy.path"])
def test_a_nul_in_a_path_is_refused(tmp_path: Path, key: str) -> None:
    section, name = key.split(".")
    assert ["PATH_INVALID"] == codes(tmp_path, f'[{section}]\n{name} = "a\\u0000b"\n')
    with pytest.raises(InvalidConfigError, match="PATH_INVALID"):
        load_config(start=tmp_path, file=Path("a\0b"), environ={})


@pytest.mark.parametrize("value", ["OFF", "full", "EXTRA"])
def test_durability_cannot_be_switched_off(tmp_path: Path, value: str) -> None:
    """`OFF` would let a record that was returned be lost."""
    assert ["VALUE_INVALID"] == codes(tmp_path, f'[store]\nsynchronous = "{value}"\n')


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("LUMYN_MODE", "did you mean `LUMYN_POLICY_MODE`?"),
        ("LUMYN_POLICY_MODES", "did you mean `LUMYN_POLICY_MODE`?"),
        ("LUMYN_POLICY", "did you mean `LUMYN_POLICY_PATH`?"),
        ("LUMYN_STROE_URL", "did you mean `LUMYN_STORE_URL`?"),
        ("LUMYN_CONFIG", "did you mean `LUMYN_CONFIG_PATH`?"),
    ],
)
def test_a_misspelt_variable_is_an_error(tmp_path: Path, name: str, hint: str) -> None:
    """`LUMYN_MODE=enforce` over a file that says advisory must not quietly change nothing."""
    with pytest.raises(InvalidConfigError) as caught:
        load(tmp_path, environ={name: "enforce"})
    (problem,) = caught.value.problems
    assert ("FIELD_UNKNOWN", hint) == (problem.code, problem.hint)


@pytest.mark.parametrize(
    "name",
    [
        "LUMYN_DEBUG",
        "LUMYN_VERSION",
        "LUMYN_PORT",
        "LUMYN_SERVICE_HOST",
        "LUMYN_PORT_8080_TCP_ADDR",
        "LUMYN_STORE_SERVICE_HOST",
        "LUMYN_STORE_PORT",
        "LUMYN_POLICY_SERVICE_PORT_HTTP",
    ],
)
def test_variables_that_are_nobodys_typing_error_are_left_alone(tmp_path: Path, name: str) -> None:
    """Kubernetes adds variables for every service of a namespace."""
    assert load(tmp_path) == load(tmp_path, environ={name: "tcp://10.0.0.1:80"})


@pytest.mark.parametrize(
    "text",
    ["[store\n", "a = 1\na = 2\n", "a = " + "[" * 5_000, "a = " + "9" * 5_000, "policy = 1\n[policy]\n"],
    ids=["header", "twice", "deep", "digits", "table"],
)
def test_a_file_that_is_not_toml_has_a_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        load(tmp_path, text)
    (problem,) = caught.value.problems
    assert "TOML_INVALID" == problem.code
    assert problem.span is not None


def test_a_file_that_is_not_text_or_not_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lumyn.toml").write_bytes(b"\xff\xfe")
    assert ["TOML_INVALID"] == codes(tmp_path)
    (tmp_path / "lumyn.toml").unlink()
    (tmp_path / "lumyn.toml").mkdir()
    assert ["PATH_NOT_FILE"] == codes(tmp_path)
    (tmp_path / "lumyn.toml").rmdir()
    (tmp_path / "lumyn.toml").symlink_to(tmp_path / "gone.toml")
    assert ["PATH_NOT_FOUND"] == codes(tmp_path)


def test_a_section_that_is_not_a_table_is_refused(tmp_path: Path) -> None:
    assert ["VALUE_INVALID"] == codes(tmp_path, 'store = "x"\n')
    (tmp_path / "lumyn.toml").unlink()
    (tmp_path / "pyproject.toml").write_text("[tool]\nlumyn = 1\n", encoding="utf-8")
    assert ["VALUE_INVALID"] == codes(tmp_path)


def test_no_message_repeats_the_store_url(tmp_path: Path) -> None:
    """A URL can hold a password."""
    with pytest.raises(InvalidConfigError) as caught:
        load(tmp_path, '[store]\nurl = "postgresql://u:s3cret@host/db\\u0000"\n')
    assert "s3cret" not in str(caught.value)


def test_a_working_directory_that_is_gone_is_an_expected_error(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom lumyn.config import load_config\nfrom lumyn.errors import InvalidConfigError\n"
        "os.mkdir(sys.argv[1]); os.chdir(sys.argv[1]); os.rmdir(sys.argv[1])\n"
        "try: load_config()\nexcept InvalidConfigError as error: print(error.problems[0].code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "gone")], capture_output=True, text=True, check=True
    )
    assert "CONFIG_NOT_FOUND\n" == done.stdout
