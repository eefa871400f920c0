"""The host as processes: adapters made from settings, worker processes, calls between them."""

import host.observe  # noqa: F401  # before any other module loads structlog
