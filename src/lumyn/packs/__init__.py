"""
Decision packs: one stored decision as a file that anybody can check and decide again, without the store.
Made, read and replayed here; must not know the command line or where files are written.
"""

from __future__ import annotations

from lumyn.packs.container import MAX_PACK_BYTES
from lumyn.packs.making import pack_decision
from lumyn.packs.pack import MAX_MEMORY_BYTES, MEMBERS, PACK_VERSION, Pack
from lumyn.packs.reading import read_pack
from lumyn.packs.replaying import PackReplay, replay_pack

__all__ = [
    "MAX_MEMORY_BYTES",
    "MAX_PACK_BYTES",
    "MEMBERS",
    "PACK_VERSION",
    "Pack",
    "PackReplay",
    "pack_decision",
    "read_pack",
    "replay_pack",
]
