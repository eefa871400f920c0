"""Entities of flows, in their node's vault."""

from host.entities.capability import EntityCapability
from host.entities.entity_types import EntityTypes, compile_entity
from host.entities.schemas import VaultSchemas
from host.entities.tables import SCHEMA

__all__ = ["SCHEMA", "EntityCapability", "EntityTypes", "VaultSchemas", "compile_entity"]
