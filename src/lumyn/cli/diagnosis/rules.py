"""
Whether the policy can be used, what it is set to do, and whether vectors watch over it.
Must not decide anything or run a vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lumyn.cli.console import counted_noun
from lumyn.cli.diagnosis.finding import Finding, ok, problem, warning
from lumyn.cli.diagnosis.paths import shown
from lumyn.config import Config
from lumyn.errors import InvalidConfigError, InvalidDocumentError, InvalidPolicyError, InvalidVectorError
from lumyn.model import Mode

__all__ = ["policy_and_vectors"]

_ADVISORY: Final = "advisory: every action may proceed, whatever its verdict"


def policy_and_vectors(config: Config) -> Iterator[Finding]:
    """Yield what there is to say about the policy and what is kept of requests, then about vectors."""
    yield from _policy(config)
    yield from _redaction(config)
    yield from _vectors(config)


def _policy(config: Config) -> Iterator[Finding]:
    from lumyn.discovery import policy_path
    from lumyn.policy.loader import load_policy

    try:
        path = policy_path(config)
        policy = load_policy(path)
    except (InvalidConfigError, InvalidPolicyError) as error:
        if not (isinstance(error, InvalidConfigError) and config.file is None):  # which `configuration` says
            yield _invalid("policy", error, hint="`lumyn policy validate` lists every problem")
        return
    rules = counted_noun(len(policy.rules), "rule")
    yield ok("policy", f"{shown(path)}: {policy.policy_id} {policy.policy_version}, {rules}, {policy.policy_hash}")
    mode = config.policy.mode or policy.mode
    if mode is Mode.ADVISORY:
        where = config.origins["policy.mode"] if config.policy.mode else "the policy itself"
        hint = f"set by {where}; fine while you watch what would be blocked"
        yield warning("mode", _ADVISORY, code="MODE_ADVISORY", hint=hint)
    else:
        yield ok("mode", "enforce")


def _redaction(config: Config) -> Iterator[Finding]:
    from lumyn.engine.redaction import RedactionPolicy, RedactionProfile

    try:
        profile = RedactionProfile(config.redaction.profile)
        RedactionPolicy(profile=profile, remove=config.redaction.remove)
    except InvalidConfigError as error:
        yield _invalid("redaction", error, hint="docs/redaction.md says what can be removed")
        return
    if profile is RedactionProfile.OFF:
        message = "off: everything a request holds is stored, its context too"
        yield warning(
            "redaction", message, code="REDACTION_OFF", hint='`profile = "default"` keeps a digest of the context'
        )
    else:
        removed = len(config.redaction.remove)
        yield ok("redaction", profile.value + (f", and {counted_noun(removed, 'pointer')}" if removed else ""))


def _vectors(config: Config) -> Iterator[Finding]:
    from lumyn.vectors.discovery import discover
    from lumyn.vectors.loader import load_suite, unused_shared_fixtures

    suites = []
    broken: list[InvalidVectorError] = []
    try:
        files = discover(config.folder, allow_empty=True)
        for file in files:
            try:
                suites.append(load_suite(file, root=config.folder))
            except InvalidVectorError as error:
                broken.append(error)
    except InvalidVectorError as error:
        broken.append(error)
        files = []
    except OSError as error:
        reason = (error.strerror or "i/o error").lower()
        yield problem("vectors", f"cannot search for vectors: {reason}", code="PATH_NOT_READABLE")
        return
    wrong = [each for suite in suites for vector in suite.vectors for each in vector.problems]
    if not broken and (unused := unused_shared_fixtures(suites)):
        wrong.extend(unused)
    if wrong:
        broken.append(InvalidVectorError(wrong))
    if broken:
        yield _invalid("vectors", broken[0], hint="`lumyn vectors run` lists every problem", more=broken[1:])
    elif count := sum(len(suite.vectors) for suite in suites):
        yield ok("vectors", f"{counted_noun(count, 'vector')} in {counted_noun(len(files), 'file')}")
    else:
        message = f"none in vectors/ nor in any *.lumyn.yml below {shown(config.folder)}: nothing would notice drift"
        yield warning("vectors", message, code="VECTORS_EMPTY", hint="`lumyn init` writes some that pass")


def _invalid(
    check: str, error: InvalidDocumentError, *, hint: str, more: list[InvalidVectorError] | None = None
) -> Finding:
    """Return the first problem, and how many there are besides."""
    first = error.problems[0]
    rest = len(error.problems) - 1 + sum(len(each.problems) for each in more or ())
    where = f"{first.span}: " if first.span else ""
    others = f" (and {counted_noun(rest, 'problem')} more)" if rest else ""
    return problem(check, f"{where}{first.message}{others}", code=first.code, hint=first.hint if not rest else hint)
