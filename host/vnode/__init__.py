"""Virtual nodes: creation, registry, operational state."""

from host.vnode.made_vaults import MadeVaults
from host.vnode.service import AsyncOperation, VirtualNodeService
from host.vnode.tables import SCHEMA

__all__ = ["SCHEMA", "AsyncOperation", "MadeVaults", "VirtualNodeService"]
