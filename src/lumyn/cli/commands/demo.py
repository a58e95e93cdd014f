"""`lumyn demo`: what Lumyn answers to believable support requests. Works in a folder of its own, `.lumyn/demo`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.files import make_folder, replace_file, write_file
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import DEMO_CONFIG
from lumyn.model import JsonObject, JsonValue, Label, Verdict

if TYPE_CHECKING:
    from lumyn.core.decide import Gate
    from lumyn.core.records import DecisionRecord

__all__ = ["register"]

_POLICY: Final = "lumyn-support.v0.yml"
_CONFIG: Final = f"""\
# Written by `lumyn demo`. Commands that only look use this workspace when the folder has none of its own.
[store]
url = "sqlite:///lumyn.db"

[policy]
path = "{_POLICY}"
"""
_NOTE: Final = "Duplicate charge: the customer had been refunded by phone"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    title: str
    action: str
    intent: str
    evidence: dict[str, JsonValue]
    amount: str | None = None


_REFUND: Final[dict[str, JsonValue]] = {
    "ticket_id": "T-1041",
    "order_id": "O-88210",
    "customer_id": "C-5077",
    "customer_age_days": 412,
    "previous_refund_count_90d": 0,
    "chargeback_risk": 0.08,
    "payment_instrument_risk": "low",
}
_CASES: Final = (
    _Case(
        title="Refund 18.40 USD, cracked mug",
        action="support.refund",
        intent="Refund a cracked mug",
        amount="18.40",
        evidence=_REFUND,
    ),
    _Case(
        title="Refund 640 USD, late sofa",
        action="support.refund",
        intent="Refund a sofa that came late",
        amount="640.00",
        evidence=_REFUND | {"ticket_id": "T-1042", "order_id": "O-88304", "customer_id": "C-1190"},
    ),
    _Case(
        title="Refund 62 USD, for which order?",
        action="support.refund",
        intent="Refund the usual order",
        amount="62.00",
        evidence={key: value for key, value in _REFUND.items() if key != "order_id"} | {"ticket_id": "T-1043"},
    ),
    _Case(
        title="Reset a password amid a takeover",
        action="support.reset_password",
        intent="Reset the password by chat",
        evidence={"customer_id": "C-2231", "account_takeover_risk": 0.91},
    ),
)
_SIMILAR: Final = _Case(
    title="Refund 17.90 USD, another mug",
    action="support.refund",
    intent="Refund another cracked mug",
    amount="17.90",
    evidence=_REFUND | {"ticket_id": "T-1058", "order_id": "O-88977", "customer_id": "C-6120"},
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    story: Annotated[
        bool, typer.Option("--story", help="Also show how a labelled failure changes the next verdict.")
    ] = False,
    json: JsonFlag = False,
) -> int:
    """
    Decide four support requests, one for each verdict. Needs no network, no questions and no workspace.

    JSON (`lumyn.cli.demo.v0`): `decisions`, each with `title` and `record`; with --story, `story` with `before`,
    `label` and `after`; `next`, commands.
    """
    with _demo_gate() as gate:
        # Memory is kept apart by tenant, so every run starts without the failures of the runs before it.
        tenant = f"demo-{secrets.token_hex(3)}"
        decided = [(case, gate.decide(_request(case, tenant))) for case in _CASES]
        data: JsonObject = {
            "decisions": [{"title": case.title, "record": record.to_dict()} for case, record in decided]
        }
        console = Console()
        if not json:
            _print_cases(console, gate, decided)
        last = decided[0][1]
        if story:
            last, told = _tell(console, gate, decided[0][1], tenant, quiet=json)
            data["story"] = told
        commands = _next_commands(last)
        if json:
            console.json("demo", {**data, "next": commands})
        else:
            console.line("")
            console.line("next:")
            for command in commands:
                console.line(command, indent=2)
    return ExitCode.OK


def _demo_gate() -> Gate:
    from lumyn import _resources
    from lumyn.config import load_config
    from lumyn.discovery import open_configured

    folder = DEMO_CONFIG.parent
    make_folder(folder.parent, private=True)
    make_folder(folder, private=True)
    write_file(folder.parent / ".gitignore", "*\n")
    replace_file(DEMO_CONFIG, _CONFIG)
    replace_file(folder / _POLICY, (_resources.policies_dir() / _POLICY).read_text(encoding="utf-8"))
    # The environment configures the user's gate, which the demo leaves alone.
    gate = open_configured(load_config(file=DEMO_CONFIG, environ={}), create=True)
    gate.store.check()
    return gate


def _request(case: _Case, tenant: str) -> JsonObject:
    action: JsonObject = {"type": case.action, "intent": case.intent}
    if case.amount is not None:
        action["amount"] = {"value": case.amount, "currency": "USD"}
    return {
        "schema_version": "decision_request.v0",
        "tenant": {"tenant_id": tenant, "environment": "dev"},
        "subject": {"type": "agent", "id": "support-agent"},
        "action": action,
        "evidence": dict(case.evidence),
        "context": {"mode": "inline", "inline": {"conversation": case.title}},
    }


def _print_cases(console: Console, gate: Gate, decided: list[tuple[_Case, DecisionRecord]]) -> None:
    from lumyn.cli.rendering import verdict_part

    console.line(f"An agent asks before it acts; the policy {gate.policy.policy_id} answers.")
    console.line("")
    rows = [(verdict_part(record.verdict), case.title, ", ".join(record.reason_codes)) for case, record in decided]
    console.table(["verdict", "request", "reasons"], rows)
    console.line("")
    for verdict, meaning in _MEANINGS.items():
        console.line(verdict_part(verdict), f"{' ' * (10 - len(verdict.value))}{meaning}", hang=10)


_MEANINGS: Final = {
    Verdict.TRUST: "the agent goes ahead",
    Verdict.ESCALATE: "a person must approve",
    Verdict.QUERY: "the agent asks for what is missing and does nothing yet",
    Verdict.ABSTAIN: "the agent must not do it",
}


def _tell(
    console: Console, gate: Gate, first: DecisionRecord, tenant: str, *, quiet: bool
) -> tuple[DecisionRecord, JsonObject]:
    from lumyn.cli.rendering import match_text, verdict_part

    item = gate.label(first.decision_id, Label.FAILURE, note=_NOTE, actor="demo")
    second = gate.decide(_request(_SIMILAR, tenant))
    told: JsonObject = {
        "before": first.decision_id,
        "label": {"memory_id": item.memory_id, "label": item.label.value, "summary": item.summary},
        "after": {"title": _SIMILAR.title, "record": second.to_dict()},
    }
    if quiet:
        return second, told
    console.line("")
    console.line(("The story of a refund that went wrong", "bold"))
    console.line("1. ", verdict_part(first.verdict), f"  {_CASES[0].title}", hang=3)
    console.line("2. a person labels it a failure: ", item.summary, hang=3)
    console.line("3. ", verdict_part(second.verdict), f"  {_SIMILAR.title}", hang=3)
    console.line(", ".join(second.reason_codes), indent=3, hang=3)
    for match in second.similarity.top_k:
        console.line("memory: ", match_text(match), indent=3, hang=5)
    console.line("No rule was edited: the policy already said what to do when a failure repeats.")
    return second, told


def _next_commands(record: DecisionRecord) -> list[str]:
    from lumyn.config import load_config
    from lumyn.errors import InvalidConfigError

    try:
        config = load_config()
        has_own = config.file is not None or config.policy.path is not None
    except InvalidConfigError:
        has_own = True
    if not has_own:
        return [f"lumyn explain {record.decision_id}", "lumyn init", "pytest --lumyn-vectors"]
    demo_option = f"--config {DEMO_CONFIG.as_posix()}"
    return [f"lumyn {demo_option} explain {record.decision_id}", f"lumyn {demo_option} show", "lumyn doctor"]
