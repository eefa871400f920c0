"""Cash: what a bank owes to whoever holds it. It is issued, moves in parts, and is redeemed."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from cordapp.contracts import (
    Command,
    Contract,
    ContractState,
    PublicKey,
    StateAndRef,
    UtxoLedgerTransaction,
    belongs_to,
    require,
)
from cordapp.vault import (
    UtxoToken,
    VaultNamedQuery,
    secure_hash,
    token_observer,
    vault_index,
    vault_json,
)


@dataclass(frozen=True)
class Issue(Command):
    """The bank makes cash."""


@dataclass(frozen=True)
class Move(Command):
    """Holders give cash to others, and keep the change."""


@dataclass(frozen=True)
class Redeem(Command):
    """The bank pays out, and the cash ends; the change stays the holder's."""


class CashContract(Contract):
    """Sums of each bank and currency; who loses cash signs, and the bank for what it makes."""

    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        spent = transaction.get_input_states(Cash)
        made = transaction.get_output_states(Cash)
        for cash in made:
            require(cash.amount > 0, "Cash has an amount of more than 0")
        for cash in spent:
            require(cash.owner_key in transaction.signatories, "Who holds cash signs its spending")
        commands = [c for c in transaction.commands if isinstance(c, Issue | Move | Redeem)]
        require(len(commands) == 1, "A transaction has one command about cash")
        match commands[0]:
            case Issue():
                require(not spent, "An issue spends no cash")
                _signed_by_banks(made, transaction)
            case Move():
                require(_sums(spent) == _sums(made), "Cash that moves is neither made nor lost")
            case Redeem():
                _signed_by_banks(spent, transaction)
                before, after = _sums(spent), _sums(made)
                kept = all(amount <= before.get(kind, 0) for kind, amount in after.items())
                require(kept and before != after, "What is redeemed is no more, the rest stays")


@vault_index("currency")
@belongs_to(CashContract)
@dataclass(frozen=True, kw_only=True)
class Cash(ContractState):
    """An amount that `issuer`, a bank, owes to `owner`; both are X.500 names."""

    issuer: str
    issuer_key: PublicKey
    owner: str
    owner_key: PublicKey
    currency: str
    amount: Decimal

    @property
    def participants(self) -> list[PublicKey]:
        return [self.owner_key]


@vault_json(Cash)
def cash_json(cash: Cash) -> dict[str, object]:
    """What queries see of cash: keys are of no interest to them."""
    return {"issuer": cash.issuer, "currency": cash.currency, "amount": cash.amount}


@token_observer(Cash)
def cash_token(found: StateAndRef[Cash]) -> UtxoToken:
    """Cash of one bank and currency is as good as any other."""
    cash = found.state
    return UtxoToken(cash.amount, cash.currency, secure_hash(cash.issuer))


class CashOfCurrency(VaultNamedQuery):
    """Unspent cash of a currency from an amount on, the largest first."""

    name = "Cash.of-currency"
    where_json = (
        "WHERE visible_states.custom_representation -> 'cash_contracts.Cash' ->> 'currency'"
        " = :currency"
        " AND (visible_states.custom_representation -> 'cash_contracts.Cash' ->> 'amount')::numeric"
        " >= :least"
    )
    order_by = (
        (
            "(visible_states.custom_representation -> 'cash_contracts.Cash' ->> 'amount')::numeric",
            "DESC",
        ),
    )
    unconsumed_only = True


def _signed_by_banks(states: Iterable[Cash], transaction: UtxoLedgerTransaction) -> None:
    for cash in states:
        require(cash.issuer_key in transaction.signatories, "The bank signs what it makes or pays")


def _sums(states: Iterable[Cash]) -> dict[tuple[str, PublicKey, str], Decimal]:
    sums: dict[tuple[str, PublicKey, str], Decimal] = {}
    for cash in states:
        kind = (cash.issuer, cash.issuer_key, cash.currency)
        sums[kind] = sums.get(kind, Decimal(0)) + cash.amount
    return sums
