"""`lumyn label`: say what became of a decision, or take that back, and see what it does to decisions like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console, counted_noun
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import open_workspace, resolve_experience, resolve_id
from lumyn.errors import StoreUnavailableError
from lumyn.model import JsonObject, Label, MemoryItem

if TYPE_CHECKING:
    from lumyn.core.decide import Gate
    from lumyn.core.impact import Change, Impact

__all__ = ["register"]

_SHOWN_CHANGES: Final = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(label)


def label(
    context: typer.Context,
    decision: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="A decision id, the beginning of one, or @last; with --retract the id of an experience too.",
            show_default=False,
        ),
    ],
    failure: Annotated[bool, typer.Option("--failure", help="The action should not have been taken.")] = False,
    success: Annotated[bool, typer.Option("--success", help="The action was right.")] = False,
    near_miss: Annotated[bool, typer.Option("--near-miss", help="It went well, and only just.")] = False,
    retract: Annotated[
        bool, typer.Option("--retract", help="Take the label back; with one of the above, the one of that kind.")
    ] = False,
    note: Annotated[str | None, typer.Option("--note", help="Why, in a line.", show_default=False)] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why it is taken back, in a line.", show_default=False)
    ] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Who says so.", show_default=False)] = None,
    json: JsonFlag = False,
) -> int:
    """
    Say what became of a decision, so that later decisions are compared with it.

    Prints what memory now holds for the tenant and action, and which of the last 100 decisions of theirs would come
    out otherwise if they came again. JSON (`lumyn.cli.label.v0`): `decision_id`, `memory_id`, `label`, `action_type`,
    `tenant_id`, `summary`, `retracts`, `memory`, `compared`, `skipped`, `complete`, `changes`.
    """
    chosen = _chosen({Label.FAILURE: failure, Label.SUCCESS: success, Label.NEAR_MISS: near_miss}, retract=retract)
    if retract and note is not None:
        raise typer.BadParameter("--note goes with a label; --retract takes --reason")
    if reason is not None and not retract:
        raise typer.BadParameter("--reason goes with --retract; a label takes --note")
    with open_workspace(context.obj) as gate:
        if retract:
            item = gate.retract(resolve_experience(gate, decision), label=chosen, actor=actor, reason=reason)
        elif chosen is not None:
            item = gate.label(resolve_id(gate, decision), chosen, note=note, actor=actor)
        impact = _impact(gate, item)
        console = Console()
        if json:
            console.json("label", _document(item, impact))
        else:
            _print(console, item, impact)
    return ExitCode.OK


def _chosen(flags: dict[Label, bool], *, retract: bool) -> Label | None:
    chosen = [each for each, given in flags.items() if given]
    if len(chosen) > 1 or not (chosen or retract):
        raise typer.BadParameter("give exactly one of --failure, --success, --near-miss, or --retract")
    return chosen[0] if chosen else None


def _impact(gate: Gate, item: MemoryItem) -> Impact | None:
    """Return what the label does; None when that cannot be told: the label is stored all the same."""
    from lumyn.core.impact import impact_of

    try:
        return impact_of(gate, item)
    except StoreUnavailableError:
        return None


def _document(item: MemoryItem, impact: Impact | None) -> dict[str, object]:
    held = None if impact is None else impact.held
    return {
        "decision_id": item.source_decision_id,
        "memory_id": item.memory_id,
        "label": item.label.value,
        "action_type": item.action_type,
        "tenant_id": item.tenant_id,
        "summary": item.summary,
        "retracts": item.retracts,
        "memory": None if held is None else {each.value: count for each, count in held.items()},
        "compared": 0 if impact is None else impact.compared,
        "skipped": 0 if impact is None else impact.skipped,
        "complete": impact is not None and impact.complete,
        "changes": [] if impact is None else [_change(change) for change in impact.changes],
    }


def _change(change: Change) -> JsonObject:
    return {
        "decision_id": change.record.decision_id,
        "created_at": change.record.created_at,
        "verdict": change.record.verdict.value,
        "before": {"verdict": change.before.value, "reason_codes": list(change.reason_codes_before)},
        "after": {"verdict": change.after.value, "reason_codes": list(change.reason_codes_after)},
    }


def _print(console: Console, item: MemoryItem, impact: Impact | None) -> None:
    kind = item.label.value.replace("_", " ")
    if item.retracts is None:
        console.line(f"labelled {item.source_decision_id} {item.label.value}", hang=2)
    else:
        of = f" of {item.source_decision_id}" if item.source_decision_id else ""
        console.line(f"took back the {kind} {item.retracts}{of}", hang=2)
    console.line(f"kept as {item.memory_id}: {item.summary}", indent=2, hang=4)
    where = f"memory of {item.action_type}" + (f" of tenant {item.tenant_id}" if item.tenant_id else "")
    if impact is None or impact.held is None:
        why = "the store cannot be read" if impact is None else "it is too large to look through at once"
        console.line(f"{where} holds it; what it changes is not told: {why}", indent=2, hang=4)
        return
    counts = ", ".join(_counted(each, impact.held[each]) for each in (Label.FAILURE, Label.NEAR_MISS, Label.SUCCESS))
    console.line(f"{where} now counts {counts}", indent=2, hang=4)
    _print_changes(console, impact)


def _counted(label: Label, count: int) -> str:
    nouns = {
        Label.FAILURE: ("failure", "failures"),
        Label.NEAR_MISS: ("near miss", "near misses"),
        Label.SUCCESS: ("success", "successes"),
    }
    return f"{count} {nouns[label][count != 1]}"


def _print_changes(console: Console, impact: Impact) -> None:
    from lumyn.cli.rendering import verdict_part
    from lumyn.report.words import action_words

    decisions = counted_noun(impact.compared, "recent decision")
    left = "" if impact.complete else "; there was no time for more"
    if impact.skipped:
        left += f"; {impact.skipped} cannot be decided again"
    if not impact.changes:
        console.line(f"{decisions} compared, none would come out otherwise{left}", indent=2, hang=4)
        return
    console.line(f"{decisions} compared, {len(impact.changes)} would come out otherwise{left}", indent=2, hang=4)
    for change in impact.changes[:_SHOWN_CHANGES]:
        record = change.record
        turn = (verdict_part(change.before), " -> ", verdict_part(change.after))
        console.line(*turn, "  ", record.decision_id, "  ", action_words(record.to_dict()), indent=4, hang=6)
        if change.before is change.after:
            codes = f"{', '.join(change.reason_codes_before)} -> {', '.join(change.reason_codes_after)}"
            console.line((codes, "dim"), indent=6)
    if len(impact.changes) > _SHOWN_CHANGES:
        console.line(f"and {len(impact.changes) - _SHOWN_CHANGES} more; --json lists all", indent=4)
