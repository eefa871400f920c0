"""The REST interface: Corda 5's paths and JSON over the host's use cases.

FastAPI loads `pydantic.v1` to ask whether a type is of that version, which no type here is: a
twentieth of the start of a process that serves REST. It is taken for not installed there, which
FastAPI allows for.
"""

import sys
from typing import cast

cast("dict[str, object]", sys.modules).setdefault("pydantic.v1", None)
