"""Entities of flows, in their node's vault."""

from host.persistence.capability import EntityCapability
from host.persistence.tables import SCHEMA

__all__ = ["SCHEMA", "EntityCapability"]
