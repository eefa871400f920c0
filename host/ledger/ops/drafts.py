"""Drafts: transactions that a node keeps before it decides about them."""

from sqlalchemy import Connection

from host.domain.json import JsonObject, JsonValue
from host.ledger.core.components import from_groups
from host.ledger.core.metadata import check_metadata
from host.ledger.core.signed import check_signatures, read_signed
from host.ledger.core.statuses import Status
from host.ledger.ops.finding import Operations
from host.ledger.parts import LedgerParts
from host.ledger.vault import transactions
from host.ledger.vault.transactions import Origin
from host.ports.capability import CallContext
from host.ports.requests import check_fields, take_object


class Drafts:
    """Stores transactions that are not to be final yet."""

    def __init__(self, parts: LedgerParts) -> None:
        self._parts = parts

    def operations(self) -> Operations:
        return {("record", "draft"): self._draft}

    def _draft(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Store a transaction as a draft; one that the vault has keeps its status.

        Signatures that are present are checked; states and contracts are not.
        """
        check_fields(request, ("op", "transaction"))
        signed = read_signed(take_object(request, "transaction"))
        content = from_groups(signed.groups)
        check_metadata(content.metadata)
        check_signatures(signed, content, self._parts.public_keys)

        def work(connection: Connection) -> JsonValue:
            transactions.keep(
                connection, signed, status=Status.DRAFT, origin=Origin.OWN, now=context.now
            )
            return {"id": signed.id}

        return self._parts.write(context, work)
