"""`find` and `query`: what a node's vault and group know."""

import base64
import time
from collections.abc import Callable, Mapping

from host.database.query_time import limited_time
from host.domain.errors import NotFoundError
from host.domain.ids import EpochMs
from host.domain.instants import instant_ms, is_instant
from host.domain.json import JsonObject, JsonValue, digest_of
from host.ledger.core.components import from_groups
from host.ledger.core.consensual import read_content
from host.ledger.core.model import Ledger, Resolved, is_transaction_id
from host.ledger.core.statuses import Status
from host.ledger.functions.filtered_dependencies import shown_dependencies
from host.ledger.parts import Function
from host.ledger.query.cursor import CURSOR_CHARACTERS_MAX, QueryCursor, parse_cursor
from host.ledger.vault import outputs, transactions, verifications
from host.ports.capability import CallContext
from host.ports.directory import Members
from host.ports.requests import (
    check_fields,
    invalid_request,
    take_int,
    take_text,
    take_text_or_null,
    take_texts,
)
from host.ports.vaults import VaultAccess
from sandbox.host_api import size

Operations = Mapping[tuple[str, str], Function]
"""By function and `op`."""

_IDS_MAX = size("ledger.find", "ids")
_PAGE_MAX = size("ledger.query", "limit")


class Finding:
    """Looks up transactions and states of the calling node."""

    def __init__(
        self,
        *,
        vaults: VaultAccess,
        members: Members,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vaults = vaults
        self._members = members
        self._monotonic = monotonic

    def operations(self) -> Operations:
        return {
            ("find", "status"): self._status,
            ("find", "draft"): self._draft,
            ("find", "ledger-transaction"): self._ledger_transaction,
            ("find", "dependencies"): self._dependencies,
            ("find", "verifications"): self._verifications,
            ("find", "group-parameters"): self._group_parameters,
            ("query", "unconsumed"): self._unconsumed,
        }

    def _status(self, context: CallContext, request: JsonObject) -> JsonValue:
        """The status of each transaction: a letter, or null if the vault does not have it."""
        check_fields(request, ("op", "ids"))
        ids = take_texts(request, "ids", length_max=_IDS_MAX, characters_max=128)
        for each in ids:
            _check_id(each)
        with self._vaults.read(context.holding.short_hash) as connection:
            found = transactions.statuses(connection, ids)
        return [None if status is None else status.value for status in found]

    def _draft(self, context: CallContext, request: JsonObject) -> JsonValue:
        """The signed transaction that was stored as a draft, or null."""
        with self._vaults.read(context.holding.short_hash) as connection:
            found = transactions.find(connection, take_id(request), {Status.DRAFT})
        return None if found is None else found.to_json()

    def _ledger_transaction(self, context: CallContext, request: JsonObject) -> JsonValue:
        """The verified transaction with its states, as contracts see it, or null."""
        transaction_id = take_id(request)
        with self._vaults.read(context.holding.short_hash) as connection:
            signed = transactions.find(connection, transaction_id, ledger=Ledger.UTXO)
            if signed is None:
                return None
            content = from_groups(signed.groups)
            found = outputs.find(connection, (*content.inputs, *content.references))
        count = len(content.inputs)
        return Resolved(
            id=signed.id,
            transaction=content,
            inputs=tuple(found[:count]),
            references=tuple(found[count:]),
        ).to_json()

    def _dependencies(self, context: CallContext, request: JsonObject) -> JsonValue:
        """The states that a transaction names, proved by filtered transactions, or null."""
        transaction_id = take_id(request)
        with self._vaults.read(context.holding.short_hash) as connection:
            stored = transactions.find_stored(connection, transaction_id)
            if stored is None:
                return None
            found = shown_dependencies(connection, read_content(stored.signed.groups))
        return [{"filtered": each.filtered, "signatures": list(each.signatures)} for each in found]

    def _verifications(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Who verified the transaction with which code: `party` is null for this node."""
        transaction_id = take_id(request)
        with self._vaults.read(context.holding.short_hash) as connection:
            found = verifications.list_of(connection, transaction_id)
        return [{"party": party or None, **each.to_json()} for party, each in found]

    def _group_parameters(self, context: CallContext, request: JsonObject) -> JsonValue:
        """The signed group parameters with a hash, however old, or null."""
        check_fields(request, ("op", "hash"))
        named = take_text(request, "hash", characters_max=128)
        try:
            found = self._members.parameters(context.holding, named)
        except NotFoundError:
            return None
        return {
            "hash": found.hash,
            "parameters": found.content.decode(),
            "signature": base64.b64encode(found.signature).decode(),
            "key": found.signer_key,
            "spec": found.spec,
        }

    def _unconsumed(self, context: CallContext, request: JsonObject) -> JsonValue:
        """A page of unconsumed states of a type, in the order of recording."""
        check_fields(request, ("op", "type", "limit", "after", "createdBefore"))
        state_type = take_text(request, "type", characters_max=255)
        limit = take_int(request, "limit", minimum=1, maximum=_PAGE_MAX)
        until = take_text_or_null(request, "createdBefore", characters_max=64)
        after = take_text_or_null(request, "after", characters_max=CURSOR_CHARACTERS_MAX)
        digest = digest_of({"type": state_type, "createdBefore": until})
        with (
            self._vaults.read(context.holding.short_hash) as connection,
            limited_time(connection, self._monotonic),
        ):
            if after is None:
                newest = outputs.newest(connection)
                place = QueryCursor(digest=digest, snapshot=newest, last=0)
            else:
                place = parse_cursor(after, digest)
            page = outputs.unconsumed(
                connection,
                state_type,
                limit=limit,
                after=place.last,
                until=place.snapshot,
                before=_before(until),
            )
        following = QueryCursor(digest=digest, snapshot=place.snapshot, last=page.last)
        return {
            "results": [state.to_json() for state in page.states],
            "next": following.encoded() if page.more else None,
        }


def take_id(request: JsonObject) -> str:
    """The transaction identifier of a request that has no other field.

    Raises:
        CapabilityError: `request-invalid`.
    """
    check_fields(request, ("op", "id"))
    found = take_text(request, "id", characters_max=128)
    _check_id(found)
    return found


def _check_id(text: str) -> None:
    if not is_transaction_id(text):
        raise invalid_request(f"{text!r} is no transaction identifier")


def _before(text: str | None) -> EpochMs | None:
    if text is None:
        return None
    if not is_instant(text):
        raise invalid_request(f"field 'createdBefore' is no instant: {text!r}")
    return instant_ms(text)
