"""
Options that several commands share, so that they read the same everywhere.
Must not know what commands do with them.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

__all__ = ["DecisionId", "JsonFlag", "StoreOption"]

JsonFlag: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
DecisionId: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="A decision id, the beginning of one, @last, or - to read one.", show_default=False
    ),
]
StoreOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="This store, instead of the configured one.", show_default=False),
]
