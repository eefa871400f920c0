"""Calls between the worker processes of one host: typed requests in frames over UNIX sockets."""

from host.rpc.client import RpcClient
from host.rpc.interface import Interface
from host.rpc.server import RpcServer, Service

__all__ = ["Interface", "RpcClient", "RpcServer", "Service"]
