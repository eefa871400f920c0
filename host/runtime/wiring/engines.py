"""Logs the engine that runs guests."""

import structlog

from sandbox.advisories import known_advisories
from sandbox.engine import engine_version

_log = structlog.get_logger("cordbox.host")


def log_engine() -> None:
    """Log the engine that runs guests, with warnings about known vulnerabilities."""
    version = engine_version()
    _log.info("engine", engine="wasmtime", version=version)
    for advisory in known_advisories(version):
        _log.warning(
            "engine-advisory",
            engine="wasmtime",
            version=version,
            advisory=advisory.id,
            title=advisory.title,
            source=advisory.source,
        )
