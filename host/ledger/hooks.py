"""What a node keeps of a transaction's outputs: the contract packages' functions, or the defaults.

A function that fails never holds up a transaction that is final: the defaults are kept, and the
host's log says so.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import structlog

from host.domain.call_time import call_time_paused
from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, canonical_json
from host.domain.packages import StateInVault
from host.ledger.core.amounts import AmountInvalidError, amount_text
from host.ledger.core.facts import OutputFacts, TokenFacts, default_facts, shown_by_type
from host.ledger.core.model import Ledger, State, Transaction
from host.ledger.events import LedgerEvents, VaultFunctionFailed, untold
from host.ports.capability import CallContext
from host.ports.keys import FLOW_CATEGORIES, KeyStore
from host.ports.vault_functions import VaultFunctions

REPRESENTATION_BYTES_MAX = 64 * 1024
_KEYS_MAX = 1000
_log = structlog.get_logger("cordbox.ledger")
_Text = Annotated[str, msgspec.Meta(max_length=1024)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class _Token(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    token_type: _Name
    issuer_hash: _Name
    symbol: _Text
    amount: _Name
    tag: _Text | None = None
    owner_hash: _Text | None = None
    priority: Annotated[int, msgspec.Meta(gt=-(2**53), lt=2**53)] | None = None


class _Output(msgspec.Struct, forbid_unknown_fields=True):
    index: Annotated[int, msgspec.Meta(ge=0)]
    visible: bool
    json: dict[str, object] | None = None
    token: _Token | None = None


class OutputRecorder:
    """Says which outputs a node keeps, and how. Thread-safe."""

    def __init__(
        self, keys: KeyStore, functions: VaultFunctions, events: LedgerEvents = untold
    ) -> None:
        self._keys = keys
        self._functions = functions
        self._events = events

    def facts(
        self, context: CallContext, transaction_id: str, content: Transaction
    ) -> tuple[OutputFacts, ...]:
        """The outputs that concern the node; runs a guest if the packages have functions.

        Never within a transaction on the vault.

        Raises:
            UnavailableError, StorageError: a run was lost for a reason outside the code; the
                caller's step is tried again.
        """
        mine = self._mine(context, content)
        try:
            return self._said(context, transaction_id, content, mine)
        except CapabilityError as failed:
            _log_failure(context, transaction_id, failed)
            self._events(VaultFunctionFailed())
            return default_facts(content, mine)

    def facts_again(
        self, context: CallContext, transaction_id: str, content: Transaction
    ) -> tuple[OutputFacts, ...] | None:
        """As `facts`; None if the functions fail: what the vault keeps is not to be replaced."""
        try:
            return self._said(context, transaction_id, content, self._mine(context, content))
        except CapabilityError as failed:
            _log_failure(context, transaction_id, failed)
            return None

    def _mine(self, context: CallContext, content: Transaction) -> set[str]:
        """The participants' keys that are the node's."""
        participants = sorted({key for state in content.outputs for key in state.participants})
        return set(self._keys.find_mine(context.holding.short_hash, participants, FLOW_CATEGORIES))

    def _said(
        self, context: CallContext, transaction_id: str, content: Transaction, mine: set[str]
    ) -> tuple[OutputFacts, ...]:
        defaults = default_facts(content, mine)
        declared = _declared(context)
        indexes = [i for i, state in enumerate(content.outputs) if state.type in declared]
        if not indexes or content.ledger is Ledger.CONSENSUAL:
            return defaults
        request: JsonObject = {
            "transaction": {
                "id": transaction_id,
                "outputs": [state.to_json() for state in content.outputs],
            },
            "outputs": indexes,
            "myKeys": sorted(mine | self._own_keys(context)),
        }
        with call_time_paused():
            answer = self._functions.record(context.cpi, request, node=context.holding.short_hash)
        said = _read(content, indexes, answer)
        left = {fact.index: fact for fact in defaults if fact.index not in indexes}
        return tuple(fact for _, fact in sorted({**left, **said}.items()))

    def _own_keys(self, context: CallContext) -> set[str]:
        """The node's ledger keys: a contract may ask of keys that are no participant's."""
        listed = self._keys.list(context.holding.short_hash)
        own = [key.public_key for key in listed if key.category in FLOW_CATEGORIES]
        return set(own[:_KEYS_MAX])


def _declared(context: CallContext) -> Mapping[str, StateInVault]:
    return {
        state.state: state
        for cpk in context.cpi.contract_cpks()
        for state in cpk.states_in_vault
        if state.has_functions
    }


def _log_failure(context: CallContext, transaction_id: str, failed: CapabilityError) -> None:
    _log.warning(
        "vault-function-failed",
        holding_id=context.holding.short_hash,
        transaction=transaction_id,
        code=failed.code,
        reason=failed.message,
    )


def _read(
    content: Transaction, indexes: Sequence[int], answer: Sequence[JsonObject]
) -> Mapping[int, OutputFacts]:
    """What the functions say of the visible outputs.

    Raises:
        CapabilityError: `vault-function-failed`, it is not what functions may say.
    """
    try:
        outputs = [msgspec.convert(each, _Output) for each in answer]
        if sorted(each.index for each in outputs) != list(indexes):
            raise _wrong(f"expected the outputs {indexes}")
        return {each.index: _fact(content, each) for each in outputs if each.visible}
    except (msgspec.ValidationError, AmountInvalidError, ValueError) as exc:
        raise _wrong(str(exc)) from exc


def _fact(content: Transaction, said: _Output) -> OutputFacts:
    state = content.outputs[said.index]
    shown = shown_by_type(state) if said.json is None else canonical_json(said.json).decode()  # type: ignore[arg-type]  # read from JSON
    if len(shown.encode()) > REPRESENTATION_BYTES_MAX and said.json is not None:
        raise _wrong(f"the JSON for queries has more than {REPRESENTATION_BYTES_MAX} bytes")
    return OutputFacts(index=said.index, representation=shown, token=_token(state, said.token))


def _token(state: State, said: _Token | None) -> TokenFacts | None:
    if said is None:
        return None
    return TokenFacts(
        token_type=said.token_type,
        issuer_hash=said.issuer_hash,
        notary="" if state.notary is None else state.notary.name,
        symbol=said.symbol,
        amount=amount_text(said.amount),
        tag=said.tag,
        owner_hash=said.owner_hash,
        priority=said.priority,
    )


def _wrong(message: str) -> CapabilityError:
    return CapabilityError("vault-function-failed", f"the answer of the functions: {message}")
