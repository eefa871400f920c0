"""Virtual nodes, their packages, their groups, and the code that they run."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from host import membership, vnode
from host.composition.base import Base
from host.composition.storage import Storage
from host.domain.errors import HostError
from host.domain.packages import CpiRecord
from host.guests.library import GuestLibrary
from host.guests.warm_up import warm_up
from host.packages.service import PackageService
from sandbox.errors import SandboxError
from sandbox.runtime import Sandbox

_BACKGROUND_THREADS = 2

_log = structlog.get_logger("cordbox.host")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    packages: PackageService
    nodes: vnode.VirtualNodeService
    members: membership.MemberDirectory
    registrations: membership.MembershipService
    library: GuestLibrary


def open_nodes(base: Base, storage: Storage) -> Nodes:
    """The registries in the cluster's database, with threads for what they do in the background."""
    background = ThreadPoolExecutor(_BACKGROUND_THREADS, "background")
    base.stack.callback(background.shutdown, wait=True, cancel_futures=True)
    sandbox = Sandbox(cache_dir=base.settings.cache_dir, progress=_log_progress)
    packages = PackageService(
        database=storage.database,
        directory=base.directory.packages,
        sandbox=sandbox,
        clock=base.clock,
        executor=background,
        upload_bytes_max=base.settings.max_content_length,
    )
    nodes = vnode.VirtualNodeService(
        database=storage.database,
        vaults=storage.vaults,
        packages=packages,
        clock=base.clock,
        entropy=base.entropy,
        background=background.submit,
        allowed_capabilities=frozenset(base.settings.allowed_capabilities),
    )
    registrations = membership.MembershipService(
        database=storage.database,
        virtual_nodes=nodes,
        packages=packages,
        keys=storage.keys,
        public_keys=storage.public_keys,
        clock=base.clock,
        entropy=base.entropy,
    )
    return Nodes(
        packages=packages,
        nodes=nodes,
        members=membership.MemberDirectory(storage.database, public_keys=storage.public_keys),
        registrations=registrations,
        library=GuestLibrary(sandbox=sandbox, read=packages.read),
    )


def warm_up_nodes(base: Base, nodes: Nodes) -> None:
    """Have the code of all stored CPIs compiled in the background, before a flow needs it."""
    executor = ThreadPoolExecutor(1, "warm-up")
    base.stack.callback(executor.shutdown, wait=True, cancel_futures=True)
    warm_up(nodes.library, nodes.packages.all(), executor=executor, report=_log_missing_code)


def _log_missing_code(stored: CpiRecord, refused: HostError | SandboxError) -> None:
    name = f"{stored.identity.name} {stored.identity.version}"
    _log.warning("code-unavailable", cpi=name, code=refused.code, reason=refused.message)


def _log_progress(step: str) -> None:
    _log.info("sandbox-progress", step=step)
