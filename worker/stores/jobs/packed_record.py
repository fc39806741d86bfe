"""The record of a job that ended a while ago, in a fraction of its size; nothing that a client sees
is lost.

Most of it is names of fields and reports, which compress well against a dictionary of them. What
the scripts read stays as it is.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from worker.stores.connection import Reply, text_fields

PACKED: Final = b"packed"
# What the scripts that delete or expire a job read of it.
KEPT: Final = ("tenant", "status", "stored_bytes", "version")
# Of nobody's interest once a job has ended; the last ones are in the payload as well.
_DROPPED: Final = (
    "cancel_reason",
    "canceling_at",
    "following",
    "parts_left",
    "identities",
    "uploads",
    "queue",
)
# Typical text of records: a packed one can refer to it. It must never change; another one would
# need a name of its own beside PACKED.
_DICTIONARY: Final = (
    b'{"progress_total":"progress_done":"queue":"video","metadata":{},"input_bytes":'
    b'"kind":"analysis","frames_looked_at":"people":"error":{"code":"no_face","detail":"'
    b'"frames_left_alone":{"too_small":"turned_too_far":"not_sure":"reason":"nobody_matches",'
    b'"status":"partly","status":"left_alone","frames_skipped":{"swap_video","video/mp4",".mp4",'
    b'"frames":"cuts":"detections":"segments":"tracks_copied":["audio"],"decode_ms":"encode_ms":'
    b'"blend_ms":"swap_ms":"detect_ms":"cast_ms":"queue_ms":"total_ms":"timings":{'
    b'"provenance":{"c2pa":"embedded","binding":"file","mark":"lk1","mark_id":"","key":"",'
    b'"timestamp":"missing"},"pack":"open@","counters":{"models_loaded":0,"swap_passes":'
    b'"specialisations":0,"detections":"identity_cache_hits":'
    b'"quality":1.0,"notes":[],"outcome":"succeeded","assignments":[{"index":0,"face":"largest",'
    b'"status":"swapped","reason":null,"person_ids":["p1"],"frames_swapped":1,'
    b'"frames_left_alone":{}}],"report":{"faces":[{"person_id":"p1","identity_id":"idn_01'
    b'","assignment":0,"box":["yaw_deg":"eye_px":"frames_seen":1,"frames_swapped":1,'
    b'"frames_skipped":{},"identity_similarity":0.8"jitter_px":0.0}],'
    b'"progress_unit":"image","attempt":"1","priority":"normal","queue":"image",'
    b'"payload":{"kind":"swap_image","tenant":"","input_id":"upl_01","assignments":[{'
    b'"identity_id":"idn_01"}],"mark_id":"result":{"sha256":"","bytes":"media_type":"image/jpeg",'
    b'"suffix":".jpeg","width":"height":"frames":1},"id":"job_01","created_at":1"deadline_at":'
    b'"started_at":"finished_at":"expires_at":'
)


@dataclass(frozen=True)
class PackedRecord:
    """What is left of a record's fields, and all others together."""

    kept: Mapping[str, str]
    packed: bytes


def pack(fields: Mapping[str, str]) -> PackedRecord:
    """Return a record's fields with all but the kept ones in one."""
    rest = {
        name: _as_value(name, text)
        for name, text in fields.items()
        if name not in KEPT and name not in _DROPPED
    }
    # Without the header and checksum of zlib, six bytes of each record.
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
    data = json.dumps(rest, separators=(",", ":"), ensure_ascii=False).encode()
    kept = {name: fields[name] for name in KEPT if name in fields}

    return PackedRecord(kept, deflate.compress(data) + deflate.flush())


def record_fields(reply: Reply) -> dict[str, str]:
    """Return the fields of a record as the store has it, packed or not."""
    packed = reply.get(PACKED)
    if packed is None:
        return text_fields(reply)

    kept = text_fields({name: value for name, value in reply.items() if name != PACKED})
    inflate = zlib.decompressobj(-15, _DICTIONARY)
    try:
        rest = json.loads(inflate.decompress(packed))
    except zlib.error:  # reads as a record that lacks its fields: it must not break a list
        rest = {}

    return kept | {name: _as_text(value) for name, value in rest.items()}


def _as_value(name: str, text: str) -> Any:  # noqa: ANN401 - whatever a field's JSON holds
    """Return a field as JSON has it, so that its own quotes need no escapes."""
    if not text.startswith(("{", "[")):
        return text

    value = json.loads(text)
    if name == "payload":
        value.pop("trace", None)  # its spans are at the collector

    return value


def _as_text(value: Any) -> str:  # noqa: ANN401 - see above
    return value if isinstance(value, str) else json.dumps(value)
