"""Numbers of the system calls that the attacks make, from the kernel's headers."""

import platform

_BOTH = {
    "openat": (257, 56),
    "readlinkat": (267, 78),
    "memfd_create": (319, 279),
    "prlimit64": (302, 261),
    "setrlimit": (160, 164),
    "prctl": (157, 167),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "listen": (50, 201),
    "execve": (59, 221),
    "clone": (56, 220),
    "clone3": (435, 435),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "pidfd_open": (434, 434),
    "setns": (308, 268),
    "unshare": (272, 97),
    "mount": (165, 40),
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "write": (1, 64),
    "getpid": (39, 172),
}
NUMBERS = {name: numbers[platform.machine() == "aarch64"] for name, numbers in _BOTH.items()}
