"""What a session message of another cluster must be, beside its form. Pure.

A flow engine makes its own messages within these bounds. Those of other clusters may be anything
that decodes: an id becomes the key of states and queues, and the properties of an init are stored
with the responder, and sent again with each session that it opens.
"""

import re

from host.flow.core.hops import ORIGIN
from host.flow.core.mapper import init_of
from host.flow.core.messages import Init, SessionMessage

SESSION_ID_CHARACTERS_MAX = 64
SEQUENCE_MAX = 2**53 - 1
VERSIONS_MAX = 100
INIT_CHARACTERS_MAX = 64_000
"""Of an init's protocol and properties: several times what a flow's context holds."""
_ID = re.compile(f"[0-9A-Za-z-]{{1,{SESSION_ID_CHARACTERS_MAX}}}")


def is_sound(message: SessionMessage) -> bool:
    """Whether a message of another cluster may reach a flow."""
    init = init_of(message)
    return (
        _ID.fullmatch(message.session_id) is not None
        and 0 <= message.sequence <= SEQUENCE_MAX
        and 0 <= (message.version or 0) <= SEQUENCE_MAX
        and (init is None or _is_sound(init))
    )


def _is_sound(init: Init) -> bool:
    properties = (*init.context.items(), *init.platform.items())
    texts = (init.protocol, *(text for entry in properties for text in entry))
    origin = init.platform.get(ORIGIN)
    return (
        sum(map(len, texts)) <= INIT_CHARACTERS_MAX
        and not any("\0" in text for text in texts)
        and len(init.versions) <= VERSIONS_MAX
        and all(0 <= version <= SEQUENCE_MAX for version in init.versions)
        and (origin is None or _ID.fullmatch(origin) is not None)
    )
