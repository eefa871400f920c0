"""Builders that travel between parties: what one has added, and the merge of both.

Builders are objects of docs/reference/host-api.md with all fields, keys and names canonical.
Source: corda-runtime-os `UtxoLedgerService.sendAndReceiveTransactionBuilder`: the original notary
and time window are kept, duplicates are discarded, original components come first. Difference:
corda-runtime-os keeps repeated commands and outputs. Here a merge that is repeated changes nothing,
and an added output that the merge would discard is refused where it is added.
"""

from collections.abc import Sequence

from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue, canonical_json
from host.ledger.core.components import LEAVES_MAX
from host.ports.requests import take_list

_SINGLE = ("notary", "timeWindow")
_LISTS = ("inputs", "references", "outputs", "commands", "signatories")


class BuilderNotReceivedError(CapabilityError):
    """The builder is not one that a counterparty has sent, with nothing but additions."""

    def __init__(self, message: str) -> None:
        super().__init__("builder-not-received", message)


def merge(original: JsonObject, proposed: JsonObject) -> JsonObject:
    """The original builder with what is new in the proposed one behind; idempotent."""
    merged: dict[str, JsonValue] = {}
    for name in _SINGLE:
        merged[name] = proposed[name] if original[name] is None else original[name]
    for name in _LISTS:
        have = _items(original, name)
        merged[name] = [*have, *_new(have, _items(proposed, name))]
    return merged


def additions(received: JsonObject, updated: JsonObject) -> JsonObject:
    """What `updated` has and `received` has not, as a builder.

    Raises:
        BuilderNotReceivedError: `updated` lacks or changes something of `received`.
        CapabilityError: `request-invalid`, an added output is equal to another one.
    """
    added: dict[str, JsonValue] = {}
    for name in _SINGLE:
        if received[name] is not None and _text(received[name]) != _text(updated[name]):
            raise BuilderNotReceivedError(
                f"field {name!r} differs from that of the builder that was received"
            )
        added[name] = updated[name] if received[name] is None else None
    for name in _LISTS:
        have, now = _items(received, name), _items(updated, name)
        if [_text(each) for each in now[: len(have)]] != [_text(each) for each in have]:
            raise BuilderNotReceivedError(
                f"field {name!r} does not begin with that of the builder that was received"
            )
        new = _new(have, now[len(have) :])
        if name == "outputs" and len(new) < len(now) - len(have):
            raise CapabilityError(
                "request-invalid",
                "field 'outputs': an added output is equal to another one, and would be lost",
            )
        added[name] = new
    return added


def _items(builder: JsonObject, name: str) -> list[JsonValue]:
    return take_list(builder, name, length_max=LEAVES_MAX)


def _new(have: Sequence[JsonValue], more: Sequence[JsonValue]) -> list[JsonValue]:
    """Those of `more` that are not in `have`, each once."""
    known = {_text(each) for each in have}
    found = {_text(each): each for each in reversed(more)}
    order = dict.fromkeys(_text(each) for each in more)
    return [found[text] for text in order if text not in known]


def _text(value: JsonValue) -> bytes:
    return canonical_json(value)
