"""
Options that several commands share, so that they read the same everywhere.
Must not know what commands do with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from lumyn.errors import LumynError

__all__ = ["DecisionId", "JsonFlag", "StoreOption", "recent_ids"]

_COMPLETED: Final = 50


def recent_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Return what may stand where a shell asks for a decision: `@last` and recent ids; nothing when there are none."""
    from lumyn.cli.workspace import LAST, find_config
    from lumyn.store import open_store

    file = context.find_root().params.get("config")
    try:
        config = find_config(file if isinstance(file, Path) else None, demo=True, quiet=True)
        store = open_store(config.store.url, store_id=config.store.id)
        ids = [decision.decision_id for decision in store.decisions(limit=_COMPLETED)]
        store.close()
    except LumynError:
        return []
    return [each for each in (LAST, *ids) if each.startswith(incomplete)] if ids else []


JsonFlag: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
DecisionId: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="A decision id, the beginning of one, @last, or - to read one.",
        show_default=False,
        autocompletion=recent_ids,
    ),
]
StoreOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="This store, instead of the configured one.", show_default=False),
]
