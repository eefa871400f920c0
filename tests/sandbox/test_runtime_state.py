"""Each pinned runtime is one of those whose text was read (`runtime_state.py`).

That takes many seconds, and its answer is a matter of the digest alone.
"""

import pytest

from sandbox.pinned import default_runtime
from sandbox.world import World

READ = {
    "SHA-256:FC6494FA61DB147D61396B95AF3AF0D7879DD48312F4DC7303C0263897737BD9",
    "SHA-256:6085E49445515844BC149D1C2C617A3E10948BC709875D7A2D01DEE47A957243",
}


@pytest.mark.parametrize("world", list(World))
def test_the_text_of_each_pinned_runtime_was_read(world):
    assert default_runtime(world).digest in READ, "run make prove-sandbox, and add the digest"
