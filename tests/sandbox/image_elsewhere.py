"""Prints the digest of the image of some sources; started with other environments and Pythons.

Arguments: the descriptors of a runtime's files, its digest, the file of the sources, and a umask.
The process that loads the sources gets this process's environment, too.
"""

import json
import os
import sys
from pathlib import Path

from tests import zstandard_elsewhere

zstandard_elsewhere.install()

from sandbox.images import making  # noqa: E402  # after the stand-in
from sandbox.images.runtimes import RuntimeFiles  # noqa: E402  # after the stand-in
from sandbox.python_source import PythonSource  # noqa: E402  # after the stand-in

code, initial = (os.fdopen(int(number), "rb") for number in sys.argv[1:3])
content = json.loads(Path(sys.argv[4]).read_bytes())
os.umask(int(sys.argv[5], 8))
making.jail_environment = lambda: dict(os.environ)
making.encode = lambda *_: b""
source = PythonSource(content["files"], tuple(content["entry"]))
made = making.make_image(source, RuntimeFiles(sys.argv[3], code, initial))
sys.stdout.write(made.header.digest)
