"""Every section of Cordbox itself. Pure."""

from collections.abc import Mapping
from typing import Any

from msgspec import Meta

from host.domain.quotas import QUOTA_NAMES, Quota, quota_meaning, quota_range
from host.settings.corda import CordaExternalMessaging, CordaFlow, CordaMessaging, CordaRest
from host.settings.corda_membership import CordaMembership
from host.settings.corda_p2p import CordaP2pGateway, CordaP2pLinkManager
from host.settings.corda_rbac import CordaRbac
from host.settings.flows import FlowValues, TopicValues
from host.settings.guests import GuestValues, IsolationValues
from host.settings.ledger import LedgerValues
from host.settings.logs import AdministrativeLogValues, AuditLogValues, LogValues
from host.settings.rest import RestValues
from host.settings.section import Section


def _quota_meta(name: str) -> Meta:
    least, most = quota_range(name)
    return Meta(ge=least, le=most, description=quota_meaning(name))


CORDA_FLOW = Section("corda.flow", CordaFlow)
CORDA_MESSAGING = Section("corda.messaging", CordaMessaging)
CORDA_EXTERNAL_MESSAGING = Section("corda.externalMessaging", CordaExternalMessaging)
CORDA_REST = Section("corda.rest", CordaRest)
CORDA_RBAC = Section("corda.rbac", CordaRbac)
CORDA_P2P_GATEWAY = Section("corda.p2p.gateway", CordaP2pGateway)
CORDA_MEMBERSHIP = Section("corda.membership", CordaMembership)
CORDA_P2P_LINK_MANAGER = Section("corda.p2p.linkManager", CordaP2pLinkManager)
FLOW = Section("cordbox.flow", FlowValues)
TOPIC = Section("cordbox.topic", TopicValues)
QUOTA = Section("cordbox.quota", Quota, metas={name: _quota_meta(name) for name in QUOTA_NAMES})
"""The quota of every virtual node without overrides: its keys are the quotas."""
GUEST = Section("cordbox.guest", GuestValues)
ISOLATION = Section("cordbox.isolation", IsolationValues)
REST = Section("cordbox.rest", RestValues)
LEDGER = Section("cordbox.ledger", LedgerValues)
LOG = Section("cordbox.log", LogValues)
AUDIT_LOG = Section("cordbox.audit_log", AuditLogValues)
ADMINISTRATIVE_LOG = Section("cordbox.administrative_log", AdministrativeLogValues)

SECTIONS: Mapping[str, Section[Any]] = {
    section.name: section
    for section in (
        CORDA_FLOW,
        CORDA_MESSAGING,
        CORDA_EXTERNAL_MESSAGING,
        CORDA_REST,
        CORDA_RBAC,
        CORDA_P2P_GATEWAY,
        CORDA_P2P_LINK_MANAGER,
        CORDA_MEMBERSHIP,
        FLOW,
        TOPIC,
        QUOTA,
        GUEST,
        ISOLATION,
        REST,
        LEDGER,
        LOG,
        AUDIT_LOG,
        ADMINISTRATIVE_LOG,
    )
}
"""By name."""
