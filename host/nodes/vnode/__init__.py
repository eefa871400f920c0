"""Virtual nodes: creation, registry, operational state."""

from host.nodes.vnode.operations import AsyncOperation
from host.nodes.vnode.service import VirtualNodeService
from host.nodes.vnode.tables import SCHEMA
from host.nodes.vnode.vault_registry import MadeVaults

__all__ = ["SCHEMA", "AsyncOperation", "MadeVaults", "VirtualNodeService"]
