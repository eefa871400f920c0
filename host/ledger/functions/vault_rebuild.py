"""What a rebuild does with the node's vault: a bounded part of it in each call."""

from collections.abc import Mapping

import structlog
from sqlalchemy import Connection

from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import RebuiltOutputs
from host.ledger.functions.judged import to_json
from host.ledger.functions.stored import content_of
from host.ledger.parts import Function, LedgerParts
from host.ledger.vault import rebuilds, transactions
from host.ledger.vault.rebuild import replace_outputs
from host.ports.capability import CallContext
from host.ports.requests import take_int, take_text

STEP_TRANSACTIONS = 20
STEP_SECONDS = 2.0
"""After which a step ends, with what it has done."""
_NUMBER_MAX = 2**63 - 1
_COUNTS = ("transactions", "changed", "failed")
_REBUILD_CHARACTERS_MAX = 36
_log = structlog.get_logger("cordbox.ledger")


class VaultRebuildFunctions:
    """Functions of the rebuild of a vault."""

    def __init__(self, parts: LedgerParts) -> None:
        self._parts = parts

    def handlers(self) -> Mapping[str, Function]:
        return {"rebuild-outputs": self._rebuild, "rebuild-ended": self._ended}

    def _rebuild(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Run the functions for the next transactions, and keep what they say; at least for one.

        Each transaction is written by itself, and may be written again: by content. What is done
        since the rebuild began is told beside, for who asks how far it is.
        """
        told = {name: take_int(request, name, minimum=0, maximum=_NUMBER_MAX) for name in _COUNTS}
        rebuild = take_text(request, "rebuild", characters_max=_REBUILD_CHARACTERS_MAX)
        after = take_int(request, "after", minimum=0, maximum=_NUMBER_MAX)
        until = take_int(request, "until", minimum=0, maximum=_NUMBER_MAX)
        with self._parts.read(context) as connection:
            page = transactions.list_page(
                connection, limit=STEP_TRANSACTIONS, beyond=after, newest_first=False
            )
        places = [place for place in page if place[0] <= until]
        deadline = self._parts.monotonic() + STEP_SECONDS
        count = changed = failed = 0
        for seq, transaction_id in places:
            outcome = self._rebuild_one(context, transaction_id)
            after, count = seq, count + 1
            changed += outcome is True
            failed += outcome is None
            if self._parts.monotonic() > deadline:
                break
        done = count == len(places) < STEP_TRANSACTIONS
        so_far = {
            name: told[name] + more
            for name, more in zip(_COUNTS, (count, changed, failed), strict=True)
        }
        self._parts.write(context, lambda c: rebuilds.tell(c, rebuild, **so_far, now=context.now))
        return to_json(
            RebuiltOutputs(
                after=after, done=done, transactions=count, changed=changed, failed=failed
            )
        )

    def _rebuild_one(self, context: CallContext, transaction_id: str) -> bool | None:
        """Whether anything has changed; None: the functions failed."""
        with self._parts.read(context) as connection:
            signed = transactions.find(connection, transaction_id)
        if signed is None:
            return False
        content = content_of(signed)
        facts = self._parts.recorder.facts_again(context, transaction_id, content)
        if facts is None:
            return None

        def keep(connection: Connection) -> bool:
            return replace_outputs(connection, transaction_id, content, facts)

        return self._parts.write(context, keep)

    def _ended(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Keep and log that all is done."""
        rebuild = take_text(request, "rebuild", characters_max=_REBUILD_CHARACTERS_MAX)
        self._parts.write(context, lambda c: rebuilds.end(c, rebuild, now=context.now))
        told = {name: request.get(name) for name in ("rebuild", *_COUNTS)}
        _log.info("vault-rebuilt", holding_id=context.holding.short_hash, **told)
        return None
