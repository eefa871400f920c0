"""Events of the ledger as metrics."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from host.ledger.events import (
    BatchDecided,
    ChainBegun,
    ChainVerified,
    FinalityEnded,
    LedgerEvent,
    Notarised,
    RepairGivenUp,
    StillUnverified,
    TokensClaimed,
    VaultFunctionFailed,
    VerificationDiffers,
)

_FINALITY_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_UNVERIFIED_SECONDS = (60, 600, 1200, 3600, 6 * 3600, 86_400, 5 * 86_400, 10 * 86_400)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class LedgerObserver:
    """Called from many threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._finality = _Finality(registry)
        self._notaries = _Notaries(registry)
        self._vaults = _Vaults(registry)

    def __call__(self, event: LedgerEvent) -> None:
        """Count one event."""
        match event:
            case Notarised() | BatchDecided():
                self._notaries.count(event)
            case TokensClaimed() | VaultFunctionFailed():
                self._vaults.count(event)
            case _:
                self._finality.count(event)


class _Finality:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.ended = Counter(
            "cordbox_finalities_ended",
            "Finalities that ended at a party of this host: final, refused by a party or a"
            " contract, rejected by the notary.",
            ("side", "outcome"),
            registry=registry,
        )
        self.seconds = Histogram(
            "cordbox_finality_seconds",
            "From storing a transaction to the end of its finality.",
            buckets=_FINALITY_SECONDS,
            registry=registry,
        )
        self.unverified = Histogram(
            "cordbox_ledger_unverified_seconds",
            "Ages of transactions without a verdict, each time that one is repaired.",
            buckets=_UNVERIFIED_SECONDS,
            registry=registry,
        )
        self.given_up = Counter(
            "cordbox_ledger_repairs_given_up",
            "Transactions of which nobody could tell what came of them.",
            registry=registry,
        )
        self.differing = Counter(
            "cordbox_ledger_verifications_differing",
            "Contract runs of counterparties that differ from this host's: in the outcome, or in"
            " the run only.",
            ("of",),
            registry=registry,
        )
        self.chains = Counter(
            "cordbox_ledger_chains", "Backchains that were resolved.", registry=registry
        )
        self.chain_transactions = Counter(
            "cordbox_ledger_chain_transactions",
            "Transactions of backchains that were verified; by chains, their mean length.",
            registry=registry,
        )

        for side in ("initiator", "receiver"):
            for outcome in ("final", "refused", "rejected"):
                self.ended.labels(side, outcome)
        for of in ("outcome", "run"):
            self.differing.labels(of)

    def count(
        self,
        event: FinalityEnded
        | StillUnverified
        | RepairGivenUp
        | VerificationDiffers
        | ChainBegun
        | ChainVerified,
    ) -> None:
        match event:
            case FinalityEnded(side, outcome, seconds):
                self.ended.labels(side, outcome).inc()
                self.seconds.observe(seconds)
            case StillUnverified(seconds):
                self.unverified.observe(seconds)
            case RepairGivenUp():
                self.given_up.inc()
            case VerificationDiffers(of):
                self.differing.labels(of).inc()
            case ChainBegun():
                self.chains.inc()
            case ChainVerified(count):
                self.chain_transactions.inc(count)


class _Notaries:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.results = Counter(
            "cordbox_notarisations",
            "Answers of this host's notaries: accepted, or the kind of the refusal.",
            ("result",),
            registry=registry,
        )
        self.batches = Histogram(
            "cordbox_notary_batch_requests",
            "Requests that shared a commit of the uniqueness service.",
            buckets=_BATCHES,
            registry=registry,
        )
        self.results.labels("accepted")

    def count(self, event: Notarised | BatchDecided) -> None:
        match event:
            case Notarised(result):
                self.results.labels(result).inc()
            case BatchDecided(count):
                self.batches.observe(count)


class _Vaults:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.claims = Counter(
            "cordbox_token_claims",
            "Claims of tokens: claimed, or not enough.",
            ("result",),
            registry=registry,
        )
        self.claim_seconds = Histogram(
            "cordbox_token_claim_seconds",
            "Duration of claims, with the wait for other writers of the vault.",
            registry=registry,
        )
        self.failed_functions = Counter(
            "cordbox_vault_functions_failed",
            "Functions of contract packages that failed while a state was recorded.",
            registry=registry,
        )

        for result in ("claimed", "not-enough"):
            self.claims.labels(result)

    def count(self, event: TokensClaimed | VaultFunctionFailed) -> None:
        match event:
            case TokensClaimed(result, seconds):
                self.claims.labels(result).inc()
                self.claim_seconds.observe(seconds)
            case VaultFunctionFailed():
                self.failed_functions.inc()
