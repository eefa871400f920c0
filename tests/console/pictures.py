"""Takes the pictures of the documentation: `make console-pictures`."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.console.served import run, served

if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as place, served(Path(place)) as given:
        run({**given, "pictures": str(folder)})
