"""What a host reports about itself: logs and metrics.

structlog loads rich, if it is installed, for tracebacks that Cordbox does not draw
(`host.observe.logs`), in each process of a host and for a tenth of its imports. It is loaded here
without it; commands that print help load rich themselves.
"""

import sys
from typing import cast


def _load_structlog_alone() -> None:
    modules = cast("dict[str, object]", sys.modules)
    if "structlog" in modules or "rich" in modules:
        return
    modules["rich"] = None  # The import system takes None for a module that is not installed.
    try:
        import structlog  # noqa: F401, PLC0415
    finally:
        del modules["rich"]


_load_structlog_alone()
