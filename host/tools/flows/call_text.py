"""Short descriptions of host calls, from the beginning of their requests.

Pure. A recording stores only the beginning of a request, which may be incomplete JSON.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from host.domain.printable import printable

_FIELD = r'"{name}"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)'
_WORDS_MAX = 60
_DIGEST = re.compile(r"(SHA-256D?:[0-9A-F]{8})[0-9A-F]{56}")


def call_text(function: str, request: str, answer: str | None = None) -> str:
    """For example `sleep 3000 ms`, or `send 2 messages`; the function's name if nothing is known.

    Args:
        function: such as `flow.sub-flow`.
        request: the beginning of its JSON text.
        answer: the JSON text of its answer, if that is known.
    """
    words = _WORDS.get(function)
    text = words(request, answer) if words else _subject(function, request)
    text = _DIGEST.sub(r"\1…", text)
    return text if len(text) <= _WORDS_MAX else f"{text[: _WORDS_MAX - 1]}…"


def field_of(request: str, name: str) -> str | None:
    """A text or number of the request, even if the request is truncated after it."""
    found = re.search(_FIELD.format(name=re.escape(name)), request)
    if found is None:
        return None
    try:
        return printable(str(json.loads(found[1])))
    except ValueError:
        return None


def short_name(x500_name: str) -> str:
    """A member's short name: its common name, else its organisation."""
    parts = dict(part.strip().partition("=")[::2] for part in x500_name.split(","))
    return parts.get("CN") or parts.get("O") or x500_name


def short_class(name: str) -> str:
    """The class of `package.module.Class`."""
    return name.rpartition(".")[2]


def _sub_flow(request: str, _: str | None) -> str:
    match field_of(request, "op"):
        case "enter":
            return f"enter {short_class(field_of(request, 'flow') or '?')}"
        case "fail":
            return f"fail: {field_of(request, 'message') or ''}"
        case _:
            return "leave"


def _context(request: str, _: str | None) -> str:
    return f"context {field_of(request, 'op')} {field_of(request, 'key')}"


def _receive(request: str, answer: str | None) -> str:
    count = request.count("-") and _length(request, "sessions")
    payloads = _parsed(answer)
    from_many = f" from {count} sessions" if count and count > 1 else ""
    if isinstance(payloads, list) and len(payloads) == 1:
        return f"receive {printable(json.dumps(payloads[0], ensure_ascii=False))}"
    return f"receive{from_many}"


def _send(request: str, _: str | None) -> str:
    count = request.count('"payload"')
    return f"send {count} messages" if count > 1 else "send"


def _length(request: str, name: str) -> int | None:
    value = _parsed(request)
    items = value.get(name) if isinstance(value, dict) else None
    return len(items) if isinstance(items, list) else None


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except (ValueError, RecursionError):
        return None


def _subject(function: str, request: str) -> str:
    """The function, and its subject if the request names one."""
    names = ("type", "entity", "name", "id", "transactionId", "key", "algorithm", "channel")
    values = (field_of(request, name) for name in names)
    subject = next((v for v in values if v and not v.startswith("-----")), None)
    return f"{function} {subject}" if subject else function


_WORDS: Mapping[str, Callable[[str, str | None], str]] = {
    "flow.now": lambda _, __: "now",
    "flow.random": lambda r, _: f"random {field_of(r, 'bytes')} bytes",
    "flow.sleep": lambda r, _: f"sleep {field_of(r, 'millis')} ms",
    "flow.context": _context,
    "flow.sub-flow": _sub_flow,
    "sessions.open": lambda r, _: f"open with {short_name(field_of(r, 'counterparty') or '?')}",
    "sessions.send": _send,
    "sessions.receive": _receive,
    "sessions.info": lambda _, __: "counterparty info",
    "sessions.close": lambda _, __: "close",
}
