"""A notary's node: what its flow needs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cordapp.services import Service

if TYPE_CHECKING:
    from cordapp.sessions import FlowSession


@dataclass(frozen=True)
class Notarisation:
    """What a notary has decided on one request.

    Attributes:
        id: the transaction's identifier; None if the request named none.
        error: Corda's kind of the refusal, such as `InputStateConflict`; None: accepted.
    """

    id: str | None
    error: str | None

    @property
    def is_accepted(self) -> bool:
        """Whether the notary has signed the transaction."""
        return self.error is None


class NotaryService(Service):
    """Notarises; for flows of a CorDapp with the capability `notary`, on a notary's node."""

    def serve(self, session: "FlowSession") -> Notarisation:
        """Receive one request on a session, decide, and answer it.

        The platform checks the request and decides; this flow learns what was decided. It may look
        at `session.counterparty` first, and refuse by raising.

        Raises:
            CordaRuntimeError: `capability-not-granted`, this node is no notary; or the error of the
                session.
        """
        request = {"op": "serve-notarisation", "session": session.id}
        answer = self._call("ledger", "record", request)
        return Notarisation(answer["id"], answer["error"])
