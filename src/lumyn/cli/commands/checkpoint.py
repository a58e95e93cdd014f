"""`lumyn checkpoint`: how long the journal is and what it holds, as a text to keep outside. Changes nothing."""

from __future__ import annotations

import sys

import typer

from lumyn.cli.console import Console, print_error, write
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag, StoreOption
from lumyn.cli.workspace import open_store_only
from lumyn.errors import StoreIntegrityError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(checkpoint)


def checkpoint(context: typer.Context, store: StoreOption = None, json: JsonFlag = False) -> int:
    """
    Print a checkpoint: keep it outside the store, for `lumyn verify --against FILE`.

    Exits 1, and prints none, when the journal is broken or not that of the configured `store.id`: a checkpoint would
    vouch for it.

    JSON (`lumyn.cli.checkpoint.v0`): `origin`, `size`, `root` (base64), and `text`, the checkpoint itself.
    """
    from lumyn.store.checkpoint import origin_of
    from lumyn.store.journal import checkpoint as checkpoint_of
    from lumyn.store.journal import read_journal

    opened, store_id = open_store_only(context.obj, store)
    try:
        made = read_journal(opened, checkpoint_of)
        if store_id is not None and made.origin != origin_of(store_id):
            raise StoreIntegrityError(
                "the store is not the one that the configuration names",
                detail="STORE_IDENTITY_MISMATCH",
                hint="restore the original file, or correct the pinned store id",
            )
    except StoreIntegrityError as error:
        if json:
            Console().json("error", {"error": error.to_dict()})
        print_error(error)
        return ExitCode.FAILED
    if json:
        data: dict[str, object] = {"origin": made.origin, "size": made.size, "root": made.root_text}
        Console().json("checkpoint", {**data, "text": made.text()})
    else:
        write(sys.stdout, made.text())
    return ExitCode.OK
