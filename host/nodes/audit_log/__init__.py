"""A hash-chained log of privileged host calls for each virtual node, and its verification."""

from host.nodes.audit_log.service import NodeAuditLogs

__all__ = ["NodeAuditLogs"]
