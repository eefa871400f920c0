"""Quotas of virtual nodes: overrides of the host's defaults, rates, and what was used and hit."""

from host.quotas.service import QuotaService
from host.quotas.tables import SCHEMA

__all__ = ["SCHEMA", "QuotaService"]
