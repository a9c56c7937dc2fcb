"""The filter in front of every system call of a sandbox, as a classic BPF program put together here.

It refuses what no app, build or browser needs and what most holes in the kernel were found behind: namespaces, mounts,
keyrings, bpf, perf, io_uring, userfaultfd, tracing, and sockets of families that know no network namespace. Calls
younger than this list, and calls in another architecture's numbers, are said not to exist.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

from server.twins.e2b import syscalls

LOAD, JUMP_EQUAL, JUMP_ABOVE, JUMP_SET, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Where they are in `struct seccomp_data`; each argument is eight bytes, and the low four are looked at."""

REFUSED = {
    errno.EPERM: (
        *("add_key", "keyctl", "request_key"),
        *("bpf", "perf_event_open", "userfaultfd", "fanotify_init", "lookup_dcookie"),
        *("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd"),
        *("mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "mount_setattr"),
        *("fsopen", "fsconfig", "fsmount", "fspick", "open_by_handle_at"),
        *("unshare", "setns", "sethostname", "setdomainname"),
        *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"),
        *("swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "vhangup"),
        *("settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "migrate_pages", "move_pages"),
        *("iopl", "ioperm", "modify_ldt", "nfsservctl", "sysfs", "ustat", "uselib", "_sysctl"),
    ),
    # As if the kernel were built without them: programs then do without.
    errno.ENOSYS: (
        *("io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_secret"),
        "clone3",  # its flags lie in memory, where a filter cannot look; libc falls back to `clone`
        *("shmget", "shmat"),  # memory that belongs to no process, so no watch over processes finds it
    ),
    errno.EOPNOTSUPP: ("fallocate",),  # a whole disk in one call, before any watch can look; libc falls back to writing
}

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, NETLINK_ROUTE = 1, 2, 10, 16, 0
CLONE_NEW_ANY = 0x7E020000
TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD = 0x5412, 0x541C, 0x541D, 0x5423
PERSONALITIES = (0, 0xFFFFFFFF)
"""Linux as it is, and asking which one it is."""


@dataclass(frozen=True)
class Rule:
    """Refuse a call by the low half of one argument: one of `refused`, any of the bits `bits`, or none of `only`."""

    call: str
    argument: int
    code: int
    refused: tuple[int, ...] = ()
    bits: int = 0
    only: tuple[int, ...] = ()
    when: tuple[int, int] | None = None
    """Another argument and its value: the rule holds only then."""


RULES = (
    Rule("clone", 0, errno.EPERM, bits=CLONE_NEW_ANY),
    Rule("ioctl", 1, errno.EPERM, refused=(TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD)),
    Rule("personality", 0, errno.EPERM, only=PERSONALITIES),
    Rule("socket", 2, errno.EPROTONOSUPPORT, only=(NETLINK_ROUTE,), when=(0, AF_NETLINK)),
    # Others, AF_VSOCK first of all, go past the network namespace.
    Rule("socket", 0, errno.EAFNOSUPPORT, only=(AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)),
    Rule("socketpair", 0, errno.EAFNOSUPPORT, only=(AF_UNIX,)),
)


def program(machine: str = "") -> bytes:
    """The filter for this machine, as an array of `struct sock_filter`; empty where we know no numbers."""
    machine = machine or platform.machine()
    if machine not in syscalls.AUDIT_ARCH:
        return b""
    known = syscalls.numbers(machine)
    refused = [
        part
        for code, names in REFUSED.items()
        for name in names
        if name in known
        for part in _refuse(known[name], code)
    ]
    looked_at = [part for rule in RULES for part in _rule(rule, known[rule.call])]
    return b"".join(
        [
            _do(LOAD, ARCHITECTURE),
            _do(JUMP_EQUAL, syscalls.AUDIT_ARCH[machine], 1, 0),
            _do(RETURN, ERRNO | errno.ENOSYS),
            _do(LOAD, NUMBER),
            _do(JUMP_ABOVE, syscalls.NEWEST, 0, 1),  # x32's numbers are above it, too
            _do(RETURN, ERRNO | errno.ENOSYS),
            *refused,
            *looked_at,
            _do(RETURN, ALLOW),
        ]
    )


def _refuse(number: int, code: int) -> list[bytes]:
    return [_do(JUMP_EQUAL, number, 0, 1), _do(RETURN, ERRNO | code)]


def _rule(rule: Rule, number: int) -> list[bytes]:
    """Behind the rule the call's number is loaded again for the next."""
    refuse, reload = _do(RETURN, ERRNO | rule.code), _do(LOAD, NUMBER)
    if rule.bits:
        test = [_do(JUMP_SET, rule.bits, 0, 1)]
    elif rule.only:
        beyond = len(rule.only)
        test = [_do(JUMP_EQUAL, value, beyond - index, 0) for index, value in enumerate(rule.only)]
    else:
        last = len(rule.refused) - 1
        test = [
            _do(JUMP_EQUAL, value, last - index, 1 if index == last else 0) for index, value in enumerate(rule.refused)
        ]
    body = [_do(LOAD, ARGUMENTS + 8 * rule.argument), *test, refuse]
    if rule.when is not None:
        argument, value = rule.when
        body = [_do(LOAD, ARGUMENTS + 8 * argument), _do(JUMP_EQUAL, value, 0, len(body)), *body]
    return [_do(JUMP_EQUAL, number, 0, len(body)), *body, reload]


def _do(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, operand)
