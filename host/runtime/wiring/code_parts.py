"""CPIs, their upload, and the guests that run their code."""

from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cached_property

import structlog

from host import entities as persistence
from host.database.claims import RENEW_SECONDS
from host.flow.engine.sticky_cache import StickyCache
from host.guests.admissions import Admissions
from host.guests.library import GuestLibrary
from host.guests.source import GuestSource
from host.nodes.packages.catalogue import PackageCatalogue
from host.nodes.packages.service import PackageService
from host.runtime.wiring.guests import make_guests
from host.runtime.wiring.sections import body_bytes_max, parking_lot
from host.runtime.wiring.storage_parts import StorageParts
from sandbox.runtime import Sandbox

_BACKGROUND_THREADS = 4
"""Uploads and makings of nodes at once; what costs of an upload is bounded for all together."""

_log = structlog.get_logger("cordbox.host")


class CodeParts(StorageParts):
    """Stored CPIs and their guests."""

    @cached_property
    def sandbox(self) -> Sandbox:
        settings = self.base.settings
        return Sandbox(
            cache_dir=settings.cache_dir,
            progress=_log_progress,
            restored_instances=settings.restored_instances,
        )

    @cached_property
    def library(self) -> GuestLibrary:
        """The code of stored CPIs."""
        return GuestLibrary(sandbox=self.sandbox, read=self.catalogue.read)

    @cached_property
    def guests(self) -> GuestSource:
        """The guests of stored CPIs, in this process or in those of their nodes."""
        return make_guests(self.base, self.config, self.sandbox, self.library)

    @cached_property
    def sticky(self) -> StickyCache:
        """Suspended guests of this process."""
        return parking_lot(self.base, self.config)

    @cached_property
    def catalogue(self) -> PackageCatalogue:
        """Stored CPIs, read-only."""
        return PackageCatalogue(database=self.database, files=self.cpi_files)

    @cached_property
    def entity_types(self) -> persistence.EntityTypes:
        """The entity declarations of stored CPIs' CPKs, compiled."""
        return persistence.EntityTypes()

    @cached_property
    def packages(self) -> PackageService:
        """Stored CPIs and their upload; only one process of a host may open it."""
        packages = PackageService(
            database=self.database,
            files=self.cpi_files,
            sandbox=self.sandbox,
            candidate=self.guests.candidate,
            clock=self.base.clock,
            executor=self._background,
            admissions=self._admissions,
            claimant=self.claimant,
            upload_bytes_max=body_bytes_max(self.config),
        )
        self._flush(packages.renew, RENEW_SECONDS)
        return packages

    @cached_property
    def _background(self) -> Executor:
        _ = self._admissions  # what is opened first is closed last: uploads use it to their end
        background = ThreadPoolExecutor(_BACKGROUND_THREADS, "background")
        self.base.stack.callback(background.shutdown, wait=True, cancel_futures=True)
        return background

    @cached_property
    def _admissions(self) -> Admissions:
        admissions = Admissions.of_machine()
        self.base.stack.callback(admissions.close)
        return admissions


def _log_progress(step: str) -> None:
    _log.info("sandbox-progress", step=step)
