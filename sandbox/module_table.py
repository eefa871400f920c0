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


_CLOCK = (
    "the sandbox has no clock",
    "self.clock.now() in a flow, transaction.time_window in a contract",
)
_RANDOM = (
    "the sandbox has no randomness",
    "self.random.bytes(..) in a flow, random.Random(seed) for numbers that the seed decides",
)
_FILES = (
    "the sandbox has no files",
    "a Python module for constant data, self.persistence_service for a flow's data",
)
_NETWORK = (
    "the sandbox has no network",
    "self.flow_messaging or self.external_messaging in a flow",
)
_THREADS = ("the sandbox has one thread", "plain calls, receive_all for several peers")
_PROCESSES = ("the sandbox starts no processes", "Python code in the package")
_DATABASE = ("the sandbox has no database", "self.persistence_service in a flow")
_LOOP = (
    "the sandbox has no event loop, since calls to the platform are plain calls",
    "plain functions, receive_all for several peers",
)
_NATIVE = ("the runtime has no such C library", "")
_TERMINAL = ("the sandbox has no terminal and no windows", "")
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
__future__ abc annotationlib argparse array ast base64 binascii bisect calendar cmath codecs codeop
collections collections.abc colorsys compression compression.gzip compression.zlib configparser
contextlib contextvars copy copyreg csv dataclasses decimal difflib dis email email.charset
email.contentmanager email.encoders email.errors email.generator email.header email.headerregistry
email.iterators email.message email.mime email.mime.base email.mime.multipart email.mime.text
email.parser email.policy email.utils encodings enum errno fnmatch fractions functools gc getopt
graphlib hashlib heapq hmac html html.entities html.parser http http.cookies importlib importlib.abc
importlib.machinery importlib.util inspect ipaddress itertools json json.decoder json.encoder
json.scanner keyword linecache marshal math ntpath numbers opcode operator optparse os.path pickle
posixpath pprint quopri re reprlib shlex stat string string.templatelib stringprep struct sys
textwrap token tokenize tomllib traceback types typing unicodedata urllib urllib.error urllib.parse
urllib.response warnings weakref xml xml.etree xml.etree.ElementTree xml.parsers xml.parsers.expat
xml.sax xml.sax.handler xml.sax.saxutils xml.sax.xmlreader zlib
""".split()  # noqa: SIM905  # a list of 100 quoted names is harder to read

_PARTIAL: Mapping[str, tuple[tuple[str, str], tuple[str, ...]]] = MappingProxyType(
    {
        "_thread": (_THREADS, ("start_joinable_thread", "start_new_thread")),
        "atexit": (("a guest ends without running exit handlers", "the end of the flow"), ()),
        "builtins": (_FILES, ("input", "open")),
        "concurrent": (_THREADS, ()),
        "concurrent.futures": (
            _THREADS,
            ("InterpreterPoolExecutor", "ProcessPoolExecutor", "ThreadPoolExecutor"),
        ),
        "datetime": (_CLOCK, ("date.today", "datetime.now", "datetime.today", "datetime.utcnow")),
        "getpass": (_TERMINAL, ("getpass", "getuser")),
        "gettext": (("the sandbox has no message catalogues", "a Python module of texts"), ()),
        "glob": (_FILES, ("glob", "iglob")),
        "gzip": (_FILES, ("open",)),
        "importlib.metadata": (
            ("the sandbox has only distributions whose METADATA is a data file", "a constant"),
            (),
        ),
        "importlib.resources": (_FILES, ("as_file", "path")),
        "io": (_FILES, ("FileIO", "open", "open_code")),
        "locale": (
            ("the sandbox has the locale C only", "format() and Decimal for numbers"),
            ("setlocale to another locale",),
        ),
        "logging": (
            ("log records go to the log of the virtual node", "logging.getLogger(__name__)"),
            ("FileHandler",),
        ),
        "mimetypes": (("the sandbox has no table of the system", "guess_type of common types"), ()),
        "os": (
            ("the sandbox has no files, processes, users and environment", _FILES[1]),
            (
                "access", "chdir", "chmod", "fork", "getrandom", "kill", "link", "listdir", "lstat",
                "makedirs", "mkdir", "open", "popen", "readlink", "remove", "rename", "replace",
                "rmdir", "scandir", "stat", "symlink", "system", "truncate", "unlink", "urandom",
                "utime", "walk",
            ),
        ),
        "pathlib": (_FILES, tuple(f"Path.{name}" for name in _PATH_METHODS)),
        "posix": (
            ("it is the part of os in C", "os"),
            (
                "access", "chdir", "link", "listdir", "lstat", "mkdir", "open", "readlink",
                "remove", "rename", "replace", "rmdir", "scandir", "stat", "symlink", "truncate",
                "unlink", "urandom", "utime",
            ),
        ),
        "pdb": (_TOOL, ("Pdb", "post_mortem", "run", "runcall", "runeval", "set_trace")),
        "pydoc": (_TOOL, ("getdoc", "help", "locate", "render_doc", "splitdoc")),
        "pkgutil": (_FILES, ("read_code",)),
        "platform": (("it names the sandbox: wasi, wasm32", "sys.version_info"), ()),
        "queue": (_THREADS, ("Queue.get of an empty queue",)),
        "random": (_RANDOM, ("numbers of a Random without a seed", *_RANDOM_FUNCTIONS)),
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
                "disk_usage", "make_archive", "move", "rmtree", "unpack_archive",
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
        "ssl": (_NETWORK, ("SSLContext", "create_default_context", "get_server_certificate")),
        "statistics": (_RANDOM, ("NormalDist.samples without a seed",)),
        "subprocess": (
            _PROCESSES,
            (
                "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput",
                "run",
            ),
        ),
        "sysconfig": (
            ("the sandbox has no installation", "sys.version_info"),
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
        "unittest": (
            _TOOL, ("TestCase", "TestLoader", "TestSuite", "TextTestRunner", "main")
        ),
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
        smtplib urllib.request urllib.robotparser webbrowser wsgiref xmlrpc""",
    ),
    (
        _FILES,
        """filecmp fileinput logging.config logging.handlers mailbox mmap netrc tarfile wave zipapp
        zipimport""",
    ),
    (_NATIVE, "ctypes"),
    ((_NATIVE[0], "zlib"), "bz2 compression.bz2 compression.lzma compression.zstd lzma"),
    (("the runtime has one parser of XML", "xml.etree.ElementTree"), "plistlib xml.dom"),
    (_TERMINAL, "cmd code curses idlelib readline rlcompleter tkinter turtle"),
    (_TERMINAL, "termios tty turtledemo"),
    (
        _TOOL,
        """antigravity bdb compileall doctest ensurepip faulthandler json.tool modulefinder
        pickletools py_compile pyclbr pydoc_data site symtable tabnanny this
        unittest.mock venv""",
    ),
    (("it is internal to the module re", "re"), "sre_compile sre_constants sre_parse"),
    (_OTHER, "fcntl grp msilib msvcrt nt nturl2path pwd resource syslog winreg winsound"),
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

ENCODINGS: tuple[str, ...] = tuple(
    """
ascii base64_codec charmap cp037 cp1026 cp1140 cp1250 cp1251 cp1252 cp1253 cp1254 cp1257 cp273 cp437
cp500 cp850 cp852 cp858 cp866 hex_codec idna iso8859_1 iso8859_15 iso8859_2 iso8859_5 iso8859_7
iso8859_9 koi8_r latin_1 mac_roman punycode raw_unicode_escape rot_13 unicode_escape utf_16
utf_16_be utf_16_le utf_32 utf_32_be utf_32_le utf_7 utf_8 utf_8_sig
""".split()  # noqa: SIM905  # as above
)
"""Modules of `encodings`, which is to say, the encodings that a sandbox knows."""

INTERNAL = frozenset(
    """
_abc _ast _bisect _blake2 _codecs _collections _collections_abc _colorize _contextvars _csv
_datetime _decimal _functools _heapq _hmac _imp _io _json _locale _md5 _opcode _opcode_metadata
_operator _pickle _py_warnings _sha1 _sha2 _sha3 _sre _stat _statistics _string _strptime
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
        return name in INTERNAL or name.removeprefix("encodings.") in ENCODINGS
    return row.importable
