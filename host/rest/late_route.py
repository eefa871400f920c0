"""Routes that FastAPI makes ready at their first use.

FastAPI reads a route's signature and builds validators of its parameters and answers when the route
is declared. That was a fifth of what the process of the REST interface computed until it was ready,
for a hundred routes most of which it is never asked for.
"""

import threading
from collections.abc import Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import compile_path, get_name


class LateRoute(APIRoute):
    """A route of which the host needs no more than method and path until the first request for it.

    It is complete once one of its other attributes is read, as by the first request or by the
    OpenAPI document. Thread-safe.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        # What a router reads to find the route of a request.
        self.path = path
        self.endpoint = endpoint
        self.name = options.get("name") or get_name(endpoint)
        self.methods = {method.upper() for method in options.get("methods") or ("GET",)}
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self._options = options
        self._making = threading.RLock()
        self._is_made = self._is_making = False

    def __getattr__(self, name: str) -> Any:
        """Complete the route, since it has no such attribute yet."""
        if name.startswith("__") or "_is_made" not in self.__dict__:
            raise AttributeError(name)
        with self._making:
            if not self._is_made and not self._is_making:
                self._is_making = True
                try:
                    super().__init__(self.path, self.endpoint, **self._options)
                finally:
                    self._is_making = False
                self._is_made = True
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(name) from None
