"""Requests to a notary over transactions that no vault holds: a notary sees no more of them."""

from host.domain.instants import instant_text
from host.domain.x500 import MemberX500Name
from host.ledger.core.filtered import filter_transaction
from host.ledger.core.filtered_json import filtered_json
from host.ledger.core.model import Notary, StateRef, TimeWindow
from host.ledger.notary.requests import FOR_NOTARY
from tests.ledger.transactions import transaction

SERVICE = "O=Notary Service, L=London, C=GB"
NODE = "O=Notary, L=London, C=GB"
HOUR_MS = 3_600_000


class Notaries:
    """Makes transactions and requests for the notary of a network.

    Args:
        network: of the test kit.
        viewer: a member's node.
    """

    def __init__(self, network, viewer):
        self.network = network
        self.viewer = viewer

    @property
    def parameters(self):
        return self.network.parts.members.parameters(self.viewer.holding)

    def named(self, service=SERVICE):
        """The notary as transactions name it."""
        for info in self.parameters.parameters.notaries:
            if info.name == MemberX500Name.parse(service):
                return Notary(name=str(info.name), key=info.public_key)
        raise LookupError(service)

    def window(self, *, after_ms=None, until_ms=HOUR_MS):
        now = self.network.parts.base.clock.now_ms()
        return TimeWindow(
            starts=None if after_ms is None else instant_text(now + after_ms),
            until=instant_text(now + until_ms),
        )

    def transaction(self, *, service=SERVICE, window=None, parameters=None, **parts):
        metadata = {
            "ledgerModel": "utxo",
            "membershipGroupParametersHash": parameters or self.parameters.hash,
        }
        return transaction(
            notary=parts.pop("notary", None) or self.named(service),
            window=window or self.window(),
            metadata=metadata,
            **parts,
        )

    def ask(self, signed, *, node=NODE, check="WRITE", keep=FOR_NOTARY, **others):
        """Ask a node about a transaction; its answer."""
        payload = {"check": check, "filtered": filtered_json(filter_transaction(signed, keep))}
        return self.send({**payload, **others}, node=node)

    def send(self, payload, *, node=NODE):
        return self.viewer.start("asker_flows.Ask", {"notary": node, "payload": payload})


def refs(signed, *indexes):
    """References to outputs of a transaction."""
    return tuple(StateRef(signed.id, index) for index in indexes)
