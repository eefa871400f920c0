"""Which standard modules a sandbox has: one verdict for each module of the library, with reasons.

The import scan of a build, the runtime's importer, the guard of native test runs and the page of
modules in the reference all read this table. It is part of the runtime's own sources as well, so
it imports nothing of this project and runs with the Python of either side.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

PYTHON_VERSION = "3.14.0"
"""Version of the Python in the pinned runtimes."""
PLATFORM = "wasi"
"""`sys.platform` in a sandbox."""
OS_NAME = "posix"
"""`os.name` in a sandbox."""


class Verdict(str, Enum):  # noqa: UP042  # StrEnum has another str() of members in f-strings here
    """What a guest gets from `import`."""

    PRESENT = "present"
    PARTIAL = "partial"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One row of the table.

    Attributes:
        name: dotted name.
        verdict: PRESENT works as documented by Python; PARTIAL imports, and what a sandbox cannot
            do raises `OSError` or `RuntimeError` when it is called; REFUSED raises
            `ModuleNotFoundError` on import, and a build refuses the import.
        reason: why it is not wholly there; empty if it is.
        instead: what to use instead; empty if nothing is missing or nothing replaces it.
        refuses: names in the module that refuse: functions, classes, and methods as `Class.method`.
    """

    name: str
    verdict: Verdict
    reason: str = ""
    instead: str = ""
    refuses: tuple[str, ...] = ()

    @property
    def importable(self) -> bool:
        """Whether `import` succeeds in a guest."""
        return self.verdict is not Verdict.REFUSED

    @property
    def refusal(self) -> str:
        """The reason and the remedy as one text, for errors."""
        return f"{self.reason}: use {self.instead}" if self.instead else self.reason


_CLOCK = ("a sandbox has no clock", "self.clock.now() in a flow, the time window in a contract")
_RANDOM = (
    "a sandbox has no randomness",
    "self.random in a flow, random.Random(seed) for a stream that a seed gives",
)
_FILES = ("a sandbox has no files", "a Python module for constant data, entities for a flow's data")
_NETWORK = ("a sandbox has no network", "self.flow_messaging or self.external_messaging in a flow")
_THREADS = ("a sandbox has one thread", "plain calls, receive_all for several peers")
_PROCESSES = ("a sandbox starts no processes", "Python code in the package")
_DATABASE = ("a sandbox has no database", "self.persistence_service in a flow")
_LOOP = (
    "a sandbox has no event loop, since calls to the platform are plain calls",
    "plain functions, receive_all for several peers",
)
_NATIVE = ("the runtime has no such C library", "")
_TERMINAL = ("a sandbox has no terminal and no windows", "")
_TOOL = ("it is a tool for developing, which a guest does not need", "it outside of a sandbox")
_OTHER = ("it belongs to another operating system", "")
_REMOVED = (f"Python {PYTHON_VERSION.rpartition('.')[0]} does not have it any more", "")

_TIME = (
    "clock_getres", "clock_gettime", "clock_gettime_ns", "get_clock_info", "monotonic",
    "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "process_time_ns", "sleep",
    "thread_time", "thread_time_ns", "time", "time_ns",
)  # fmt: skip
_RANDOM_FUNCTIONS = (
    "SystemRandom", "betavariate", "binomialvariate", "choice", "choices", "expovariate",
    "gammavariate", "gauss", "getrandbits", "getstate", "lognormvariate", "normalvariate",
    "paretovariate", "randbytes", "randint", "random", "randrange", "sample", "seed", "setstate",
    "shuffle", "triangular", "uniform", "vonmisesvariate", "weibullvariate",
)  # fmt: skip
_PATH_METHODS = (
    "absolute", "chmod", "copy", "copy_into", "cwd", "exists", "expanduser", "glob", "group",
    "hardlink_to", "home", "is_block_device", "is_char_device", "is_dir", "is_fifo", "is_file",
    "is_junction", "is_mount", "is_socket", "is_symlink", "iterdir", "lchmod", "lstat", "mkdir",
    "move", "move_into", "open", "owner", "read_bytes", "read_text", "readlink", "rename",
    "replace", "resolve", "rglob", "rmdir", "samefile", "stat", "symlink_to", "touch", "unlink",
    "walk", "write_bytes", "write_text",
)  # fmt: skip

_PRESENT = """
__future__ abc annotationlib argparse array ast base64 binascii bisect calendar cmath codecs
collections collections.abc colorsys configparser contextlib contextvars copy copyreg csv
dataclasses decimal difflib dis email email.charset email.contentmanager email.encoders email.errors
email.generator email.header email.headerregistry email.iterators email.message email.mime
email.mime.base email.mime.multipart email.mime.text email.parser email.policy email.utils encodings
enum errno fnmatch fractions functools gc getopt graphlib hashlib heapq hmac html html.entities
html.parser http http.cookies importlib importlib.abc importlib.machinery importlib.util inspect
ipaddress itertools json json.decoder json.encoder json.scanner keyword linecache marshal math
ntpath numbers opcode operator optparse os.path pickle posixpath pprint quopri re reprlib shlex stat
string string.templatelib stringprep struct sys textwrap token tokenize tomllib traceback types
typing unicodedata urllib urllib.error urllib.parse urllib.response warnings weakref xml xml.etree
xml.etree.ElementTree xml.parsers xml.parsers.expat xml.sax xml.sax.handler xml.sax.saxutils
xml.sax.xmlreader zlib
""".split()  # noqa: SIM905  # a list of 100 quoted names is harder to read

_PARTIAL: Mapping[str, tuple[tuple[str, str], tuple[str, ...]]] = MappingProxyType(
    {
        "_thread": (_THREADS, ("start_joinable_thread", "start_new_thread")),
        "atexit": (("a guest ends without running exit handlers", "the end of the flow"), ()),
        "builtins": (_FILES, ("breakpoint", "input", "open")),
        "concurrent": (_THREADS, ()),
        "concurrent.futures": (
            _THREADS,
            ("InterpreterPoolExecutor", "ProcessPoolExecutor", "ThreadPoolExecutor"),
        ),
        "datetime": (_CLOCK, ("date.today", "datetime.now", "datetime.today", "datetime.utcnow")),
        "getpass": (_TERMINAL, ("getpass", "getuser")),
        "gettext": (("a sandbox has no message catalogues", "a Python module with the texts"), ()),
        "glob": (_FILES, ("glob", "iglob")),
        "gzip": (_FILES, ("open",)),
        "importlib.metadata": (
            ("a sandbox has no installed distributions", "a constant in the package"),
            ("distribution", "files", "metadata", "requires", "version"),
        ),
        "importlib.resources": (
            _FILES,
            (
                "as_file", "contents", "files", "is_resource", "open_binary", "open_text", "path",
                "read_binary", "read_text",
            ),
        ),
        "io": (_FILES, ("FileIO", "open", "open_code")),
        "locale": (
            ("a sandbox has the locale C only", "format() and Decimal for numbers"),
            ("setlocale",),
        ),
        "logging": (
            ("log records go to the log of the virtual node", "logging.getLogger(__name__)"),
            ("FileHandler",),
        ),
        "mimetypes": (("a sandbox has no table of the system", "guess_type of common types"), ()),
        "os": (
            ("a sandbox has no files, processes, users and environment", _FILES[1]),
            ("files and processes: all", "getrandom", "urandom"),
        ),
        "pathlib": (_FILES, tuple(f"Path.{name}" for name in _PATH_METHODS)),
        "pkgutil": (_FILES, ("get_data",)),
        "platform": (("a sandbox has no machine to name", "sys.platform"), ("node", "uname")),
        "queue": (_THREADS, ("Queue.join",)),
        "random": (_RANDOM, ("Random without a seed", *_RANDOM_FUNCTIONS)),
        "secrets": (
            _RANDOM,
            (
                "SystemRandom", "choice", "randbelow", "randbits", "token_bytes", "token_hex",
                "token_urlsafe",
            ),
        ),
        "shutil": (
            _FILES,
            (
                "chown", "copy", "copy2", "copyfile", "copymode", "copystat", "copytree",
                "disk_usage", "make_archive", "move", "rmtree", "unpack_archive", "which",
            ),
        ),
        "signal": (_PROCESSES, ("alarm", "raise_signal", "setitimer", "signal")),
        "socket": (
            _NETWORK,
            (
                "create_connection", "create_server", "fromfd", "getaddrinfo", "getfqdn",
                "gethostbyaddr", "gethostbyname", "gethostbyname_ex", "gethostname", "getnameinfo",
                "socket", "socketpair",
            ),
        ),
        "statistics": (_RANDOM, ("NormalDist.samples without a seed",)),
        "subprocess": (
            _PROCESSES,
            (
                "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput",
                "run",
            ),
        ),
        "sysconfig": (
            ("a sandbox has no installation", "sys.version_info"),
            ("get_config_h_filename", "get_config_var", "get_config_vars", "get_makefile_filename",
             "get_path", "get_paths", "parse_config_h"),
        ),
        "tempfile": (
            _FILES,
            (
                "NamedTemporaryFile", "SpooledTemporaryFile", "TemporaryDirectory",
                "TemporaryFile", "gettempdir", "gettempdirb", "mkdtemp", "mkstemp", "mktemp",
            ),
        ),
        "threading": (
            _THREADS,
            ("Barrier.wait", "Condition.wait", "Event.wait if not set", "Thread.start",
             "Timer.start", "a lock that is held already"),
        ),
        "time": (_CLOCK, (*_TIME, "asctime, ctime, gmtime, localtime, strftime without a time")),
        "timeit": (_CLOCK, ("Timer", "default_timer", "repeat", "timeit")),
        "uuid": (_RANDOM, ("getnode", "uuid1", "uuid4", "uuid6", "uuid7", "uuid8 without values")),
        "zipfile": (_FILES, ("a path as file",)),
        "zoneinfo": (
            ("time zones are those of the data set in the runtime", "ZoneInfo of its names"),
            ("reset_tzpath",),
        ),
    }
)  # fmt: skip

_REFUSED: tuple[tuple[tuple[str, str], str], ...] = (
    (_LOOP, "asyncio"),
    (_RANDOM, "_random"),
    (_THREADS, "concurrent.futures.process concurrent.futures.thread socketserver"),
    (_PROCESSES, "multiprocessing pty runpy"),
    (_CLOCK, "cProfile profile pstats sched trace tracemalloc"),
    (_DATABASE, "dbm shelve sqlite3"),
    (
        _NETWORK,
        """ftplib http.client http.cookiejar http.server imaplib nntplib poplib select selectors
        smtplib ssl urllib.request urllib.robotparser webbrowser wsgiref xmlrpc""",
    ),
    (
        _FILES,
        """filecmp fileinput logging.config logging.handlers mailbox mmap netrc tarfile wave zipapp
        zipimport""",
    ),
    (_NATIVE, "ctypes"),
    ((_NATIVE[0], "zlib"), "bz2 compression lzma"),
    (("the runtime has one parser of XML", "xml.etree.ElementTree"), "plistlib xml.dom"),
    (_TERMINAL, "cmd code codeop curses idlelib readline rlcompleter tkinter turtle"),
    (_TERMINAL, "termios tty turtledemo"),
    (
        _TOOL,
        """antigravity bdb compileall doctest ensurepip faulthandler json.tool modulefinder pdb
        pickletools py_compile pyclbr pydoc pydoc_data site symtable tabnanny this unittest venv""",
    ),
    (("it is internal to the module re", "re"), "sre_compile sre_constants sre_parse"),
    (_OTHER, "fcntl grp msilib msvcrt nt nturl2path posix pwd resource syslog winreg winsound"),
    (
        _REMOVED,
        """aifc asynchat asyncore audioop cgi cgitb chunk crypt imghdr imp lib2to3 mailcap nis
        ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib uu xdrlib""",
    ),
    ((_REMOVED[0], "the package packaging for versions"), "distutils"),
)


def _rows() -> Iterator[Module]:
    for name in _PRESENT:
        yield Module(name=name, verdict=Verdict.PRESENT)
    for name, ((reason, instead), refuses) in _PARTIAL.items():
        yield Module(
            name=name, verdict=Verdict.PARTIAL, reason=reason, instead=instead, refuses=refuses
        )
    for (reason, instead), names in _REFUSED:
        for name in names.split():
            yield Module(name=name, verdict=Verdict.REFUSED, reason=reason, instead=instead)


MODULES: Mapping[str, Module] = MappingProxyType(
    {row.name: row for row in sorted(_rows(), key=lambda row: row.name)}
)
"""Dotted name -> row, sorted by name."""

INTERNAL = frozenset(
    """
_abc _ast _bisect _blake2 _codecs _collections _collections_abc _colorize _contextvars _csv
_datetime _decimal _functools _heapq _hmac _imp _io _json _locale _md5 _opcode _opcode_metadata
_operator _pickle _py_warnings _pydecimal _sha1 _sha2 _sha3 _sre _stat _statistics _string _strptime
_struct _tokenize _types _typing _warnings _weakref _weakrefset genericpath pyexpat re._casefix
re._compiler re._constants re._parser
""".split()  # noqa: SIM905  # as above
)
"""Modules without documentation of their own that an import finds as well."""


def find_module(name: str) -> Module | None:
    """The row that decides about a module: its own, or the one of the closest refused parent.

    None for a module that the table does not know: below a package that is present, another one
    of the standard library's own modules, or no standard module.
    """
    row = MODULES.get(name)
    while row is None and "." in name:
        name = name.rpartition(".")[0]
        parent = MODULES.get(name)
        if parent is not None:
            return None if parent.importable else parent
    return row


def is_importable(name: str) -> bool:
    """Whether `import name` finds a standard module in a sandbox."""
    row = find_module(name)
    if row is None:
        return name in INTERNAL or name.startswith("encodings.")
    return row.importable
