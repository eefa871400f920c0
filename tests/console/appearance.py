"""Pictures of the console's pages, and how far each is from the one that is kept beside the tests.

The pages show recorded answers at a time that stands still, in fonts of npm's packages, so that they
differ only if the console does. The mean colours of squares of 8 x 8 pixels are compared: sharply if
Chromium is of the release that has taken the kept pictures, else as far as releases may differ.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.console.recorded import recorded_console, recorded_now, recorded_pages
from tests.console.served import chromium, modules

KEPT = Path(__file__).parent / "kept"
"""Of each picture the mean colours of its squares, as a picture an eighth as wide."""
FAILURES = Path(__file__).parents[2] / "build" / "console-pictures"
VIEWS: Mapping[str, tuple[int, str]] = {
    "": (1280, "light"),
    "-phone": (390, "dark"),
    "-wide": (1920, "dark"),
}
"""What is added to a page's name -> width in pixels, and theme."""
SAME_RELEASE = {"far": 3, "shareMax": 0.001}
"""A square differs if one of its colours is further away than `far`, of 255; `shareMax` may differ."""
OTHER_RELEASE = {"far": 10, "shareMax": 0.004}
DOCUMENTED: Mapping[str, str] = {
    **{name: name for name in ("overview", "nodes", "node", "flows", "flow", "ledger", "package")},
    "overview-phone": "phone",
}
"""Pictures that the documentation shows, as `console-NAME.png`."""
_FONTS = {
    "sans": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "mono": "@fontsource/dejavu-mono/files/dejavu-mono-latin-400-normal.woff2",
}
_SCRIPT = Path(__file__).with_name("pictures.mjs")
_SECONDS_MAX = 300


def names() -> Sequence[str]:
    """All pictures."""
    return [f"{page}{view}" for page in recorded_pages() for view in VIEWS]


def fonts() -> None:
    """Skips where the fonts are not installed."""
    if not all((Path(modules()) / path).is_file() for path in _FONTS.values()):
        pytest.skip(
            "npm's @fontsource-variable/inter and @fontsource/dejavu-mono are not installed"
        )


def documented(folder: Path) -> Mapping[str, str]:
    """The documentation's file of each picture that it shows."""
    return {name: str(folder / f"console-{shown}.png") for name, shown in DOCUMENTED.items()}


def differences(*, only: Sequence[str] = (), **more: object) -> Mapping[str, Mapping[str, object]]:
    """By picture, by file or by change of those that `more` names: which `share` of its squares differs,
    and how many may (`shareMax`).

    Args:
        only: pictures to take; all if there are none.
        more: what `pictures.mjs` is given besides.
    """
    shots = [
        {"name": f"{page}{view}", "path": path, "width": width, "scheme": scheme}
        for page, path in recorded_pages().items()
        for view, (width, scheme) in VIEWS.items()
        if not only or f"{page}{view}" in only
    ]
    with recorded_console() as base:
        given = {
            "base": base,
            "chromium": chromium(),
            "modules": modules(),
            "now": recorded_now(),
            "fonts": _FONTS,
            "flags": [],
            "kept": str(KEPT),
            "same": SAME_RELEASE,
            "other": OTHER_RELEASE,
            "shots": shots,
            **more,
        }
        done = subprocess.run(
            ["node", str(_SCRIPT)],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=_SECONDS_MAX,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    found = (json.loads(line) for line in done.stdout.splitlines())
    return {each["name"]: each for each in found}
