"""Makes an image: the runtime's loader runs once over the sources, in a process of its own.

The process gets the runtime's files and the sources, and leaves the memory in a file that has no
name; it has no right but to compute (`sandbox.images.loading_process`). Its memory is hashed here.
"""

import base64
import json
import mmap
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, BinaryIO

from sandbox.errors import LoadFailedError
from sandbox.images.format import encode
from sandbox.images.header import BLOCK_BYTES, SIZE_MAX, Header, header_of
from sandbox.images.image import unnamed_file
from sandbox.images.loading_process import OUTPUT_BYTES, REPORT_AT
from sandbox.images.runtimes import RuntimeFiles, content_of
from sandbox.jail import ended_by_cpu_time, jail_environment
from sandbox.limits import MIB
from sandbox.python_source import PythonSource

PROCESS_SECONDS = 120
"""Wall-clock time; CPU time is limited below."""
CPU_SECONDS = 90
PROCESS_LIMITS: Mapping[int, int] = MappingProxyType(
    {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_DATA: 1024 * MIB,
        resource.RLIMIT_FSIZE: SIZE_MAX,
        resource.RLIMIT_NOFILE: 64,
    }
)
"""Limits of the process; those of the guest in it are in `loading_process`."""
MODULE = "sandbox.images.loading_process"
_REPORT_CHARACTERS_MAX = 8_000
_SDK = "cordapp/"


@dataclass(frozen=True, slots=True)
class MadeImage:
    """A new image.

    Attributes:
        header: of the image.
        memory: all of it.
        file: the bytes of its file.
    """

    header: Header
    memory: bytes
    file: bytes


def make_image(source: PythonSource, files: RuntimeFiles) -> MadeImage:
    """Load the sources into an instance of a runtime, and take its memory.

    Raises:
        LoadFailedError: the sources raise, trap, call the host or reach a limit while they are
            loaded; the message names file, line and exception if they raised.
    """
    with unnamed_file("cordbox-loading") as output:
        output.truncate(OUTPUT_BYTES)
        _load(source, files, output)
        with mmap.mmap(output.fileno(), OUTPUT_BYTES, prot=mmap.PROT_READ) as told:
            memory = _memory(told)
    header = header_of(files.digest, source.digest, memory)
    return MadeImage(header, memory, encode(header, memory, content_of(files.initial)))


def _load(source: PythonSource, files: RuntimeFiles, output: BinaryIO) -> None:
    """Let the process fill the file `output`.

    Raises:
        LoadFailedError: it reached a limit of the process.
    """
    numbers = [files.code.fileno(), files.initial.fileno(), output.fileno()]
    returncode = _run(numbers, base64.b64encode(source.packed()))
    if ended_by_cpu_time(returncode):
        seconds = PROCESS_LIMITS[resource.RLIMIT_CPU]
        raise LoadFailedError(f"loading the sources needs more than {seconds} s of CPU time")
    if returncode != 0:
        raise LoadFailedError(
            f"the sources cannot be loaded: the process ended with code {returncode}"
        )


def _memory(told: mmap.mmap) -> bytes:
    """The memory that the process left, if the loader had no failure to report.

    Raises:
        LoadFailedError: it had, or a limit was reached, or the code trapped.
    """
    size = int.from_bytes(told[REPORT_AT : REPORT_AT + 4], "little")
    try:
        report: Any = json.loads(told[REPORT_AT + 4 : REPORT_AT + 4 + size])
        answer, error, memory = str(report["answer"]), report["error"], int(report["size"])
    except (ValueError, LookupError, TypeError, RecursionError):
        raise LoadFailedError("the runtime's loader gave no answer") from None
    if error is not None:
        raise LoadFailedError(f"the sources cannot be loaded: {error}")
    if answer:
        raise _failure(answer)
    if not 0 < memory <= SIZE_MAX or memory % BLOCK_BYTES:
        raise LoadFailedError("the runtime's loader gave no answer")
    return told[:memory]


def _run(numbers: list[int], text: bytes) -> int:
    """Run the process to its end, within its limits; returns its exit code.

    Raises:
        LoadFailedError: it took too long.
    """
    words = [sys.executable, "-P", "-m", MODULE, *map(str, numbers)]
    with subprocess.Popen(
        words,
        env=jail_environment(),
        cwd="/",
        stdin=subprocess.PIPE,
        # Nothing is written there: its end tells when the process ends, which `wait` asks for
        # again and again, at last every 50 ms.
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=numbers,
        start_new_session=True,
    ) as process:
        try:
            for limit, value in PROCESS_LIMITS.items():
                # At a hard limit of CPU time the kernel kills without any message.
                hard = value + (limit == resource.RLIMIT_CPU)
                resource.prlimit(process.pid, limit, (value, hard))
            process.communicate(text, timeout=PROCESS_SECONDS)
        except subprocess.TimeoutExpired as exc:
            process.kill()
            raise LoadFailedError(
                f"loading the sources took longer than {PROCESS_SECONDS} seconds"
            ) from exc
        except BaseException:
            process.kill()
            raise
    return process.returncode


def _failure(answer: str) -> LoadFailedError:
    """The loader's report as an error that names file, line and exception.

    The place is the CorDapp's: what the SDK refuses is wrong where the CorDapp calls it.

    The sources have run by then, so the report cannot be trusted to have any shape.
    """
    try:
        report = json.loads(base64.b64decode(answer))
        own = [frame for frame in report["trace"] if not frame["file"].startswith(_SDK)]
        place = f"{own[-1]['file']}:{own[-1]['line']}: " if own else ""
        text = f"{place}{report['type']}: {report['message']}"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        text = "the sources left no report of their failure"
    # A lone surrogate, which JSON can spell, becomes U+FFFD: the message could not be encoded.
    whole = text[:_REPORT_CHARACTERS_MAX].encode("utf-16", "surrogatepass")
    return LoadFailedError(whole.decode("utf-16", "replace"))
