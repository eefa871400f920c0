"""Numbers of system calls on the two architectures that the filter knows.

From the kernel's tables `arch/x86/entry/syscalls/syscall_64.tbl` and
`include/uapi/asm-generic/unistd.h`. A number never changes its meaning.
"""

from collections.abc import Mapping
from types import MappingProxyType

ALLOWED: Mapping[str, tuple[int, int | None]] = MappingProxyType(
    {
        "futex": (202, 98),
        "sendto": (44, 206),
        "recvfrom": (45, 207),
        "clock_nanosleep": (230, 115),
        "clock_gettime": (228, 113),
        "munmap": (11, 215),
        "madvise": (28, 233),
        "mremap": (25, 216),
        "brk": (12, 214),
        "recvmsg": (47, 212),
        "poll": (7, None),
        "ppoll": (271, 73),
        "close": (3, 57),
        "nanosleep": (35, 101),
        "gettimeofday": (96, 169),
        "sigaltstack": (131, 132),
        "rt_sigaction": (13, 134),
        "rt_sigprocmask": (14, 135),
        "rt_sigreturn": (15, 139),
        "sched_yield": (24, 124),
        "sched_getaffinity": (204, 123),
        "getrandom": (318, 278),
        "exit": (60, 93),
        "exit_group": (231, 94),
        "getpid": (39, 172),
        "gettid": (186, 178),
        "restart_syscall": (219, 128),
        "rseq": (334, 293),
        "set_robust_list": (273, 99),
        "membarrier": (324, 283),
    }
)
"""What a sealed process may call: name -> (x86_64, aarch64)."""

NOT_EXECUTABLE: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"mmap": (9, 222), "mprotect": (10, 226)}
)
"""Allowed unless the memory would be executable (third argument)."""

OWN_PROCESS: Mapping[str, tuple[int, int]] = MappingProxyType({"tgkill": (234, 131)})
"""Allowed for SIGABRT (third argument) to the process itself (first): what `abort` does."""

STANDARD_ERROR: Mapping[str, tuple[int, int]] = MappingProxyType({"write": (1, 64)})
"""Allowed if the first argument is 2 (redirected to /dev/null): a runtime's final error message."""

PAGE_MAP: Mapping[str, tuple[int, int]] = MappingProxyType({"pread64": (17, 67)})
"""Allowed if the first argument is the descriptor of the process's page map, where it has one."""

FATAL: Mapping[str, tuple[int, int | None]] = MappingProxyType(
    {
        "socket": (41, 198),
        "socketpair": (53, 199),
        "connect": (42, 203),
        "bind": (49, 200),
        "listen": (50, 201),
        "accept": (43, 202),
        "accept4": (288, 242),
        "execve": (59, 221),
        "execveat": (322, 281),
        "fork": (57, None),
        "vfork": (58, None),
        "clone": (56, 220),
        "clone3": (435, 435),
        "ptrace": (101, 117),
        "process_vm_readv": (310, 270),
        "process_vm_writev": (311, 271),
        "kill": (62, 129),
        "tkill": (200, 130),
        "rt_sigqueueinfo": (129, 138),
        "rt_tgsigqueueinfo": (297, 240),
        "pidfd_open": (434, 434),
        "pidfd_send_signal": (424, 424),
        "pidfd_getfd": (438, 438),
        "setrlimit": (160, 164),
        "unshare": (272, 97),
        "setns": (308, 268),
        "mount": (165, 40),
        "umount2": (166, 39),
        "pivot_root": (155, 41),
        "chroot": (161, 51),
        "bpf": (321, 280),
        "perf_event_open": (298, 241),
        "io_uring_setup": (425, 425),
        "io_uring_enter": (426, 426),
        "io_uring_register": (427, 427),
        "userfaultfd": (323, 282),
        "keyctl": (250, 219),
        "add_key": (248, 217),
        "request_key": (249, 218),
        "init_module": (175, 105),
        "finit_module": (313, 273),
        "delete_module": (176, 106),
        "kexec_load": (246, 104),
        "kexec_file_load": (320, 294),
        "open_by_handle_at": (304, 265),
        "setuid": (105, 146),
        "setgid": (106, 144),
        "setresuid": (117, 147),
        "setresgid": (119, 149),
        "capset": (126, 91),
    }
)
"""Calls that no library makes by itself: the process is killed at once, and the host notified.

Calls in no table, such as opening a file, fail with EPERM: libraries try them on their own and
tolerate the failure.
"""
