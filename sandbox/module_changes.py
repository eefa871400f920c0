"""Changes of loaded modules of the standard library, so that they keep to what a sandbox has.

A runtime changes the guest's modules; a native test run changes copies of this Python's. This
module is part of the runtime's sources as well: it imports nothing of this project.
"""

from collections.abc import Callable, Iterable
from io import BytesIO
from types import ModuleType
from typing import Any, Never

__tracebackhide__ = True
"""Traces and pytest leave its frames out: the error is where a CorDapp calls."""


def refusal(what: str, message: str) -> Callable[..., Never]:
    """A function that raises OSError, naming what was called and what to use instead."""

    def refused(*_arguments: object, **_options: object) -> Never:
        raise OSError(f"{what}: {message}")

    refused.__name__ = refused.__qualname__ = what.rpartition(".")[2]
    return refused


def refuse(module: ModuleType, names: Iterable[str], message: str) -> None:
    """Let functions, classes and methods of `module` refuse.

    Classes stay classes, so that code can name, compare and derive from them. Names that this
    Python does not have are passed over, and so are entries that are conditions, not names.

    Args:
        module: is changed.
        names: `function`, `Class` or `Class.method`.
        message: reason and remedy.
    """
    for name in names:
        owner: Any = module
        *parents, last = name.split(".")
        for parent in parents:
            owner = getattr(owner, parent, None)
        if not last.isidentifier() or owner is None or not _has(owner, last):
            continue
        full = f"{module.__name__}.{name}"
        # A module may find a name when it is first used, by importing what a sandbox lacks.
        found = vars(owner).get(last)
        if parents:
            setattr(owner, last, classmethod(refusal(full, message)))
        elif found is None or isinstance(found, type):
            setattr(owner, last, _refusing_class(full, found or object, message))
        else:
            setattr(owner, last, refusal(full, message))


_DRAWS = ("getrandbits", "getstate", "randbytes", "random")
"""Methods of Random that all others draw by."""


def refuse_unseeded(module: Any, message: str) -> None:
    """Let generators of module `random` that were given no seed refuse to draw numbers.

    Making one succeeds: packages do while they are imported, and may never draw.
    """
    seeded, restored = module.Random.seed, module.Random.setstate
    unseeded = refusal("random.Random without a seed", message)

    def seed(self: Any, a: Any = None, version: int = 2) -> None:
        """Start the stream of numbers that the seed decides."""
        if a is None:
            vars(self).update(dict.fromkeys(_DRAWS, unseeded), gauss_next=None)
            return
        seeded(self, a, version)
        allow(self)

    def setstate(self: Any, state: Any) -> None:
        """Go on where another generator was."""
        restored(self, state)
        allow(self)

    def allow(self: Any) -> None:
        for name in _DRAWS:
            vars(self).pop(name, None)

    module.Random.seed, module.Random.setstate = seed, setstate
    module._urandom = refusal("os.urandom", message)  # noqa: SLF001  # of the class SystemRandom
    vars(module).pop("_inst", None)


def refuse_locales(module: Any, message: str) -> None:
    """Let module `locale` refuse every locale but C, as a system does that has no others."""
    found = module.setlocale

    def setlocale(category: int, locale: Any = None) -> str:
        """Query the locale, or set it to C."""
        if locale not in {None, "", "C", "C.UTF-8", "POSIX"}:
            raise module.Error(f"unsupported locale setting: {message}")
        return str(found(category, locale and "C"))

    module.setlocale = setlocale


_LEVELS = ((40, "error"), (30, "warn"), (20, "info"))


def send_records(module: Any, send: Callable[[str, str, Any], object], message: str) -> None:
    """Send the records of module `logging` to the platform's log, from level INFO on.

    Args:
        module: is changed.
        send: gets level (`error`, `warn`, `info` or `debug`), formatted text and record.
        message: why there are no files.
    """

    class PlatformHandler(module.Handler):  # type: ignore[misc]  # a class that is known later
        """Sends records to the log of the virtual node."""

        def emit(self, record: Any) -> None:
            try:
                level = next((text for least, text in _LEVELS if record.levelno >= least), "debug")
                send(level, self.format(record), record)
            except Exception:  # noqa: BLE001  # as every handler of Python does
                self.handleError(record)

    handler = PlatformHandler()
    module.root.addHandler(handler)
    module.root.setLevel(module.INFO)
    no_file = refusal("logging.basicConfig(filename=..)", message)

    def basic_config(**options: Any) -> None:
        """Set level and form of the records that go to the log; other destinations refuse."""
        if options.get("filename") is not None:
            no_file()
        if options.get("format") is not None:
            style, datefmt = options.get("style", "%"), options.get("datefmt")
            handler.setFormatter(module.Formatter(options["format"], datefmt, style))
        if options.get("level") is not None:
            module.root.setLevel(options["level"])

    module.basicConfig = basic_config


def read_zones(module: Any, read: Callable[[str], bytes], version: str) -> None:
    """Let module `zoneinfo._common` read a data set: `read` raises KeyError for unknown names."""

    def load_tzdata(key: str) -> BytesIO:
        """The zone file of a zone."""
        try:
            return BytesIO(read(key))
        except KeyError:
            raise module.ZoneInfoNotFoundError(
                f"No time zone found with key {key}: tzdata {version} has none"
            ) from None

    module.load_tzdata = load_tzdata


def answer_missing_specs(module: Any) -> None:
    """Let `importlib.util.find_spec` answer None where the guest's finder raises."""
    found = module.find_spec

    def find_spec(name: str, package: str | None = None) -> Any:
        """The spec of a module, None if there is none."""
        try:
            return found(name, package)
        except ModuleNotFoundError as exc:
            if exc.name != module.resolve_name(name, package):
                raise
            return None

    module.find_spec = find_spec


def _has(owner: Any, name: str) -> bool:
    if isinstance(owner, ModuleType):
        return name in vars(owner) or name in getattr(owner, "__all__", ())
    return hasattr(owner, name)


def _refusing_class(full: str, base: type, message: str) -> type:
    module, _, name = full.rpartition(".")
    refused = refusal(full, message)
    return type(name, (base,), {"__module__": module, "__new__": refused, "__init__": refused})
