"""What both sides of an exchange of builders do with their own ledgers."""

from collections.abc import Mapping

from sqlalchemy import Connection

from host.domain.capability_error import CapabilityError
from host.domain.errors import InvalidInputError
from host.domain.json import JsonObject, JsonValue
from host.domain.membership import GroupParameters
from host.ledger.core.answers import CheckedBuilder, OfferedProposal, TakenBuilder
from host.ledger.core.builder_exchange import additions, merge
from host.ledger.core.builders import canonical_builder, read_builder
from host.ledger.core.message_reading import (
    ProtocolMismatchError,
    read_builder_offered,
    read_builder_proposed,
)
from host.ledger.core.messages import BuilderProposed, Dependency, message_json
from host.ledger.core.model import Transaction
from host.ledger.core.statuses import Status
from host.ledger.errors import StateNotFoundError
from host.ledger.functions.filtered_dependencies import (
    DependenciesMismatchError,
    needs_backchain,
    read_dependencies,
    shown_dependencies,
)
from host.ledger.functions.judged import to_json
from host.ledger.functions.spoken import check_spoken
from host.ledger.functions.stored import dependencies_of
from host.ledger.parts import Function, LedgerParts
from host.ledger.vault import filtered, transactions
from host.ports.capability import CallContext
from host.ports.requests import take_object, take_texts


class BuilderFunctions:
    """Functions of the party that sends a builder, and of the one that adds to it."""

    def __init__(self, parts: LedgerParts) -> None:
        self._parts = parts

    def handlers(self) -> Mapping[str, Function]:
        return {
            "check-builder": self._check,
            "take-builder": self._take,
            "make-proposed": self._make_proposed,
            "take-proposed": self._take_proposed,
        }

    def _check(self, context: CallContext, request: JsonObject) -> JsonValue:
        """The caller's own builder, made canonical, for a counterparty that speaks of it."""
        names = take_texts(request, "parties", length_max=1)
        check_spoken(self._parts.members, context.holding, names)
        return to_json(CheckedBuilder(builder=self._own(request, "builder")))

    def _take(self, context: CallContext, request: JsonObject) -> JsonValue:  # noqa: ARG002
        """A counterparty's builder."""
        message = read_builder_offered(request.get("payload"))
        return to_json(CheckedBuilder(builder=self._of_peer(message.builder)))

    def _make_proposed(self, context: CallContext, request: JsonObject) -> JsonValue:
        """The message that tells what was added to a received builder.

        Raises:
            CapabilityError: `builder-not-received`; `request-invalid`; `state-not-found`, this node
                cannot prove an added input or reference.
        """
        updated = self._own(request, "builder")
        added = additions(self._own(request, "received"), updated)
        parameters = self._current(context)
        named = self._naming(updated, added, parameters)
        backchain = needs_backchain(parameters, named)
        shown: list[Dependency] | None = None
        with self._parts.read(context) as connection:
            if backchain:
                _check_verified(connection, named)
            else:
                shown = _shown(connection, named)
        message = BuilderProposed(builder=added, filtered=shown)
        offered = OfferedProposal(backchain=dependencies_of(named) if backchain else [])
        return {"payload": message_json(message), "summary": to_json(offered)}

    def _take_proposed(self, context: CallContext, request: JsonObject) -> JsonValue:
        """Merge what a counterparty has added; store what it shows of inputs and references.

        Raises:
            CapabilityError: `protocol-mismatch`, and as `read_dependencies`.
        """
        original = self._own(request, "builder")
        message = read_builder_proposed(request.get("payload"))
        # The sum of both may be more than a builder can have.
        merged = self._of_peer(merge(original, self._of_peer(message.builder)))
        parameters = self._current(context)
        named = self._naming(merged, additions(original, merged), parameters)
        dependencies = dependencies_of(named)
        if message.filtered is None:
            return to_json(TakenBuilder(builder=merged, resolve=dependencies))
        if dependencies and needs_backchain(parameters, named):
            raise DependenciesMismatchError(
                "the builder's notary requires backchains, the counterparty shows states only"
            )
        self._keep_shown(context, named, message.filtered)
        return to_json(TakenBuilder(builder=merged, resolve=[]))

    def _keep_shown(
        self, context: CallContext, named: Transaction, dependencies: list[Dependency]
    ) -> None:
        shown = read_dependencies(
            named,
            dependencies,
            members=self._parts.members,
            holding=context.holding,
            public_keys=self._parts.public_keys,
        )

        def keep(connection: Connection) -> None:
            for each in shown:
                filtered.keep(connection, each.filtered, each.signatures, now=context.now)

        self._parts.write(context, keep)

    def _own(self, request: JsonObject, name: str) -> JsonObject:
        return canonical_builder(take_object(request, name), self._parts.public_keys)

    def _of_peer(self, builder: JsonObject) -> JsonObject:
        try:
            return canonical_builder(builder, self._parts.public_keys)
        except (CapabilityError, InvalidInputError) as exc:
            raise ProtocolMismatchError(f"the counterparty's builder: {exc}") from exc

    def _current(self, context: CallContext) -> GroupParameters:
        return self._parts.members.parameters(context.holding).parameters

    def _naming(
        self, builder: JsonObject, added: JsonObject, parameters: GroupParameters
    ) -> Transaction:
        """The builder's notary with the inputs and references that were added, nothing else."""
        return read_builder(
            {"notary": builder["notary"], "timeWindow": None, "outputs": [], "commands": []}
            | {"inputs": added["inputs"], "references": added["references"], "signatories": []},
            metadata={},
            notaries=parameters.notaries,
            public_keys=self._parts.public_keys,
        )


def _check_verified(connection: Connection, named: Transaction) -> None:
    for transaction_id in dependencies_of(named):
        state = transactions.state_of(connection, transaction_id)
        if state is None or state[0] is not Status.VERIFIED:
            raise StateNotFoundError(f"transaction {transaction_id} is not verified at this node")


def _shown(connection: Connection, named: Transaction) -> list[Dependency]:
    try:
        return shown_dependencies(connection, named)
    except DependenciesMismatchError as exc:
        raise StateNotFoundError(exc.message) from exc
