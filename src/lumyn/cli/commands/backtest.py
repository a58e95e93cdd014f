"""`lumyn backtest`: decide stored history again under another policy, and count what comes out otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console, counted_noun
from lumyn.cli.deciding import STDIN
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag, StoreOption
from lumyn.cli.workspace import open_stored
from lumyn.model import Mode, Verdict

if TYPE_CHECKING:
    from lumyn.backtest import Group, Past, Tally, Unplayable
    from lumyn.core.listing import Wanted
    from lumyn.policy.spec import Policy

__all__ = ["register"]

_WORDS: Final = {"new_trust": "new TRUST", "looser": "looser", "tighter": "tighter", "reasons": "reason codes only"}
_STYLES: Final = {"new_trust": "bold red", "looser": "red", "tighter": "green", "reasons": "dim"}
_LABEL_CHARS: Final = 19
_MEMORY_WORDS: Final = {
    "as-of": "with the experience that each saw",
    "now": "with today's experience",
    "none": "without experience",
}


class Memory(StrEnum):
    """What experience decisions are compared with."""

    AS_OF = "as-of"
    NOW = "now"
    NONE = "none"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backtest)


def backtest(
    context: typer.Context,
    policy: Annotated[
        str, typer.Argument(metavar="POLICY", help="The policy to try: a file, or git:REV:PATH.", show_default=False)
    ],
    records: Annotated[
        str | None,
        typer.Option(
            "--records",
            metavar="FILE",
            help="Decide these: what `lumyn export --jsonl` wrote, or -.",
            show_default=False,
        ),
    ] = None,
    memory: Annotated[
        Memory, typer.Option("--memory", help="Compare with the experience each saw, all of today's, or none.")
    ] = Memory.AS_OF,
    verdict: Annotated[Verdict | None, typer.Option("--verdict", help="Only what came out so.")] = None,
    action: Annotated[str | None, typer.Option("--action", metavar="TYPE", help="Only this action.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="ID", help="Only this tenant.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="None before: a time, or 2h, 7d, P1D.", show_default=False),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, max=2**31 - 1, help="The newest N.", show_default="all")
    ] = None,
    max_looser: Annotated[
        int | None, typer.Option("--max-looser", min=0, help="Exit 1 when more come out looser.", show_default=False)
    ] = None,
    max_changed: Annotated[
        int | None,
        typer.Option("--max-changed", min=0, help="Exit 1 when more come out otherwise.", show_default=False),
    ] = None,
    max_not_replayable: Annotated[
        int | None,
        typer.Option(
            "--max-not-replayable",
            min=0,
            help="Exit 1 when more cannot be decided again; 0 where another limit is given.",
            show_default=False,
        ),
    ] = None,
    store: StoreOption = None,
    json: JsonFlag = False,
) -> int:
    """
    Decide stored decisions again under another policy, and count which come out otherwise.

    Nothing is stored, and no decision changes. What redaction removed, or experience that is not at hand, is never
    guessed: such decisions are counted apart, and a limit on what may change does not let them pass. Exits 5 when there
    is no decision.

    JSON (`lumyn.cli.backtest.v0`): `policy`; `memory`; `decisions`; `counts`, by effect: `new_trust`, `looser`,
    `tighter`, `reasons`, `same`, `not_replayable`; `changes`, each with `effect`, `before`, `after`, `count` and
    `decisions`, some of their ids; `not_replayable`, each with `reason`, `count`, `decisions`; `failed`, the limits
    that were passed.
    """
    from lumyn.backtest import MemoryChoice
    from lumyn.backtest import backtest as count
    from lumyn.cli.analysing import policy_at
    from lumyn.cli.progress import progress_bar
    from lumyn.cli.times import since_text
    from lumyn.core.clock import SystemClock
    from lumyn.core.listing import Wanted

    if records is not None and memory is Memory.NOW:
        raise typer.BadParameter("lines hold no experience: leave out --records, or give --memory as-of or none")
    if records is not None and limit is not None:
        raise typer.BadParameter("--limit goes with a store")
    candidate = policy_at(policy)
    wanted = Wanted(
        verdict=verdict,
        action_type=action,
        tenant_id=tenant,
        since=None if since is None else since_text(since, now_ms=SystemClock().now_ms()),
    )
    with (
        _history(context.obj, store, records, wanted, limit, with_now=memory is Memory.NOW) as (history, total),
        progress_bar("deciding again") as advance,
    ):
        progress: Callable[[int], object] | None = None
        if advance is not None:
            show = advance
            progress = lambda done: show(done, max(total, done))  # noqa: E731
        held = _Held()
        tally = count(held.counted(history), candidate, memory=MemoryChoice(memory.value), progress=progress)
    failed = _failed(tally, max_looser, max_changed, max_not_replayable)
    if candidate.mode is Mode.ADVISORY:
        failed += _let_go(held.count, max_looser, max_changed)
    console = Console()
    if json:
        console.json("backtest", _document(candidate, memory, tally, failed))
    else:
        _print(console, candidate, memory, tally, failed)
    if not tally.decisions:
        return ExitCode.NOTHING_TO_DO
    return ExitCode.FAILED if failed else ExitCode.OK


@contextmanager
def _history(
    config_file: Path | None, url: str | None, records: str | None, wanted: Wanted, limit: int | None, *, with_now: bool
) -> Iterator[tuple[Iterator[Past], int]]:
    """Give the decisions, and about how many steps it takes to read them."""
    from lumyn.backtest import read_store
    from lumyn.core.listing import newest_seq

    if records is not None:
        with _lines(records, wanted) as lines:
            yield lines, 0
        return
    with closing(open_stored(config_file, url)) as opened:
        yield read_store(opened, wanted, limit=limit, with_now=with_now), limit or newest_seq(opened)


@contextmanager
def _lines(file: str, wanted: Wanted) -> Iterator[Iterator[Past]]:
    from lumyn.backtest import read_lines
    from lumyn.errors import InvalidDocumentError, Problem

    if file == STDIN:
        stream = None if sys.stdin is None else sys.stdin.buffer
        yield read_lines(stream or BytesIO(), file="<stdin>", wanted=wanted)
        return
    with ExitStack() as opened:
        try:
            lines = opened.enter_context(Path(file).open("rb"))
        except (OSError, ValueError) as error:
            reason = (error.strerror or "").lower() if isinstance(error, OSError) else "not a usable path"
            problem = Problem(code="PATH_NOT_READABLE", message=f"cannot read `{file}`: {reason}")
            raise InvalidDocumentError([problem]) from None
        yield read_lines(lines, file=file, wanted=wanted)


def _failed(tally: Tally, looser: int | None, changed: int | None, not_replayable: int | None) -> list[str]:
    """Return a line for each limit that was passed."""
    if not_replayable is None and (looser is not None or changed is not None):
        not_replayable = 0
    limits = (
        (tally.looser, looser, "would have come out looser", "--max-looser"),
        (tally.changed, changed, "would have come out otherwise", "--max-changed"),
        (tally.not_replayable, not_replayable, "could not be decided again", "--max-not-replayable"),
    )
    return [
        f"{counted_noun(found, 'decision')} {words}, {most} allowed by {option}"
        for found, most, words, option in limits
        if most is not None and found > most
    ]


class _Held:
    """Counts the decisions that held an action back: under an advisory policy none does, whatever its verdicts."""

    def __init__(self) -> None:
        self.count = 0

    def counted(self, history: Iterator[Past]) -> Iterator[Past]:
        for past in history:
            self.count += past.record.mode is Mode.ENFORCE and past.record.verdict is not Verdict.TRUST
            yield past


def _let_go(held: int, looser: int | None, changed: int | None) -> list[str]:
    """Return a line when an advisory policy would let through more than a limit allows."""
    most = [limit for limit in (looser, changed) if limit is not None]
    if not most or held <= min(most):
        return []
    words = (
        f"{counted_noun(held, 'decision')} held an action back, and this policy is advisory: by itself it holds none"
    )
    return [words]


def _document(candidate: Policy, memory: Memory, tally: Tally, failed: list[str]) -> dict[str, object]:
    from lumyn.backtest import Effect

    return {
        "policy": {
            "policy_id": candidate.policy_id,
            "policy_version": candidate.policy_version,
            "policy_hash": candidate.policy_hash,
            "mode": candidate.mode.value,
        },
        "memory": memory.value,
        "decisions": tally.decisions,
        "counts": {
            **{effect.value: tally.count(effect) for effect in Effect},
            "not_replayable": tally.not_replayable,
        },
        "changes": [_change(group) for group in tally.groups()],
        "not_replayable": [
            {"reason": each.reason, "count": each.count, "decisions": list(each.decisions)} for each in tally.reasons()
        ],
        "failed": failed,
    }


def _change(group: Group) -> dict[str, object]:
    return {
        "effect": group.effect.value,
        "before": {"verdict": group.before.value, "reason_codes": list(group.reason_codes_before)},
        "after": {"verdict": group.after.value, "reason_codes": list(group.reason_codes_after)},
        "count": group.count,
        "decisions": list(group.decisions),
    }


def _print(console: Console, candidate: Policy, memory: Memory, tally: Tally, failed: list[str]) -> None:
    from lumyn.backtest import Effect

    console.line(
        (counted_noun(tally.decisions, "decision"), "bold"),
        f" under {candidate.policy_id} {candidate.policy_version}, {_MEMORY_WORDS[memory]}",
        hang=2,
    )
    if candidate.mode is Mode.ADVISORY:
        console.line(("this policy is advisory: by itself it holds no action back", "yellow"), indent=2)
    if not tally.decisions:
        return
    if not tally.changed:
        console.line(("no change", "bold green"), f": {tally.count(Effect.SAME)} come out as they did")
    else:
        console.line(f"{'same':{_LABEL_CHARS}}{tally.count(Effect.SAME)}")
    for group in tally.groups():
        _print_group(console, group)
    for each in tally.reasons():
        _print_unplayable(console, each)
    for line in failed:
        console.line(("failed", "bold red"), f"  {line}", hang=8)


def _print_group(console: Console, group: Group) -> None:
    from lumyn.cli.rendering import verdict_part

    label = (f"{_WORDS[group.effect]:{_LABEL_CHARS}}", _STYLES[group.effect])
    if group.before is group.after:
        moved: list[str | tuple[str, str]] = [verdict_part(group.after)]
    else:
        moved = [verdict_part(group.before), " -> ", verdict_part(group.after)]
    console.line(label, f"{group.count}  ", *moved, f"  {_codes(group)}", hang=_LABEL_CHARS)
    console.line((_examples(group.decisions, group.count), "dim"), indent=_LABEL_CHARS)


def _print_unplayable(console: Console, each: Unplayable) -> None:
    label = (f"{'not replayable':{_LABEL_CHARS}}", "yellow")
    console.line(label, f"{each.count}  {each.reason}", hang=_LABEL_CHARS)
    console.line((_examples(each.decisions, each.count), "dim"), indent=_LABEL_CHARS)


def _codes(group: Group) -> str:
    lost = [f"-{code}" for code in group.reason_codes_before if code not in group.reason_codes_after]
    gained = [f"+{code}" for code in group.reason_codes_after if code not in group.reason_codes_before]
    return " ".join([*lost, *gained]) or "the same codes"


def _examples(decisions: tuple[str, ...], count: int) -> str:
    return f"{decisions[0]} and {count - 1} more" if count > 1 else decisions[0]
