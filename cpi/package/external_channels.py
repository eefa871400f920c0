"""`config/external-channels.json` of a CPK.

Corda parses it as HOCON; only plain JSON, a subset of HOCON, is accepted here.
"""

import json
import re
from collections.abc import Iterable

from cpi.errors import Code, Issue
from cpi.limits import DEFAULT_LIMITS
from cpi.schemas import validator
from cpi.strict_json import JsonRefusedError, parse_json, schema_issues

CHANNELS_PATH = "config/external-channels.json"
CHANNEL_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,100}")


def channel_issues(data: bytes) -> list[Issue]:
    """All problems found in the document."""
    try:
        document = parse_json(data, bytes_max=DEFAULT_LIMITS.json_bytes_max)
    except JsonRefusedError as error:
        return [
            Issue(
                code=Code.EXTERNAL_CHANNELS,
                message=f"{CHANNELS_PATH} is no strict JSON: {error}",
                entry=CHANNELS_PATH,
            )
        ]
    found = schema_issues(validator("external_channels"), document, Code.EXTERNAL_CHANNELS)
    return [Issue(code=i.code, message=i.message, entry=CHANNELS_PATH) for i in found]


def channel_names(data: bytes) -> tuple[str, ...]:
    """The channels of a valid document, without duplicates."""
    document = parse_json(data, bytes_max=DEFAULT_LIMITS.json_bytes_max)
    return tuple(dict.fromkeys(channel["name"] for channel in document["channels"]))


def channels_document(names: Iterable[str]) -> bytes:
    """The document that declares these channels, in this order."""
    channels = [{"name": name, "type": "SEND"} for name in names]
    return json.dumps({"channels": channels}, indent=2).encode() + b"\n"
