"""Calls between the worker processes of one host: typed requests in frames over UNIX sockets."""

from host.runtime.rpc.client import RpcClient
from host.runtime.rpc.interface import Interface
from host.runtime.rpc.server import RpcServer, Service

__all__ = ["Interface", "RpcClient", "RpcServer", "Service"]
