"""The sections of settings of a process, and values derived from them."""

from datetime import datetime

from host.access import PasswordRules
from host.adapters.files.secret_files import read_secret
from host.domain.ids import EpochMs, ShortHash
from host.flow.engine.sticky_cache import StickyCache
from host.ledger.core.answers import ChainLimits, RepairTimes
from host.ledger.functions.notary_client import NotaryPatience
from host.ledger.trust import Distrusted
from host.nodes.audit_log.administrative import Retention
from host.ports.live import Derived, Live
from host.runtime.plugin_loading import plugin_settings
from host.runtime.wiring.base import ProcessContext
from host.runtime.wiring.host_metrics import ConfigCollector
from host.settings import HostSettings
from host.settings.catalogue import Catalogue
from host.settings.live import LiveConfig
from host.settings.secret_box import SecretBox
from host.settings.sections import (
    ADMINISTRATIVE_LOG,
    AUDIT_LOG,
    CORDA_RBAC,
    CORDA_REST,
    FLOW,
    ISOLATION,
    LEDGER,
    REST,
)
from host.settings.store import SectionStore

_PARKED_SHARE = 4
"""Suspended guests get one in this many parts of a guest process; running ones get the rest."""


def open_sections(base: ProcessContext, store: SectionStore) -> LiveConfig:
    """All sections of the host and its plugins, with pinned and stored values.

    Raises:
        SettingsInvalidError: stored values do not fit; names section, version and key.
    """
    sections = Catalogue(plugin_settings(base.plugins)).sections
    live = LiveConfig(
        sections,
        base.settings.pins,
        store.newest().values(),
        secrets=_secrets_of(base.settings),
    )
    base.registry.register(ConfigCollector(live))
    return live


def _secrets_of(settings: HostSettings) -> SecretBox | None:
    passphrase, salt = settings.secrets_passphrase_file, settings.secrets_salt_file
    if passphrase is None or salt is None:
        return None
    return SecretBox(read_secret(passphrase), read_secret(salt))


def body_bytes_max(config: LiveConfig) -> Live[int]:
    """Maximum length of a request."""
    return Derived(lambda rest: rest.max_content_length, config.section(CORDA_REST))


def password_rules(config: LiveConfig) -> Live[PasswordRules]:
    """What holds for passwords."""
    return Derived(
        lambda rbac: PasswordRules(
            by_user=rbac.user_password_change_expiry,
            by_other=rbac.admin_password_change_expiry,
            warning_days=rbac.password_expiry_warning_window,
            characters_max=rbac.length_limit,
        ),
        config.section(CORDA_RBAC),
    )


def answer_bytes_per_second(config: LiveConfig) -> Live[int]:
    """Bytes of the answers of one virtual node in a second."""
    return Derived(lambda rest: rest.answer_bytes_per_second_max, config.section(REST))


def notary_patience(config: LiveConfig) -> Live[NotaryPatience]:
    """How this host's nodes ask notaries."""
    return Derived(
        lambda ledger: NotaryPatience(
            attempts=ledger.notary_attempts, answer_ms=ledger.notary_answer_seconds * 1000
        ),
        config.section(LEDGER),
    )


def chain_limits(config: LiveConfig) -> Live[ChainLimits]:
    """What a backchain may have that a node resolves."""
    return Derived(
        lambda ledger: ChainLimits(
            batch=ledger.backchain_batch_size,
            transactions=ledger.backchain_transactions_max,
            bytes=ledger.backchain_bytes_max,
            millis=ledger.backchain_seconds_max * 1000,
        ),
        config.section(LEDGER),
    )


def repair_times(config: LiveConfig) -> Live[RepairTimes]:
    """When transactions are repaired that a finality left undecided."""
    return Derived(
        lambda ledger: RepairTimes(
            first_ms=ledger.repair_first_seconds * 1000,
            until_ms=ledger.repair_until_seconds * 1000,
        ),
        config.section(LEDGER),
    )


def claim_ms(config: LiveConfig) -> Live[int]:
    """How long a claim on tokens lasts at most, in milliseconds."""
    return Derived(lambda ledger: ledger.token_claim_timeout_seconds * 1000, config.section(LEDGER))


def distrusted_notaries(config: LiveConfig) -> Live[Distrusted]:
    """The notaries' keys that are distrusted, with their cut-offs."""
    return Derived(
        lambda ledger: {
            ShortHash(key): EpochMs(int(datetime.fromisoformat(cut_off).timestamp()) * 1000)
            for key, _, cut_off in (entry.partition("@") for entry in ledger.distrusted_notary_keys)
        },
        config.section(LEDGER),
    )


def segment_bytes(config: LiveConfig) -> Live[int]:
    """Maximum length of a file of an audit log."""
    return Derived(lambda log: log.segment_bytes, config.section(AUDIT_LOG))


def administrative_retention(config: LiveConfig) -> Live[Retention]:
    """The retention of the administrative log."""
    return Derived(
        lambda kept: Retention(
            entries_max=kept.entries_max, flow_entries_max=kept.flow_entries_max
        ),
        config.section(ADMINISTRATIVE_LOG),
    )


def parking_lot(base: ProcessContext, config: LiveConfig) -> StickyCache:
    """Memory for suspended guests of a process."""
    flow = config.section(FLOW).get()
    share = config.section(ISOLATION).get().memory_bytes_max // _PARKED_SHARE
    return StickyCache(
        flow.parked_max,
        bytes_max=flow.parked_bytes_max,
        node_bytes_max=share if base.settings.isolation == "process" else None,
    )
