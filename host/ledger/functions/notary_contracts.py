"""The request of a client of a notary that verifies contracts.

    {"check": "WRITE" | "READ", "transaction": T, "dependencies": [{"filtered": F, "signatures"}]}

The notary sees the whole transaction, and of those that it depends on the states that it names,
with the proof that this notary has signed them. So nothing needs to be in its vault, and its
signature stands for what a backchain would prove.
Source: corda-runtime-os `ContractVerifyingNotaryServerFlowImpl.kt`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from host.domain.capability_error import CapabilityError
from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.json import JsonValue
from host.ledger.core.components import from_groups
from host.ledger.core.messages import Content, Dependency
from host.ledger.core.metadata import parameters_hash
from host.ledger.core.model import Notary, Transaction
from host.ledger.core.notary_errors import ErrorKind
from host.ledger.core.signed import SignedTransaction, read_signed
from host.ledger.examine import Examiner, Purpose
from host.ledger.functions.filtered_dependencies import read_dependencies, states_of
from host.ledger.notary.model import Check, UniquenessRequest
from host.ledger.notary.requests import Asked, RequestRefusedError
from host.ports.capability import CallContext
from host.ports.directory import Members
from host.ports.public_keys import PublicKeys

_DEPENDENCIES_MAX = 2_000
_SIGNATURES = frozenset({"signature-invalid", "signature-missing"})
_OF_CODE = frozenset({"contract-undecided", "cpk-unknown"})
"""What this notary's CPI and limits decide; they may have been others at an earlier request."""
_UNDECIDED = frozenset(
    {
        "contract-undecided",
        "group-parameters-unknown",
        "notary-distrusted",
        "states-too-large",
    }
)
"""What the transaction's identifier does not commit to: a later attempt may succeed.

Code that this notary does not have (`cpk-unknown`) is no such case. Only its operator can add it,
by another CPI: until then every attempt ends in the same way, and the client waits for nothing.
"""


class _Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    check: Check
    transaction: Content
    dependencies: Annotated[list[Dependency], Meta(max_length=_DEPENDENCIES_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedWhole:
    """A request as it was read; `asked` is what the notary's key and decision need."""

    asked: Asked
    signed: SignedTransaction
    content: Transaction
    dependencies: Sequence[Dependency]


def read_whole_request(payload: JsonValue, *, originator: str) -> AskedWhole:
    """Read a request; neither rules nor signatures are checked yet.

    Raises:
        RequestRefusedError: it is malformed, or names no notary or time window.
    """
    try:
        request = msgspec.convert(payload, _Request)
        signed = read_signed(request.transaction)
        content = from_groups(signed.groups)
        named = parameters_hash(content.metadata)
    except (msgspec.ValidationError, KeyError, TypeError) as exc:
        raise _failure(f"the request is malformed: {exc}") from exc
    except CapabilityError as exc:
        raise _failure(exc.message) from exc
    notary, window = content.notary, content.time_window
    if notary is None or window is None:
        raise _failure("the transaction names no notary and time window")
    uniqueness = UniquenessRequest(
        check=request.check,
        id=signed.id,
        inputs=content.inputs,
        references=content.references,
        output_count=len(content.outputs),
        lower=window.starts,
        upper=window.until,
        originator=originator,
    )
    return AskedWhole(
        asked=Asked(
            notary=Notary(name=notary.name, key=notary.key),
            parameters_hash=named,
            uniqueness=uniqueness,
        ),
        signed=signed,
        content=content,
        dependencies=request.dependencies,
    )


class CodeMissingError(RequestRefusedError):
    """This notary has no verdict of the transaction's contracts. It may have had one before."""


class WholeVerifier:
    """Verifies requests: dependencies, signatures, rules and contracts. Thread-safe.

    Args:
        examiner: judges the transaction by the contract CPKs of the notary's own CPI.
        members: the groups.
        public_keys: verify signatures.
    """

    def __init__(self, *, examiner: Examiner, members: Members, public_keys: PublicKeys) -> None:
        self._examiner = examiner
        self._members = members
        self._public_keys = public_keys

    def verify(self, context: CallContext, whole: AskedWhole) -> None:
        """Check all that a notary is to check, but the states' uniqueness.

        Raises:
            CodeMissingError: the notary does not have the contracts, or their limits ended them.
            RequestRefusedError: something is wrong, or cannot be decided here.
            UnavailableError: the contracts cannot be run now.
        """
        try:
            shown = read_dependencies(
                whole.content,
                whole.dependencies,
                members=self._members,
                holding=context.holding,
                public_keys=self._public_keys,
            )
        except CapabilityError as exc:
            raise _refusal(exc, signatures_of_it=False) from exc
        except (NotFoundError, InvalidInputError) as exc:
            raise RequestRefusedError(ErrorKind.GENERAL, exc.message) from exc
        states = {each.ref: each for each in states_of(shown)}
        content = whole.content
        try:
            self._examiner.examine(
                context.holding,
                context.cpi,
                whole.signed,
                purpose=Purpose.NOTARISE,
                states=(
                    [states[ref] for ref in content.inputs],
                    [states[ref] for ref in content.references],
                ),
            )
        except CapabilityError as exc:
            raise _refusal(exc, signatures_of_it=True) from exc
        except (NotFoundError, InvalidInputError) as exc:
            raise RequestRefusedError(ErrorKind.GENERAL, exc.message) from exc


def _refusal(error: CapabilityError, *, signatures_of_it: bool) -> RequestRefusedError:
    """The kind of a refusal. `signatures_of_it`: signatures of the transaction were checked."""
    kind = ErrorKind.TRANSACTION_VERIFICATION_FAILURE
    if error.code in _UNDECIDED:
        kind = ErrorKind.GENERAL
    elif signatures_of_it and error.code in _SIGNATURES:
        kind = ErrorKind.INVALID_SIGNATURE
    refused = CodeMissingError if error.code in _OF_CODE else RequestRefusedError
    return refused(kind, error.message)


def _failure(reason: str) -> RequestRefusedError:
    return RequestRefusedError(ErrorKind.TRANSACTION_VERIFICATION_FAILURE, reason)
