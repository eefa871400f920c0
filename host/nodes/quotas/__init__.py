"""Quotas of virtual nodes: overrides of the host's defaults, rates, usage and hits."""

from host.nodes.quotas.service import QuotaService
from host.nodes.quotas.tables import SCHEMA

__all__ = ["SCHEMA", "QuotaService"]
