"""A hash-chained log of what users and operators do to a host, in its registers."""

from host.nodes.audit_log.administrative.acts import Act, ActQuery, ActView, Outcome, Refusal
from host.nodes.audit_log.administrative.errors import ActNotRecordedError
from host.nodes.audit_log.administrative.log import AdministrativeLog
from host.nodes.audit_log.administrative.pruning import Retention
from host.nodes.audit_log.administrative.register import AdministrativeRegister
from host.nodes.audit_log.administrative.tables import SCHEMA

__all__ = [
    "SCHEMA",
    "Act",
    "ActNotRecordedError",
    "ActQuery",
    "ActView",
    "AdministrativeLog",
    "AdministrativeRegister",
    "Outcome",
    "Refusal",
    "Retention",
]
