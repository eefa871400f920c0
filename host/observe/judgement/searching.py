"""What a search text names, by its form."""

import re
from dataclasses import dataclass
from enum import StrEnum

TEXT_CHARACTERS_MAX = 200
_NODE = re.compile(r"[0-9A-Fa-f]{12}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_DIGEST = re.compile(r"SHA-256D?:[0-9A-Fa-f]{8,64}")
_HEX = re.compile(r"[0-9A-Fa-f]{8,64}")


class Form(StrEnum):
    """What a text may be."""

    NODE = "node"
    UUID = "uuid"
    DIGEST = "digest"
    NAME = "name"
    WORD = "word"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTerm:
    """A search text without blanks around it, in upper case if it is a short hash."""

    text: str
    form: Form


def search_term(text: str) -> SearchTerm:
    """The form of a text: 12 hex digits are a node's short hash, `O=` begins a name."""
    cleaned = text.strip()[:TEXT_CHARACTERS_MAX]
    if _NODE.fullmatch(cleaned):
        return SearchTerm(text=cleaned.upper(), form=Form.NODE)
    if _UUID.fullmatch(cleaned):
        return SearchTerm(text=cleaned, form=Form.UUID)
    if _DIGEST.fullmatch(cleaned) or _HEX.fullmatch(cleaned):
        return SearchTerm(text=cleaned, form=Form.DIGEST)
    if "=" in cleaned:
        return SearchTerm(text=cleaned, form=Form.NAME)
    return SearchTerm(text=cleaned, form=Form.WORD)
