"""What a program needs that has a transaction notarised: whom to ask, what, and the answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from host.domain.capability_error import CapabilityError
from host.domain.ids import HoldingIdentity
from host.domain.json import JsonObject, JsonValue
from host.domain.membership import MemberInfo, MemberStatus, NotaryInfo
from host.domain.x500 import MemberX500Name
from host.ledger.core.answers import NotaryAnswer, NotaryPlan
from host.ledger.core.components import from_groups
from host.ledger.core.filtered import filter_transaction
from host.ledger.core.filtered_json import filtered_json
from host.ledger.core.model import Notary
from host.ledger.core.notary_protocol import NON_VALIDATING, VERSIONS, read_answer
from host.ledger.core.signed import SignedTransaction, check_signature, read_signature
from host.ledger.errors import NotarySignatureInvalidError, SignatureInvalidError
from host.ledger.functions.filtered_dependencies import shown_dependencies
from host.ledger.notary.requests import FOR_NOTARY
from host.ledger.parts import Function
from host.ledger.vault import transactions
from host.ports.capability import CallContext
from host.ports.directory import Members
from host.ports.public_keys import PublicKeys
from host.ports.requests import take_text
from host.ports.vaults import VaultAccess

SERVICE_NAME = "corda.notary.service.name"
_PAGE = 1_000
_SERVICES_KEPT_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NotaryPatience:
    """How often a notary is asked, and how long an answer may take."""

    attempts: int = 10
    answer_ms: int = 60_000


class NotaryClientFunctions:
    """The functions `notary-plan`, `notary-request` and `take-notary-answer`. Thread-safe."""

    def __init__(
        self,
        *,
        vaults: VaultAccess,
        members: Members,
        public_keys: PublicKeys,
        patience: Callable[[], NotaryPatience] = NotaryPatience,
    ) -> None:
        self._vaults = vaults
        self._public_keys = public_keys
        self._patience = patience
        self._services = NotaryServices(members)

    def handlers(self) -> Mapping[str, Function]:
        return {
            "notary-plan": self._plan,
            "notary-request": self._request,
            "take-notary-answer": self._take_answer,
        }

    def _plan(self, context: CallContext, request: JsonObject) -> JsonValue:
        notary = _notary(self._stored(context, request))
        info = self._services.info(context.holding, notary)
        known = VERSIONS.get(info.protocol, ())
        versions = [each for each in info.protocol_versions if each in known]
        nodes = self._services.nodes(context.holding, notary.name)
        if not versions or not nodes:
            served = ", ".join(str(each) for each in info.protocol_versions)
            raise NotaryProtocolUnknownError(
                f"notary {notary.name} serves {info.protocol} in versions {served} by"
                f" {len(nodes)} active members; this host knows {', '.join(VERSIONS)}"
            )
        patience = self._patience()
        plan = NotaryPlan(
            service=notary.name,
            protocol=info.protocol,
            versions=versions,
            nodes=nodes,
            backchain_required=info.backchain_required,
            attempts=patience.attempts,
            answer_ms=patience.answer_ms,
        )
        made: JsonValue = msgspec.to_builtins(plan)
        return made

    def _request(self, context: CallContext, request: JsonObject) -> JsonValue:
        signed = self._stored(context, request)
        protocol, check = take_text(request, "protocol"), take_text(request, "check")
        payload: JsonObject
        if protocol == NON_VALIDATING:
            filtered = filter_transaction(signed, FOR_NOTARY)
            payload = {"check": check, "filtered": filtered_json(filtered)}
        else:
            with self._vaults.read(context.holding.short_hash) as connection:
                shown = shown_dependencies(connection, from_groups(signed.groups))
            dependencies: JsonValue = msgspec.to_builtins(shown)
            payload = {
                "check": check,
                "transaction": signed.to_json(),
                "dependencies": dependencies,
            }
        return {"payload": payload, "summary": {}}

    def _take_answer(self, context: CallContext, request: JsonObject) -> JsonValue:
        signed = self._stored(context, request)
        found, error = read_answer(request.get("payload"))
        notary = _notary(signed)
        for each in found:
            signature = read_signature(each)
            if signature.key != notary.key:
                raise NotarySignatureInvalidError(
                    f"the answer of notary {notary.name} on {signed.id} is signed by another key,"
                    f" {signature.by}"
                )
            try:
                check_signature(signed.id, signature, self._public_keys)
            except SignatureInvalidError as exc:
                raise NotarySignatureInvalidError(exc.message) from exc
        answer = NotaryAnswer(signatures=[dict(each) for each in found], error=error)
        made: JsonValue = msgspec.to_builtins(answer)
        return made

    def _stored(self, context: CallContext, request: JsonObject) -> SignedTransaction:
        transaction_id = take_text(request, "id")
        with self._vaults.read(context.holding.short_hash) as connection:
            stored = transactions.find_stored(connection, transaction_id)
        if stored is None:
            raise CapabilityError(
                "notary-required", f"transaction {transaction_id} is not in this node's vault"
            )
        return stored.signed


class NotaryProtocolUnknownError(CapabilityError):
    """Nobody serves the transaction's notary in a protocol that this host knows."""

    def __init__(self, message: str) -> None:
        super().__init__("notary-protocol-unknown", message)


class NotaryServices:
    """The notary services of groups, and the members that run them. Thread-safe.

    The members of a service change only with the group parameters, so their names are remembered
    with these; whether they are active is asked each time.
    """

    def __init__(self, members: Members) -> None:
        self._members = members
        self._names: dict[tuple[str, str, str], tuple[str, ...]] = {}

    def info(self, viewer: HoldingIdentity, notary: Notary) -> NotaryInfo:
        """The notary's entry in the newest group parameters.

        Raises:
            NotaryProtocolUnknownError: there is none.
        """
        for info in self._members.parameters(viewer).parameters.notaries:
            if str(info.name) == notary.name:
                return info
        raise NotaryProtocolUnknownError(
            f"the group parameters have no notary {notary.name} any more"
        )

    def nodes(self, viewer: HoldingIdentity, service: str) -> list[str]:
        """X.500 names of the service's active members."""
        key = (viewer.group_id, self._members.parameters(viewer).hash, service)
        names = self._names.get(key)
        if not names:
            names = tuple(str(member.name) for member in self._of_service(viewer, service))
            while len(self._names) >= _SERVICES_KEPT_MAX:  # the oldest go
                self._names.pop(next(iter(self._names)), None)
            self._names[key] = names
        return [name for name in names if self._is_active(viewer, name)]

    def _is_active(self, viewer: HoldingIdentity, name: str) -> bool:
        member = self._members.lookup(viewer, MemberX500Name.parse(name))
        return member is not None and member.status is MemberStatus.ACTIVE

    def _of_service(self, viewer: HoldingIdentity, service: str) -> Sequence[MemberInfo]:
        found: list[MemberInfo] = []
        after = ""
        while page := self._members.active(viewer, after=after, limit=_PAGE):
            found += [member for member in page if service_of(member) == service]
            after = str(page[-1].name)
        return found


def service_of(member: MemberInfo) -> str | None:
    """The notary service that a member runs."""
    return dict(member.member_context).get(SERVICE_NAME)


def _notary(signed: SignedTransaction) -> Notary:
    notary = from_groups(signed.groups).notary
    if notary is None:
        raise CapabilityError("notary-required", f"transaction {signed.id} names no notary")
    return notary
