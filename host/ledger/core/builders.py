"""Makes a transaction from a guest's builder."""

from collections import Counter
from collections.abc import Sequence

from host.domain.json import JsonObject, JsonValue
from host.domain.membership import NotaryInfo
from host.domain.x500 import MemberX500Name
from host.ledger.core.components import LEAVES_MAX
from host.ledger.core.model import Command, Notary, State, StateRef, TimeWindow, Transaction
from host.ledger.errors import TransactionInvalidError
from host.ports.public_keys import PublicKeys
from host.ports.requests import (
    as_object,
    canonical_text,
    check_fields,
    take_list,
    take_text,
    take_text_or_null,
    take_texts,
)

_FIELDS = (
    "notary",
    "timeWindow",
    "inputs",
    "references",
    "outputs",
    "commands",
    "signatories",
)
_TYPE_CHARACTERS_MAX = 255
_KEYS_MAX = 100


def read_builder(
    request: JsonObject,
    *,
    metadata: JsonObject,
    notaries: Sequence[NotaryInfo],
    public_keys: PublicKeys,
) -> Transaction:
    """Read a builder; keys are made canonical, repeated signatories are merged.

    Raises:
        CapabilityError: `request-invalid`, or `transaction-invalid` for an unknown notary.
        InvalidInputError: a name or a key.
    """
    return _content(request, metadata, _notary(request, notaries), public_keys)


def canonical_builder(request: JsonObject, public_keys: PublicKeys) -> JsonObject:
    """The builder with all fields, and with keys, names and instants in their canonical form.

    Raises:
        CapabilityError: `request-invalid`, `transaction-invalid`.
        InvalidInputError: a name or a key.
    """
    content = _content(request, {}, None, public_keys)
    name, window = take_text_or_null(request, "notary"), content.time_window
    return {
        "notary": None if name is None else str(MemberX500Name.parse(name)),
        "timeWindow": None if window is None else window.to_json(),
        "inputs": [str(ref) for ref in content.inputs],
        "references": [str(ref) for ref in content.references],
        "outputs": [state.to_json() for state in content.outputs],
        "commands": [command.to_json() for command in content.commands],
        "signatories": list(content.signatories),
    }


def _content(
    request: JsonObject, metadata: JsonObject, notary: Notary | None, public_keys: PublicKeys
) -> Transaction:
    check_fields(request, _FIELDS)
    signatories = read_keys(request, "signatories", public_keys)
    return Transaction(
        metadata=metadata,
        notary=notary,
        time_window=_time_window(request),
        signatories=tuple(dict.fromkeys(signatories)),
        outputs=_outputs(request, notary, public_keys),
        commands=tuple(
            _command(as_object(item, "commands"))
            for item in take_list(request, "commands", length_max=LEAVES_MAX)
        ),
        inputs=_refs(request, "inputs"),
        references=_refs(request, "references"),
    )


def _notary(request: JsonObject, notaries: Sequence[NotaryInfo]) -> Notary | None:
    text = take_text_or_null(request, "notary")
    if text is None:
        return None
    name = MemberX500Name.parse(text)
    for info in notaries:
        if info.name == name:
            return Notary(name=str(name), key=info.public_key)
    raise TransactionInvalidError(
        "notary-unknown", f"Notary {str(name)!r} is not one of the group parameters'."
    )


def _time_window(request: JsonObject) -> TimeWindow | None:
    if request.get("timeWindow") is None:
        return None
    window = as_object(request["timeWindow"], "timeWindow")
    check_fields(window, ("from", "until"))
    return TimeWindow(starts=take_text_or_null(window, "from"), until=take_text(window, "until"))


def _outputs(
    request: JsonObject, notary: Notary | None, public_keys: PublicKeys
) -> tuple[State, ...]:
    items = [
        as_object(item, "outputs") for item in take_list(request, "outputs", length_max=LEAVES_MAX)
    ]
    tags = [take_text_or_null(item, "encumbrance", characters_max=255) for item in items]
    sizes = Counter(tag for tag in tags if tag is not None)
    states = []
    for item, tag in zip(items, tags, strict=True):
        check_fields(item, ("type", "contract", "value", "participants", "encumbrance"))
        states.append(
            State(
                type=read_type(item),
                contract=_name(item, "contract"),
                value=read_value(item),
                participants=read_keys(item, "participants", public_keys),
                encumbrance=tag,
                encumbrance_size=None if tag is None else sizes[tag],
                notary=notary,
            )
        )
    return tuple(states)


def _command(item: JsonObject) -> Command:
    check_fields(item, ("type", "value"))
    return Command(type=read_type(item), value=read_value(item))


def _refs(request: JsonObject, name: str) -> tuple[StateRef, ...]:
    texts = take_texts(request, name, length_max=LEAVES_MAX, characters_max=128)
    return tuple(StateRef.parse(text) for text in texts)


def read_keys(request: JsonObject, name: str, public_keys: PublicKeys) -> tuple[str, ...]:
    """Public keys in their canonical form.

    Raises:
        CapabilityError: `request-invalid`.
        InvalidInputError: a text is no key.
    """
    texts = take_texts(request, name, length_max=_KEYS_MAX)
    return tuple(public_keys.canonical(text) for text in texts)


def read_type(item: JsonObject) -> str:
    """The name of the class of a state or command.

    Raises:
        CapabilityError: `request-invalid`.
    """
    return _name(item, "type")


def _name(item: JsonObject, field: str) -> str:
    return take_text(item, field, characters_max=_TYPE_CHARACTERS_MAX)


def read_value(item: JsonObject) -> JsonValue:
    """The value of a state or command, which has a canonical form.

    Raises:
        CapabilityError: `request-invalid`.
    """
    value = item.get("value")
    canonical_text(value, "'value'")
    return value
