"""What takes back an action that was done at once: a form behind its sentence, sealed to a session.

The form stands in the page's query, so that it works without a script and survives a reload; the
seal keeps others from putting an action of their own behind the word "Undo". Pure.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

UNDO_CHARACTERS_MAX = 4096
_SEAL_CHARACTERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """An action of the console: its path, and the fields that its form sends."""

    path: str
    fields: Mapping[str, str] = field(default_factory=dict)

    def sealed(self, form_token: str) -> str:
        """A text for the query of a page; empty if it would be too long for one."""
        body = json.dumps([self.path, dict(self.fields)], separators=(",", ":"))
        packed = urlsafe_b64encode(body.encode()).decode().rstrip("=")
        text = f"{packed}.{_seal(form_token, packed)}"
        return text if len(text) <= UNDO_CHARACTERS_MAX else ""


def opened(form_token: str, text: str) -> Undo | None:
    """What was sealed for the same session; None for any other text."""
    packed, _, seal = text[:UNDO_CHARACTERS_MAX].partition(".")
    if not packed or not hmac.compare_digest(seal.encode(), _seal(form_token, packed).encode()):
        return None
    path, fields = json.loads(urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    return Undo(path=path, fields=fields)


def _seal(form_token: str, packed: str) -> str:
    made = hmac.new(form_token.encode(), b"undo " + packed.encode(), hashlib.sha256)
    return made.hexdigest()[:_SEAL_CHARACTERS]
