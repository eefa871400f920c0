"""Corda's sections of settings that mean nothing on this platform, and why. Pure."""

from collections.abc import Mapping

WITHOUT_EFFECT: Mapping[str, str] = {
    "corda.crypto": "keys are in the registers, wrapped under the master key; hardware keys are"
    " settings of a plugin",
    "corda.db": "the database is the bootstrap setting `database_url`",
    "corda.ledger.utxo": "tokens are claimed in the vault itself, and nothing caches them:"
    " `cordbox.ledger` has the ledger's keys",
    "corda.reconciliation": "every process reads the registers themselves, so nothing has to be"
    " reconciled",
    "corda.sandbox": "guests are limited by `cordbox.guest` and `cordbox.isolation`",
    "corda.security": "guests have no Java permissions: an instance can do what its capabilities"
    " grant",
    "corda.stateManager": "states are in the flow store, which the bootstrap settings choose",
    "corda.vnode.datasource": "the host manages the databases of virtual nodes itself",
}
"""Reasons by section: `GET` and `PUT /config` answer them with 404."""
