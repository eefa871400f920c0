"""A plugin that kills its process where a notary has decided, and has not signed yet."""

import os
import signal
from contextlib import suppress

from host.ports.keys import KeyCategory
from host.runtime.hookspecs import hookimpl

MARK = "kill-the-notary"
"""A file of the data directory; each one kills once."""


class Killing:
    """A key store that kills its process at a notary's next signature."""

    def __init__(self, keys, mark):
        self._keys = keys
        self._mark = mark

    def __getattr__(self, name):
        return getattr(self._keys, name)

    def sign(self, tenant, public_key, data, spec, categories=None):
        if categories is not None and tuple(categories) == (KeyCategory.NOTARY,):
            with suppress(FileNotFoundError):
                self._mark.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return self._keys.sign(tenant, public_key, data, spec, categories)


@hookimpl(wrapper=True)
def register_key_store(directory):
    keys = yield
    return Killing(keys, directory.path / MARK)
