"""Ways by which Python code could leave something for a later run of its guest.

Each way is two programs: one leaves a mark, the other sets `found` to what it sees. `APP` is the
module `app` of the guest that runs them; `sdk` in it is the SDK's package.
"""

APP = """
import array
import collections
import contextvars
import dataclasses
import enum
import functools
import itertools
import random
import threading
import types
import weakref

ITEMS = []
TABLE = {"kept": 0}
SET = {"kept"}
BUFFER = bytearray(16)
ARRAY = array.array("q", [0, 0])
VIEW = memoryview(BUFFER)
DEQUE = collections.deque([0], maxlen=4)
ORDERED = collections.OrderedDict(a=1, b=2)
DEFAULTS = collections.defaultdict(int)
COUNTS = collections.Counter()
CHAIN = collections.ChainMap({}, {"kept": 1})
SPACE = types.SimpleNamespace(mark=None)
VARIABLE = contextvars.ContextVar("VARIABLE", default="none")
LOCAL = threading.local()
LOCK = threading.Lock()
RANDOM = random.Random(1)
COUNTER = itertools.count()
ITERATOR = iter(range(100))
CYCLE = itertools.cycle("abc")
ONE, TWO = itertools.tee(range(100))
ERROR = ValueError("kept")
WEAK = weakref.WeakValueDictionary()
SEEN = weakref.WeakSet()


class Thing:
    count = 0
    made = []

    def method(self):
        return "method"

    @functools.cached_property
    def late(self):
        return []

    @functools.singledispatchmethod
    def dispatched(self, value):
        return "object"


class Slotted:
    __slots__ = ("mark", "__weakref__")


class Ending:
    def __del__(self):
        ITEMS.append("ended")


class Meta(type):
    mark = None


class Made(metaclass=Meta):
    pass


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass(frozen=True)
class Frozen:
    mark: object = None


class Base:
    @classmethod
    def children(cls):
        return sorted(c.__name__ for c in cls.__subclasses__())


THING, SLOTTED, FROZEN = Thing(), Slotted(), Frozen()
SLOTTED.mark = None


@functools.cache
def cached(key):
    return []


@functools.lru_cache(maxsize=2)
def recent(key):
    return []


@functools.singledispatch
def dispatched(value):
    return "object"


def with_default(items=[]):
    return items


def make_closure():
    count = 0

    def bump():
        nonlocal count
        count += 1
        return count

    return bump


BUMP = make_closure()


def generate():
    got = None
    while True:
        got = yield got


GENERATOR = generate()
next(GENERATOR)


async def wait():
    ITEMS.append("begun")


COROUTINE = wait()
FRAME = GENERATOR.gi_frame
PARTIAL = functools.partial(dict, a=1)
"""

SDK_FILES = ("contracts", "records", "schema", "registry", "forms")

WAYS: dict[str, tuple[str, str]] = {
    # Names and objects of modules
    "global of a module": ("import app; app.mark = 1", "import app; found = hasattr(app, 'mark')"),
    "global of the guest": (
        "import cordapp.guest as g; g.mark = 1",
        "import cordapp.guest as g; found = hasattr(g, 'mark')",
    ),
    "global of __main__": (
        "import sys; sys.modules['__main__'].mark = 1",
        "import sys; found = hasattr(sys.modules.get('__main__'), 'mark')",
    ),
    "deleted global": ("import app; del app.TABLE", "import app; found = hasattr(app, 'TABLE')"),
    "list": ("import app; app.ITEMS.append(1)", "import app; found = app.ITEMS"),
    "dict": ("import app; app.TABLE['mark'] = 1", "import app; found = app.TABLE"),
    "order of a dict": (
        "import app; app.ORDERED.move_to_end('a')",
        "import app; found = list(app.ORDERED)",
    ),
    "key removed from a dict": (
        "import app; del app.TABLE['kept']",
        "import app; found = app.TABLE",
    ),
    "size of a dict's table": (
        "import app; app.TABLE.update(dict.fromkeys(range(1000))); [app.TABLE.pop(n) for n in range(1000)]",
        "import app, sys; found = sys.getsizeof(app.TABLE)",
    ),
    "set": ("import app; app.SET.add('mark')", "import app; found = sorted(app.SET)"),
    "order of a set": (
        "import app; app.SET.update(map(str, range(100)))",
        "import app; app.SET.update(('a', 'b', 'c', 'd')); found = list(app.SET)",
    ),
    "bytearray": ("import app; app.BUFFER[3] = 1", "import app; found = bytes(app.BUFFER)"),
    "bytearray through a view": (
        "import app; app.VIEW[4] = 1",
        "import app; found = bytes(app.BUFFER)",
    ),
    "length of a bytearray": (
        "import app; app.VIEW.release(); app.BUFFER.extend(b'mark')",
        "import app; found = len(app.BUFFER)",
    ),
    "array": ("import app; app.ARRAY[0] = 7", "import app; found = app.ARRAY.tolist()"),
    "deque": ("import app; app.DEQUE.append(1)", "import app; found = list(app.DEQUE)"),
    "default of a defaultdict": (
        "import app; app.DEFAULTS['mark']",
        "import app; found = dict(app.DEFAULTS)",
    ),
    "counter": ("import app; app.COUNTS['mark'] += 1", "import app; found = dict(app.COUNTS)"),
    "chain of maps": ("import app; app.CHAIN['mark'] = 1", "import app; found = dict(app.CHAIN)"),
    "namespace": ("import app; app.SPACE.mark = 1", "import app; found = app.SPACE.mark"),
    # Classes and functions
    "attribute of a class": (
        "import app; app.Thing.count += 1",
        "import app; found = app.Thing.count",
    ),
    "list of a class": (
        "import app; app.Thing.made.append(1)",
        "import app; found = app.Thing.made",
    ),
    "method of a class": (
        "import app; app.Thing.method = lambda self: 'mark'",
        "import app; found = app.THING.method()",
    ),
    "attribute of an instance": (
        "import app; app.THING.mark = 1",
        "import app; found = vars(app.THING).keys() - {'late'}",
    ),
    "slot": ("import app; app.SLOTTED.mark = 1", "import app; found = app.SLOTTED.mark"),
    "field of a frozen dataclass": (
        "import app; object.__setattr__(app.FROZEN, 'mark', 1)",
        "import app; found = app.FROZEN",
    ),
    "attribute of an enumeration's member": (
        "import app; app.Colour.RED.mark = 1",
        "import app; found = hasattr(app.Colour.RED, 'mark')",
    ),
    "pseudo-member of a flag": (
        "import re; re.RegexFlag(2 | 8 | 16 | 64)",
        "import re; found = len(re.RegexFlag._value2member_map_)",
    ),
    "metaclass": ("import app; app.Meta.mark = 1", "import app; found = app.Made.mark"),
    "class of an instance": (
        "import app; app.THING.__class__ = type('Mark', (app.Thing,), {})",
        "import app; found = type(app.THING).__name__",
    ),
    "bases of a class": (
        "import app; app.Made.__bases__ = (type('Mark', (), {'mark': 7}), )",
        "import app; found = [b.__name__ for b in app.Made.__mro__]",
    ),
    "subclass": (
        "import app; app.KEPT = type('Mark', (app.Base,), {})",
        "import app; found = app.Base.children()",
    ),
    "abstract class's registry": (
        "import collections.abc, app; collections.abc.Sized.register(app.Slotted)",
        "import collections.abc, app; found = isinstance(app.SLOTTED, collections.abc.Sized)",
    ),
    "abstract class's cache": (
        "import abc, app\nclass A(abc.ABC):\n  pass\napp.A = A\nisinstance(1, A)",
        "import abc; found = abc.get_cache_token() if hasattr(abc, 'get_cache_token') else 0; import app; found = hasattr(app, 'A')",
    ),
    "default of a parameter": (
        "import app; app.with_default().append(1)",
        "import app; found = app.with_default()",
    ),
    "replaced defaults": (
        "import app; app.with_default.__defaults__ = ('mark',)",
        "import app; found = app.with_default()",
    ),
    "code of a function": (
        "import app; app.with_default.__code__ = (lambda items=0: 'mark').__code__",
        "import app; found = app.with_default()",
    ),
    "attribute of a function": (
        "import app; app.generate.mark = 1",
        "import app; found = vars(app.generate)",
    ),
    "annotations": (
        "import app; app.generate.__annotations__['mark'] = 1",
        "import app; found = app.generate.__annotations__",
    ),
    "docstring": (
        "import app; app.generate.__doc__ = 'mark'",
        "import app; found = app.generate.__doc__",
    ),
    "cell of a closure": (
        "import app; app.BUMP()",
        "import app; found = app.BUMP.__closure__[0].cell_contents",
    ),
    "partial's keywords": (
        "import app; app.PARTIAL.keywords['mark'] = 1",
        "import app; found = app.PARTIAL()",
    ),
    # Caches
    "functools.cache": ("import app; app.cached(1).append(1)", "import app; found = app.cached(1)"),
    "statistics of functools.cache": (
        "import app; app.cached(2)",
        "import app; found = app.cached.cache_info()",
    ),
    "functools.lru_cache": (
        "import app; app.recent(1).append(1)",
        "import app; found = app.recent(1)",
    ),
    "functools.cached_property": (
        "import app; app.THING.late.append(1)",
        "import app; found = app.THING.late",
    ),
    "functools.singledispatch": (
        "import app; app.dispatched.register(int, lambda value: 'mark')",
        "import app; found = app.dispatched(1)",
    ),
    "cache of regular expressions": (
        "import re; re.compile('mark[0-9]+')",
        "import re; found = any('mark' in str(key) for key in re._cache)",
    ),
    "cache of structures": (
        "import struct; struct.calcsize('<7q3h')\nimport app; app.ITEMS.append(struct.Struct('<q'))",
        "import app; found = len(app.ITEMS)",
    ),
    "cache of codecs": (
        "import codecs, encodings; encodings._cache['mark'] = None",
        "import encodings; found = 'mark' in encodings._cache",
    ),
    "codec that is registered": (
        "import codecs; codecs.register(lambda name: codecs.lookup('utf-8') if name == 'mark' else None); 'x'.encode('mark')",
        "try:\n  found = 'x'.encode('mark')\nexcept LookupError as e:\n  found = str(e)",
    ),
    "error handler of codecs": (
        "import codecs; codecs.register_error('mark', lambda e: ('', e.end))",
        "import codecs\ntry:\n  found = codecs.lookup_error('mark') is None\nexcept LookupError as e:\n  found = str(e)",
    ),
    "default error handler": (
        "import codecs; codecs.register_error('strict', codecs.ignore_errors)",
        "import codecs\ntry:\n  codecs.lookup_error('strict')(UnicodeDecodeError('x', b'x', 0, 1, 'x')); found = 'ignored'\nexcept UnicodeDecodeError:\n  found = 'raised'",
    ),
    "interned string": (
        "import sys, app; app.mark = sys.intern('mark' * 3)",
        "import sys; word = ''.join(['mark'] * 3); found = sys.intern(word) is word",
    ),
    "version tag of a type": (
        "import app\nfor n in range(50):\n  app.Thing.count = n\n  app.THING.count",
        "import app; found = app.THING.count",
    ),
    "cache of typing": (
        "import typing, app; app.ITEMS.append(typing.Optional[app.Thing])",
        "import app; found = len(app.ITEMS)",
    ),
    # Iterators, generators, coroutines
    "generator": (
        "import app; app.GENERATOR.send('mark')",
        "import app; found = app.GENERATOR.gi_frame.f_locals['got']",
    ),
    "generator that is closed": (
        "import app; app.GENERATOR.close()",
        "import app; found = app.GENERATOR.gi_frame is None",
    ),
    "coroutine": (
        "import app\ntry:\n  app.COROUTINE.send(None)\nexcept StopIteration: pass",
        "import app; found = app.COROUTINE.cr_frame is None",
    ),
    "itertools.count": ("import app; next(app.COUNTER)", "import app; found = next(app.COUNTER)"),
    "iterator of a range": (
        "import app; next(app.ITERATOR)",
        "import app; found = next(app.ITERATOR)",
    ),
    "itertools.cycle": ("import app; next(app.CYCLE)", "import app; found = next(app.CYCLE)"),
    "itertools.tee": ("import app; next(app.ONE)", "import app; found = next(app.ONE)"),
    "random state": ("import app; app.RANDOM.random()", "import app; found = app.RANDOM.random()"),
    # References and the collector
    "weak value": (
        "import app; app.kept = app.Thing(); app.WEAK['mark'] = app.kept",
        "import app; found = list(app.WEAK)",
    ),
    "weak set": (
        "import app; app.kept = app.Slotted(); app.SEEN.add(app.kept)",
        "import app; found = len(app.SEEN)",
    ),
    "weak reference's callback": (
        "import app, weakref; app.ref = weakref.ref(app.SLOTTED, lambda r: app.ITEMS.append('gone'))",
        "import app; app.SLOTTED = None; found = app.ITEMS",
    ),
    "finalizer": (
        "import app; app.kept = app.Ending(); del app.kept",
        "import app; found = app.ITEMS",
    ),
    "finalizer of a cycle": (
        "import app; one = app.Ending(); one.self = one; app.kept = one; del one",
        "import app, gc; app.kept = None; gc.collect(); found = app.ITEMS",
    ),
    "weakref.finalize": (
        "import app, weakref; weakref.finalize(app.SLOTTED, app.ITEMS.append, 'gone')",
        "import weakref; found = len(weakref.finalize._registry)",
    ),
    "atexit": (
        "import atexit; atexit.register(print)",
        "import atexit; found = atexit._ncallbacks()",
    ),
    "collector is disabled": ("import gc; gc.disable()", "import gc; found = gc.isenabled()"),
    "collector's thresholds": (
        "import gc; gc.set_threshold(7, 7, 7)",
        "import gc; found = gc.get_threshold()",
    ),
    "collector's callbacks": (
        "import gc; gc.callbacks.append(print)",
        "import gc; found = len(gc.callbacks)",
    ),
    "collector's counts": (
        "import gc; gc.collect(); x = [[] for _ in range(300)]; import app; app.x = x",
        "import gc; found = gc.get_count()",
    ),
    "collector's statistics": ("import gc; gc.collect()", "import gc; found = gc.get_stats()"),
    "collector's frozen objects": (
        "import gc; gc.freeze()",
        "import gc; found = gc.get_freeze_count()",
    ),
    "reference count": (
        "import app; app.refs = [app.ERROR] * 9",
        "import app, sys; found = sys.getrefcount(app.ERROR)",
    ),
    # The interpreter
    "module in sys.modules": (
        "import sys, types; sys.modules['mark'] = types.ModuleType('mark')",
        "import sys; found = 'mark' in sys.modules",
    ),
    "module that is loaded": ("import configparser", "import sys; found = sorted(sys.modules)"),
    "module that is removed": (
        "import sys; sys.modules.pop('app')",
        "import sys; found = 'app' in sys.modules",
    ),
    "finder": (
        "import sys\nclass F:\n  @staticmethod\n  def find_spec(name, path=None, target=None):\n    raise ImportError('mark')\nsys.meta_path.insert(0, F)",
        "import sys; found = len(sys.meta_path)",
    ),
    "path of modules": ("import sys; sys.path.append('mark')", "import sys; found = sys.path"),
    "path hook": (
        "import sys; sys.path_hooks.append(print)",
        "import sys; found = len(sys.path_hooks)",
    ),
    "importer's cache": (
        "import sys; sys.path_importer_cache['mark'] = None",
        "import sys; found = sorted(sys.path_importer_cache)",
    ),
    "builtin": (
        "import builtins; builtins.mark = 1",
        "import builtins; found = hasattr(builtins, 'mark')",
    ),
    "replaced builtin": ("import builtins; builtins.len = lambda x: 7", "found = len([])"),
    "replaced import": (
        "import builtins; old = builtins.__import__; builtins.__import__ = lambda *a, **k: old(*a, **k)",
        "import builtins; found = type(builtins.__import__).__name__",
    ),
    "recursion limit": (
        "import sys; sys.setrecursionlimit(333)",
        "import sys; found = sys.getrecursionlimit()",
    ),
    "switch interval": (
        "import sys; sys.setswitchinterval(0.5)",
        "import sys; found = sys.getswitchinterval()",
    ),
    "trace function": (
        "import sys; sys.settrace(lambda *a: None)",
        "import sys; found = sys.gettrace() is None; sys.settrace(None)",
    ),
    "profile function": (
        "import sys; sys.setprofile(lambda *a: None)",
        "import sys; found = sys.getprofile() is None; sys.setprofile(None)",
    ),
    "exception hook": (
        "import sys; sys.excepthook = print",
        "import sys; found = sys.excepthook is sys.__excepthook__",
    ),
    "display hook": (
        "import sys; sys.displayhook = print",
        "import sys; found = sys.displayhook is sys.__displayhook__",
    ),
    "digits of numbers": (
        "import sys; sys.set_int_max_str_digits(700)",
        "import sys; found = sys.get_int_max_str_digits()",
    ),
    "hooks of async generators": (
        "import sys; sys.set_asyncgen_hooks(firstiter=print)",
        "import sys; found = tuple(sys.get_asyncgen_hooks())",
    ),
    "depth of coroutine origins": (
        "import sys; sys.set_coroutine_origin_tracking_depth(3)",
        "import sys; found = sys.get_coroutine_origin_tracking_depth()",
    ),
    "last exception": (
        "import sys\ntry:\n  1 / 0\nexcept ZeroDivisionError as e:\n  sys.last_value = e",
        "import sys; found = hasattr(sys, 'last_value')",
    ),
    "standard output": ("import sys; sys.stdout = None", "import sys; found = sys.stdout is None"),
    "arguments": (
        "import sys; sys.argv = ['mark']",
        "import sys; found = getattr(sys, 'argv', None)",
    ),
    "environment": ("import os; os.environ['MARK'] = '1'", "import os; found = dict(os.environ)"),
    "context variable": (
        "import app; app.VARIABLE.set('mark')",
        "import app; found = app.VARIABLE.get()",
    ),
    "decimal context": (
        "import decimal; decimal.getcontext().prec = 7",
        "import decimal; found = decimal.Decimal(1) / 3",
    ),
    "flags of the decimal context": (
        "import decimal; decimal.Decimal(1) / 3",
        "import decimal; found = bool(decimal.getcontext().flags[decimal.Inexact])",
    ),
    "default decimal context": (
        "import decimal; decimal.DefaultContext.prec = 9",
        "import decimal; found = decimal.Context().prec",
    ),
    "thread's local": ("import app; app.LOCAL.mark = 1", "import app; found = vars(app.LOCAL)"),
    "lock": ("import app; app.LOCK.acquire()", "import app; found = app.LOCK.locked()"),
    "name of the thread": (
        "import threading; threading.current_thread().name = 'mark'",
        "import threading; found = threading.current_thread().name",
    ),
    "warnings filter": (
        "import warnings; warnings.simplefilter('error')",
        "import warnings; found = [f[:2] for f in warnings.filters]",
    ),
    "warnings registry": (
        "import warnings; warnings.warn_explicit('mark', UserWarning, 'x.py', 1, registry=__import__('app').TABLE)",
        "import app; found = len(app.TABLE)",
    ),
    "warnings once": (
        "import warnings; warnings.onceregistry['mark'] = 1",
        "import warnings; found = len(warnings.onceregistry)",
    ),
    "logger": (
        "import logging; logging.getLogger('mark').setLevel(7)",
        "import logging; found = logging.getLogger('mark').level",
    ),
    "logging level name": (
        "import logging; logging.addLevelName(7, 'MARK')",
        "import logging; found = logging.getLevelName(7)",
    ),
    "exception that is kept": (
        "import app\ntry:\n  raise app.ERROR\nexcept ValueError: pass",
        "import app; found = app.ERROR.__traceback__ is None",
    ),
    "note of an exception": (
        "import app; app.ERROR.add_note('mark')",
        "import app; found = getattr(app.ERROR, '__notes__', [])",
    ),
    "context of an exception": (
        "import app; app.ERROR.__context__ = KeyError('mark')",
        "import app; found = app.ERROR.__context__",
    ),
    "copyreg": (
        "import copyreg, app; copyreg.pickle(app.Thing, print)",
        "import copyreg, app; found = app.Thing in copyreg.dispatch_table",
    ),
    "ids of copyreg": (
        "import copyreg; copyreg.add_extension('mark', 'mark', 7)",
        "import copyreg; found = len(copyreg._extension_registry)",
    ),
    "replaced json": (
        "import json; json.dumps = lambda x: 'mark'",
        "import json; found = json.dumps(1)",
    ),
    "json's default encoder": (
        "import json; json._default_encoder.indent = 7",
        "import json; found = json._default_encoder.indent",
    ),
    "float's representation": (
        "import json.encoder; json.encoder.FLOAT_REPR = repr; json.encoder.INFINITY = 1.0",
        "import json.encoder; found = json.encoder.INFINITY",
    ),
    "constant of math": ("import math; math.pi = 3", "import math; found = math.pi"),
    "attribute of the SDK": (
        "import cordapp.contracts as c; c.mark = 1",
        "import cordapp.contracts as c; found = hasattr(c, 'mark')",
    ),
    "replaced function of the SDK": (
        "import cordapp.schema as s; s.dumps = lambda value: 'mark'",
        "import cordapp.schema as s; found = s.dumps([1])",
    ),
    "registry of the SDK": (
        "import cordapp.registry as r; r.CONTRACTS['mark'] = object",
        "import cordapp.registry as r; found = sorted(r.CONTRACTS)",
    ),
    "class of the SDK": (
        "import cordapp.contracts as c; c.Contract.verify = lambda *a: None",
        "import cordapp.contracts as c; found = c.Contract.verify.__name__",
    ),
    "exception class of the guest": (
        "import cordapp.guest as g; g.Refused = KeyError",
        "import cordapp.guest as g; found = g.Refused.__name__",
    ),
    "names of the exec": ("mark = 1", "found = 'mark' in globals()"),
    # Addresses and the memory's residue
    "address of a new object": (
        "import app; app.kept = [object() for _ in range(777)]",
        "found = id(object())",
    ),
    "addresses that are free": (
        "x = [bytearray(64) for _ in range(999)]; del x[::2]; import app; app.x = x",
        "found = [id(bytearray(64)) for _ in range(9)]; ",
    ),
    "hash of an object": (
        "import app; app.kept = [[] for _ in range(99)]",
        "found = hash(object())",
    ),
    "order of objects by address": (
        "import app; app.kept = [app.Thing() for _ in range(500)]",
        "import app; found = [repr(o) for o in {app.Thing() for _ in range(5)}]",
    ),
    "residue of a large bytearray": (
        "x = bytearray(b'mark' * 100000); del x",
        "x = bytearray(400000); found = bytes(x).count(b'mark'); import app; app.at = id(x); found = found, id(x)",
    ),
    "residue of a resized bytearray": (
        "x = bytearray(b'mark' * 1000); del x[:]; import app; app.x = x",
        "x = bytearray(); x.extend(bytes(4000)); found = bytes(x).count(b'mark'), id(x)",
    ),
    "residue of freed objects": (
        "x = [('mark', n) for n in range(5000)]; import app; app.n = id(x[-1]); del x",
        "found = id([None] * 5000), id(('mark', 1))",
    ),
    "free list of floats": (
        "x = [n + 0.5 for n in range(200)]; del x",
        "found = [id(n + 0.25) for n in range(5)]",
    ),
    "free list of tuples and lists": (
        "x = [[(n,)] for n in range(200)]; import app; app.x = x[::3]; del x",
        "found = id([]), id((id,)), id({})",
    ),
    "free list of frames": (
        "def f(n): return n and f(n - 1)\nimport app; app.x = f(200)",
        "def f(): import sys; return id(sys._getframe())\nfound = f()",
    ),
    "stack of the interpreter": (
        "def f(n, *a): return n and f(n - 1, 'mark', *a)\nf(150)",
        "def f(n, *a): return n and f(n - 1, *a)\nfound = f(150), id(f)",
    ),
    "allocated blocks": (
        "import app; app.kept = [[] for _ in range(999)]",
        "import sys; found = sys.getallocatedblocks() if hasattr(sys, 'getallocatedblocks') else 0; import app; found = hasattr(app, 'kept'), found",
    ),
    "unraisable hook": (
        "import sys; sys.unraisablehook = print",
        "import sys; found = sys.unraisablehook is print",
    ),
    "audit hook": (
        "import sys\nhits = []\nsys.addaudithook(lambda *a: hits.append(1))\nimport app; app.hits = hits",
        "import app, sys; sys.audit('mark'); found = len(getattr(app, 'hits', ()))",
    ),
    "breakpoint hook": (
        "import sys; sys.breakpointhook = print",
        "import sys; found = sys.breakpointhook is print",
    ),
    "locale": ("import locale; locale.mark = 1", "import locale; found = hasattr(locale, 'mark')"),
    "time zone's cache": (
        "import zoneinfo; zoneinfo.ZoneInfo('Europe/Zurich')",
        "import zoneinfo; found = len(zoneinfo.ZoneInfo._weak_cache) if hasattr(zoneinfo.ZoneInfo, '_weak_cache') else id(zoneinfo.ZoneInfo('Europe/Zurich'))",
    ),
}
"""Name -> the program that leaves a mark, and the one that looks."""

HIDDEN = frozenset(
    (
        "cache of structures",
        "time zone's cache",
        "hash of an object",
        "residue of a large bytearray",
        "residue of a resized bytearray",
        "residue of freed objects",
        "free list of floats",
        "free list of frames",
        "stack of the interpreter",
        "names of the exec",
    )
)
"""Ways whose mark need not be seen by the looking program even in the same run."""
