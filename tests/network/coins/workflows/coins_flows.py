"""Coins are made for two parties, and spent by either of them alone."""

from dataclasses import dataclass
from datetime import timedelta

from coins_contracts import Coin, Move

from cordapp.contracts import StateRef
from cordapp.flows import (
    ClientStartableFlow,
    FlowSession,
    ResponderFlow,
    initiated_by,
    initiating_flow,
)


@dataclass(frozen=True)
class MakeRequest:
    notary: str
    peer: str
    coins: int


@initiating_flow("coins")
class Make(ClientStartableFlow[MakeRequest, str]):
    """Gives the id of the transaction, whose outputs are the coins."""

    def call(self, request: MakeRequest) -> str:
        me, peer = self.member_lookup.my_info(), self.member_lookup.lookup(request.peer)
        owners = (me.ledger_keys[0], peer.ledger_keys[0])
        builder = self.ledger_service.create_transaction_builder().set_notary(request.notary)
        builder.set_time_window(until=self.clock.now() + timedelta(hours=1))
        builder.add_output_states(*(Coin(number, owners) for number in range(request.coins)))
        builder.add_commands(Move()).add_signatories(me.ledger_keys[0])
        session = self.flow_messaging.initiate_flow(peer.name)
        return self.ledger_service.finalize(builder.to_signed_transaction(), [session]).id


@initiated_by("coins")
class Take(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        self.ledger_service.receive_finality(session, lambda _transaction: None)


@dataclass(frozen=True)
class SpendRequest:
    notary: str
    coin: str


class Spend(ClientStartableFlow[SpendRequest, str]):
    """Gives the id of the transaction."""

    def call(self, request: SpendRequest) -> str:
        me = self.member_lookup.my_info()
        builder = self.ledger_service.create_transaction_builder().set_notary(request.notary)
        builder.set_time_window(until=self.clock.now() + timedelta(hours=1))
        builder.add_input_states(StateRef.parse(request.coin))
        builder.add_commands(Move()).add_signatories(me.ledger_keys[0])
        return self.ledger_service.finalize(builder.to_signed_transaction(), []).id
