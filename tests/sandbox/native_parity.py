"""Expressions that a CorDapp's code evaluates alike in a sandbox and as plain Python."""

# ruff: noqa: F401  # the expressions use what is imported

import concurrent.futures
import glob
import io
import locale
import logging
import os
import pathlib
import queue
import random
import secrets
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path, PurePath
from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

EXPRESSIONS = """
random.random()
random.Random().random()
random.Random(None).randint(1, 6)
random.Random().gauss(0, 1)
random.Random().choice("ab")
random.Random().shuffle([1, 2])
random.Random().getstate()
random.Random().randbytes(2)
[r for r in [random.Random()] if r.seed(3)] or type(random.Random()).__name__
random.Random(7).random()
random.Random("a").sample(range(40), 3)
random.SystemRandom()
random.shuffle([1, 2])
secrets.token_hex(4)
secrets.compare_digest("a", "a")
statistics.NormalDist(0, 1).samples(1)
uuid.uuid4()
str(uuid.uuid5(uuid.NAMESPACE_DNS, "a"))
os.urandom(4)
os.environ.get("HOME")
os.getenv("PATH", "none")
os.listdir(".")
os.system("ls")
list(os.walk("."))
os.path.join("a", "b")
time.time()
time.monotonic()
time.sleep(0)
threading.Thread(target=print).start()
threading.Lock().acquire()
threading.RLock().acquire()
threading.Event().wait()
threading.Event().wait(5)
threading.current_thread().name
queue.Queue().get()
queue.SimpleQueue().get()
queue.Queue().get_nowait()
concurrent.futures.ThreadPoolExecutor()
concurrent.futures.ThreadPoolExecutor.__name__
Path("a").exists()
Path("a").read_text()
Path.cwd()
Path.home()
str(Path("a") / "b.txt")
Path("a/b.txt").with_suffix(".c").name
isinstance(Path("a"), PurePath)
isinstance(Path("a") / "b", Path)
str(pathlib.PurePosixPath("/a/../b"))
pathlib.PureWindowsPath("c:/a").drive
Path("x").glob("*")
glob.glob("*")
open("x")
io.open("x")
shutil.rmtree("x")
tempfile.mkdtemp()
tempfile.TemporaryDirectory()
subprocess.run(["ls"])
subprocess.PIPE
socket.socket()
socket.gethostname()
socket.inet_pton(socket.AF_INET6, "::1")
locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
logging.getLogger("a").getEffectiveLevel()
logging.FileHandler("x")
logging.basicConfig(filename="x")
str(ZoneInfo("Europe/Paris"))
ZoneInfo("No/Zone")
len(available_timezones())
ZoneInfo("../etc/passwd")
ZoneInfo("/etc/localtime")
ZoneInfo("Europe//London")
ZoneInfo("Nowhere")
reset_tzpath()
__import__("asyncio")
__import__("sqlite3.dbapi2")
__import__("logging.handlers", fromlist=["x"])
__import__("http.client")
__import__("tomllib").loads("a = 1")
""".strip().splitlines()


def found() -> list[list[str]]:
    """The answer to each expression, or the type of what it raised."""
    answers = []
    for expression in EXPRESSIONS:
        try:
            answers.append([expression, repr(eval(expression))])
        except Exception as exc:  # noqa: BLE001  # the answer
            answers.append([expression, type(exc).__name__])
    return answers


try:
    from concurrent.futures.thread import ThreadPoolExecutor
except ImportError as exc:
    REFUSED = str(exc)
