"""What a process may no longer do once model-written code runs in it.

Limits of the kernel (rlimits) and filters of system calls (seccomp), inherited by all that the
code starts. One filter is the zygote's own and refuses what a snippet never needs and what reaches
beyond its process: other namespaces, mounts, tracing, kernel keys, memory that outlives its
process, sockets other than local ones. A small one comes with each snippet and refuses signals to
the zygote. Numbers are those of x86-64 and of arm64; the latter are from the kernel's table and
were never run. Not here: namespaces and files, which are bubblewrap's.
"""
import ctypes
import errno
import mmap
import os
import platform
import resource
import struct

# name: (x86-64, arm64). Refused whatever the arguments are.
REFUSED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "personality": (135, 92),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190),
    "msgget": (68, 186), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "memfd_create": (319, 279), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "sethostname": (170, 161),
    "setdomainname": (171, 162), "quotactl": (179, 60), "acct": (163, 89), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "fanotify_init": (300, 262), "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "setpriority": (141, 140),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "ioprio_set": (251, 30),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None),
}
# Refused by an argument.
CLONE, SOCKET, FCNTL, IOCTL, PRLIMIT = (56, 220), (41, 198), (72, 25), (16, 29), (302, 261)
SIGNALS = ((62, 129), (200, 130), (234, 131), (129, 138), (297, 240))  # kill and its relatives
NEW_NAMESPACES = 0x7E020000
LOCAL_SOCKETS = (1, 2, 10)  # Unix, IPv4, IPv6: the last two see an empty network
OWNER_COMMANDS = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: signals by another way
OWNER_REQUESTS = (0x8901, 0x8902, 0x5412)  # FIOSETOWN, SIOCSPGRP, TIOCSTI
# From here on the numbers are the same everywhere; of these only what a C library or Python uses.
FIRST_COMMON = 424
ALLOWED_COMMON = (436, 437, 439, 441, 449, 451, 452, 453, 454, 455, 456, 462)

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE, UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, MACHINE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("=HBBI", code, if_true, if_false, value & 0xFFFFFFFF)


def verdict_if(code, value, verdict):
    return instruction(code, value, 0, 1) + instruction(RETURN, verdict)


def verdict_unless(value, verdict):
    return instruction(EQUAL, value, 1, 0) + instruction(RETURN, verdict)


def with_argument(number, index, body):
    """`body` judges the lower half of one argument of one system call, then the number is back."""
    body = instruction(LOAD, ARGUMENTS + 8 * index) + body + instruction(RETURN, ALLOW)
    return instruction(EQUAL, number, 0, len(body) // 8) + body


def any_of(values, code=EQUAL):
    return b"".join(verdict_if(code, value, REFUSE) for value in values)


def for_all():
    """The filter of the zygote and all below it, as an array of struct sock_filter."""
    column, machine = MACHINES[platform.machine()]
    program = instruction(LOAD, MACHINE) + instruction(EQUAL, machine, 1, 0)
    program += instruction(RETURN, KILL) + instruction(LOAD, NUMBER)
    if column == 0:
        program += verdict_if(AT_LEAST, 0x40000000, KILL)  # the x32 calls
    program += any_of([it[column] for it in REFUSED.values() if it[column] is not None])
    allowed = b"".join(verdict_if(EQUAL, it, ALLOW) for it in ALLOWED_COMMON)
    common = allowed + instruction(RETURN, UNKNOWN)
    program += instruction(AT_LEAST, FIRST_COMMON, 0, len(common) // 8) + common
    local = b"".join(verdict_if(EQUAL, it, ALLOW) for it in LOCAL_SOCKETS)
    program += with_argument(SOCKET[column], 0, local + instruction(RETURN, REFUSE))
    program += with_argument(CLONE[column], 0, any_of([NEW_NAMESPACES], ANY_BIT))
    program += with_argument(FCNTL[column], 1, any_of(OWNER_COMMANDS))
    program += with_argument(IOCTL[column], 1, any_of(OWNER_REQUESTS))
    program += with_argument(PRLIMIT[column], 0, verdict_unless(0, REFUSE))
    return program + instruction(RETURN, ALLOW)


def for_snippets(protected):
    """No signals to these processes, to the first one, or to all."""
    column, _ = MACHINES[platform.machine()]
    program = instruction(LOAD, NUMBER)
    targets = [-1, 1] + [sign * it for it in protected for sign in (1, -1)]
    for number in SIGNALS:
        program += with_argument(number[column], 0, any_of(targets))
    return program + instruction(RETURN, ALLOW)


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


C = ctypes.CDLL(None, use_errno=True)
SET_DUMPABLE, SET_NO_NEW_PRIVILEGES, SET_SECCOMP = 4, 38, 22


def control(*arguments):
    """prctl; raises OSError."""
    values = [it if isinstance(it, ctypes._Pointer) else ctypes.c_ulong(it) for it in arguments]
    if C.prctl(*values, *[ctypes.c_ulong(0)] * (5 - len(values))) != 0:
        code = ctypes.get_errno()
        raise OSError(code, "prctl %s: %s" % (arguments[0], os.strerror(code)))


def hide_process():
    """Nobody may trace this process or read its memory, nor those that it forks."""
    control(SET_DUMPABLE, 0)


def drop_capabilities():
    """Those that are effective, permitted and inheritable; raises OSError."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if C.capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def install(program):
    control(SET_NO_NEW_PRIVILEGES, 1)
    loaded = Program(len(program) // 8, program)
    control(SET_SECCOMP, 2, ctypes.pointer(loaded))


def address_space():
    """Bytes of address space that this process uses: the smallest limit under which it may grow."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    low, high = 0, 1 << 46
    while high - low > 1 << 20:
        middle = (low + high) // 2
        try:
            resource.setrlimit(resource.RLIMIT_AS, (middle, hard))
            mmap.mmap(-1, 1 << 12).close()
            high = middle
        except (OSError, MemoryError):
            low = middle
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    return high


def confine(program, limits, used):
    """For good. `used`: address space of the zygote, which does not count."""
    seconds = int(limits["timeMs"] / 1000) + 2
    # Of the user in this namespace there are also bubblewrap's first process and the zygote.
    for name, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, limits["diskBytes"]),
        (resource.RLIMIT_NOFILE, limits["openFiles"]),
        (resource.RLIMIT_NPROC, limits["processes"] + 2),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_AS, used + limits["memoryBytes"]),
    ):
        resource.setrlimit(name, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))  # a signal that says why, first
    install(program)
