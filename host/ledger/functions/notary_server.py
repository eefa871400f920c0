"""What the program of a notary's node needs: whether it is a notary, and its decision."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
import structlog

from host.domain.accounts import QuotaExceededError
from host.domain.capability_error import CapabilityError
from host.domain.errors import InvalidInputError, NotFoundError, StorageError
from host.domain.ids import HoldingIdentity
from host.domain.json import JsonObject, JsonValue
from host.domain.membership import MemberStatus, NotaryInfo
from host.ledger.core.answers import ServedNotarisation
from host.ledger.core.metadata import signing_properties
from host.ledger.core.notary_errors import ErrorKind
from host.ledger.core.notary_protocol import CONTRACT_VERIFYING, NON_VALIDATING
from host.ledger.core.signed import Signature
from host.ledger.errors import NotaryDistrustedError
from host.ledger.events import LedgerEvents, Notarised, untold
from host.ledger.functions.notary_client import service_of
from host.ledger.functions.notary_contracts import (
    AskedWhole,
    CodeMissingError,
    WholeVerifier,
    read_whole_request,
)
from host.ledger.notary.model import Check, Rejection, Uniqueness
from host.ledger.notary.requests import (
    Asked,
    RequestRefusedError,
    check_notary,
    read_filtered_request,
)
from host.ledger.notary.signer import NotaryKey, NotarySigner
from host.ledger.parts import Function
from host.ledger.trust import NotaryTrust
from host.ports.capability import CallContext
from host.ports.directory import Members
from host.ports.keys import KeyCategory, KeyStore
from host.ports.requests import take_text
from sandbox.errors import CapabilityNotGrantedError

_log = structlog.get_logger("cordbox.notary")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Role:
    """The notary service that a node runs, by the newest group parameters."""

    service: str
    info: NotaryInfo


class NotaryServerFunctions:
    """The functions `check-notary` and `notarise`. Thread-safe.

    Args:
        members: the groups.
        keys: hold the notaries' keys.
        verifier: of requests to notaries that verify contracts.
        uniqueness: decides, once the request is found right.
        signer: signs what is accepted.
        trust: names the keys that sign nothing any more.
    """

    def __init__(
        self,
        *,
        members: Members,
        keys: KeyStore,
        verifier: WholeVerifier,
        uniqueness: Uniqueness,
        signer: NotarySigner,
        trust: NotaryTrust,
        events: LedgerEvents = untold,
    ) -> None:
        self._members = members
        self._keys = keys
        self._verifier = verifier
        self._uniqueness = uniqueness
        self._signer = signer
        self._trust = trust
        self._events = events

    def handlers(self) -> Mapping[str, Function]:
        return {"check-notary": self._check, "notarise": self._notarise}

    def _check(self, context: CallContext, request: JsonObject) -> JsonValue:  # noqa: ARG002
        self._role(context.holding)
        return None

    def _notarise(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Decide on a client's request. Repeatable: one transaction has one result for ever."""
        role = self._role(context.holding)
        client = take_text(request, "client", characters_max=16 * 1024)
        transaction_id, signature, rejection = None, None, None
        try:
            asked, whole = self._read(role, request.get("payload"), client)
            transaction_id = asked.uniqueness.id
            key = self._key(context, role, asked)
            if whole is not None:
                self._verify(context, whole)
            rejection = self._decide(context, asked)
            if rejection is None:
                signature = self._signer.sign(key, transaction_id, now=context.now)
        except RequestRefusedError as refused:
            rejection = refused.rejection
        self._events(Notarised("accepted" if rejection is None else rejection.kind.value))
        served = ServedNotarisation(
            id=transaction_id,
            answer=_answer(signature, rejection),
            kind=None if rejection is None else rejection.kind.value,
        )
        made: JsonValue = msgspec.to_builtins(served)
        return made

    def _read(
        self, role: _Role, payload: JsonValue, client: str
    ) -> tuple[Asked, AskedWhole | None]:
        """What is asked; with the whole transaction, if the notary verifies contracts."""
        protocol, backchain = role.info.protocol, role.info.backchain_required
        if protocol == NON_VALIDATING and backchain:
            return read_filtered_request(payload, originator=client), None
        if protocol == CONTRACT_VERIFYING and not backchain:
            whole = read_whole_request(payload, originator=client)
            return whole.asked, whole
        required = "required" if backchain else "not required"
        raise RequestRefusedError(
            ErrorKind.GENERAL,
            f"this host serves no notary in {protocol} with backchains {required}: a notary that"
            " does not verify contracts needs them, one that does needs none",
        )

    def _key(self, context: CallContext, role: _Role, asked: Asked) -> NotaryKey:
        """The own key that the transaction names as its notary's."""
        try:
            named = self._members.parameters(context.holding, asked.parameters_hash)
        except (NotFoundError, InvalidInputError) as unknown:
            # They may reach this node later: the client asks again.
            raise RequestRefusedError(ErrorKind.GENERAL, unknown.message) from unknown
        listed = [
            info.public_key for info in named.parameters.notaries if str(info.name) == role.service
        ]
        tenant = context.holding.short_hash
        keys = self._keys.find_mine(tenant, listed, (KeyCategory.NOTARY,))
        key = check_notary(asked.notary, service=role.service, keys=keys)
        try:
            self._trust.check(tenant, asked.uniqueness.id, asked.notary)
        except NotaryDistrustedError as refused:
            raise RequestRefusedError(ErrorKind.GENERAL, refused.message) from refused
        properties = tuple(signing_properties(context.cpi).items())
        return NotaryKey(node=tenant, key=key, properties=properties)

    def _verify(self, context: CallContext, whole: AskedWhole) -> None:
        """Verify a request. One of an accepted transaction, whose code is gone since, is right.

        Raises:
            RequestRefusedError: as `WholeVerifier.verify`.
        """
        try:
            self._verifier.verify(context, whole)
        except CodeMissingError:
            asked = replace(
                whole.asked, uniqueness=replace(whole.asked.uniqueness, check=Check.READ)
            )
            if self._decide(context, asked) is not None:
                raise

    def _decide(self, context: CallContext, asked: Asked) -> Rejection | None:
        try:
            return self._uniqueness.check(context.holding.short_hash, asked.uniqueness).rejection
        except (StorageError, QuotaExceededError) as exc:
            # The client asks again, or another node of the service; nothing is lost by that.
            _log.error("notary-undecided", code=exc.code, reason=exc.message)
            message = f"this notary cannot store its decision: {exc.code}"
            return Rejection(kind=ErrorKind.GENERAL, message=message)

    def _role(self, holding: HoldingIdentity) -> _Role:
        """The notary service of a node.

        Raises:
            NotNotaryError: it runs none, or holds no key of it.
        """
        member = self._members.lookup(holding, holding.x500_name)
        if member is None or member.status is not MemberStatus.ACTIVE:
            raise NotNotaryError(f"{holding.x500_name} is no active member of its group")
        service = service_of(member)
        if service is None:
            raise NotNotaryError(f"{holding.x500_name} has not the role of a notary")
        for info in self._members.parameters(holding).parameters.notaries:
            if str(info.name) == service and self._keys.find_mine(
                holding.short_hash, [info.public_key], (KeyCategory.NOTARY,)
            ):
                return _Role(service=service, info=info)
        raise NotNotaryError(
            f"{holding.x500_name} has no key of notary service {service} in the group parameters"
        )


class NotNotaryError(CapabilityError):
    """The node is no notary; what its CorDapp was granted does not make it one."""

    def __init__(self, message: str) -> None:
        super().__init__(CapabilityNotGrantedError.code, f"capability 'notary': {message}")


def _answer(signature: Signature | None, rejection: Rejection | None) -> JsonObject:
    if rejection is not None:
        error = {
            "kind": rejection.kind.value,
            "message": rejection.message,
            "details": dict(rejection.details),
        }
        return {"signatures": [], "error": error}
    return {"signatures": [] if signature is None else [signature.to_json()], "error": None}
