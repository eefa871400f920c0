"""The REST interface: Corda 5's paths and JSON over the host's use cases.

Two things are kept from being loaded, which take a tenth of the start of a process that serves
REST: `pydantic.v1`, which FastAPI loads to ask whether a type is of that version, which no type
here is (it allows for it not being installed); and plugins of pydantic, for which it reads the
metadata of every installed package. `PYDANTIC_DISABLE_PLUGINS` in the environment wins.
"""

import os
import sys
from typing import cast

cast("dict[str, object]", sys.modules).setdefault("pydantic.v1", None)
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
