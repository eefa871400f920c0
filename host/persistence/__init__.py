"""Entities of flows, in their node's vault."""

from host.persistence.capability import EntityCapability
from host.persistence.entity_types import EntityTypes, compile_entity
from host.persistence.schemas import VaultSchemas
from host.persistence.tables import SCHEMA

__all__ = ["SCHEMA", "EntityCapability", "EntityTypes", "VaultSchemas", "compile_entity"]
