"""Checkpoints as text: C2SP tlog-checkpoint, written one way and read strictly."""

from __future__ import annotations

import pytest

from lumyn.store.checkpoint import CHECKPOINT_BYTES, Checkpoint, InvalidCheckpointError, origin_of, parse_checkpoint
from lumyn.store.merkle import EMPTY_ROOT

STORE_ID = "0123456789abcdef0123456789abcdef"
EMPTY = Checkpoint(origin=origin_of(STORE_ID), size=0, root=EMPTY_ROOT)
SOME = Checkpoint(origin=origin_of(STORE_ID), size=1_000_001, root=bytes(range(32)))
TEXT = f"lumyn/{STORE_ID}\n1000001\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"


def test_text_is_three_lines() -> None:
    """Origin, size, base64 root, each with a line end."""
    assert TEXT == SOME.text()
    assert f"lumyn/{STORE_ID}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n" == EMPTY.text()


@pytest.mark.parametrize("checkpoint", [EMPTY, SOME])
def test_what_is_written_is_read(checkpoint: Checkpoint) -> None:
    assert checkpoint == parse_checkpoint(checkpoint.text().encode())


@pytest.mark.parametrize(
    "text",
    [
        TEXT.rstrip("\n"),
        TEXT.replace("\n", "\r\n"),
        TEXT + "an extension\n",
        TEXT + "\n\u2014 witness.example Az3grl6tDQ==\n",
    ],
)
def test_what_shells_editors_and_witnesses_add_is_accepted(text: str) -> None:
    """Line ends of another system, extension lines, signatures."""
    assert SOME == parse_checkpoint(text.encode())


ORIGIN, SIZE, ROOT = TEXT.splitlines()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        ORIGIN,
        f"{ORIGIN}\n{SIZE}\n",
        f"\n{ORIGIN}\n{SIZE}\n{ROOT}\n",
        f"{ORIGIN}\n\n{SIZE}\n{ROOT}\n",
        f"{ORIGIN}\x1b[2J\n{SIZE}\n{ROOT}\n",
        *(f"{ORIGIN}\n{size}\n{ROOT}\n" for size in ("-1", "+1", "01", "1.0", " 1", "1 ", "1e3", "\u0661", "9" * 20)),
        *(
            f"{ORIGIN}\n{SIZE}\n{root}\n"
            for root in (ROOT[:-1], ROOT[:-4], ROOT + "AAAA", ROOT[:-2] + "9=", "*" + ROOT[1:], " " + ROOT, "AAAA")
        ),
        f"{ORIGIN}\n0\n{ROOT}\n",
        '{"schema": "lumyn.cli.checkpoint.v0"}',
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidCheckpointError) as caught:
        parse_checkpoint(text.encode())
    assert ["CHECKPOINT_INVALID"] == [problem.code for problem in caught.value.problems]


def test_other_encodings_are_refused() -> None:
    """Also what some shells make of a redirect."""
    for data in (TEXT.encode("utf-16"), b"\xff" + TEXT.encode()):
        with pytest.raises(InvalidCheckpointError):
            parse_checkpoint(data)


def test_size_is_bounded() -> None:
    with pytest.raises(InvalidCheckpointError) as caught:
        parse_checkpoint(TEXT.encode() + b"x" * CHECKPOINT_BYTES)
    assert ["TOO_LARGE"] == [problem.code for problem in caught.value.problems]
