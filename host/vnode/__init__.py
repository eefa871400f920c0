"""Virtual nodes: creation, registry, operational state."""

from host.vnode.service import AsyncOperation, VirtualNodeService
from host.vnode.tables import SCHEMA

__all__ = ["SCHEMA", "AsyncOperation", "VirtualNodeService"]
