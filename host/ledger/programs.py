"""The programs of the ledger: protocols that run on the host within a flow's host call.

Whoever changes the order or content of the operations of a released revision adds a revision, and
keeps the old one for two minor releases (decision 0055).
"""

from host.ledger.protocols.builders import exchange_builder, receive_builder, send_builder
from host.ledger.protocols.finality import finalize
from host.ledger.protocols.receive_finality import (
    accept_finality,
    receive_finality,
    refuse_finality,
)
from host.ledger.protocols.release import RELEASE, release_claims
from host.ledger.protocols.repair import ANSWER, REPAIR, answer_repair, repair
from host.ledger.protocols.serve_notarisation import serve_notarisation
from host.ledger.protocols.transfer import (
    receive_ledger_transaction,
    receive_transaction,
    send_ledger_transaction,
    send_transaction,
)
from host.ledger.protocols.vault_rebuild import REBUILD, rebuild_vault
from host.ports.programs import ProgramTable

PROGRAMS = ProgramTable(
    {
        ("finalize", 1): finalize,
        ("receive-finality", 1): receive_finality,
        ("accept-finality", 1): accept_finality,
        ("refuse-finality", 1): refuse_finality,
        ("repair", 1): repair,
        ("answer-repair", 1): answer_repair,
        ("release-claims", 1): release_claims,
        ("rebuild-vault", 1): rebuild_vault,
        ("serve-notarisation", 1): serve_notarisation,
        ("send-transaction", 1): send_transaction,
        ("receive-transaction", 1): receive_transaction,
        ("send-ledger-transaction", 1): send_ledger_transaction,
        ("receive-ledger-transaction", 1): receive_ledger_transaction,
        ("exchange-builder", 1): exchange_builder,
        ("receive-builder", 1): receive_builder,
        ("send-builder", 1): send_builder,
    },
    {
        ("ledger.record", "finalize"): "finalize",
        ("ledger.verify", "receive-finality"): "receive-finality",
        ("ledger.record", "accept-finality"): "accept-finality",
        ("ledger.record", "refuse-finality"): "refuse-finality",
        ("ledger.record", "serve-notarisation"): "serve-notarisation",
        ("ledger.record", "send-transaction"): "send-transaction",
        ("ledger.verify", "receive-transaction"): "receive-transaction",
        ("ledger.record", "send-ledger-transaction"): "send-ledger-transaction",
        ("ledger.verify", "receive-ledger-transaction"): "receive-ledger-transaction",
        ("ledger.record", "exchange-builder"): "exchange-builder",
        ("ledger.verify", "receive-builder"): "receive-builder",
        ("ledger.record", "send-builder"): "send-builder",
    },
    (REPAIR, ANSWER, RELEASE, REBUILD),
    {("ledger.record", "claim-tokens"): RELEASE},
)
