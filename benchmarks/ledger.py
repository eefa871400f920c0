"""The ledger: notaries, finality, backchains, queries, claims, recording, and platform flows.

Each figure stands against a floor or a peer of the same run; `note` has the goal.
"""

from benchmarks.ledger_network import backchain, finality, notarisations
from benchmarks.ledger_programs import programs
from benchmarks.ledger_uniqueness import uniqueness
from benchmarks.ledger_vault import claims, queries, recording

__all__ = [
    "backchain",
    "claims",
    "finality",
    "notarisations",
    "programs",
    "queries",
    "recording",
    "uniqueness",
]
