"""Attempts on files: the machine's, other sessions', the template's, and the kernel's own."""

from __future__ import annotations

from tests.security.attempts_files import (
    LINK,
    REMOUNT,
    RENAME_CORES,
    SPEAK,
    UNMOUNT,
    into_every_node_modules,
    through_the_file_service,
)
from tests.security.lifting import (
    CAPABILITIES,
    EVERY_NAMESPACE,
    FILTER,
    INNER_USER,
    NO_NEW_PRIVILEGES,
    NOT_ROOT,
    OVERLAY,
    OWN_USER,
    READ_ONLY,
    READ_ONLY_DEV,
    READ_ONLY_ROOT,
    VIEW,
)
from tests.security.probe import Probe, root

SEEN = (VIEW,)
BARE = (EVERY_NAMESPACE, FILTER, OWN_USER)

PROBES = (
    Probe("read a file of the machine that anybody there may read", VIEW, "cat /host@secret_path@", "@secret@"),
    Probe("write a file of the machine that anybody there may", VIEW, "echo >> /host@secret_path@ && echo ESCAPED"),
    Probe("have a second name for a file of the machine among its own", VIEW, LINK, "@secret@"),
    Probe("have the file service follow a link out", VIEW, through_the_file_service, "@secret@"),
    Probe("speak to a socket in the machine's file system", VIEW, SPEAK, "@secret@"),
    Probe("see which sessions there are", VIEW, "ls -d /host@neighbour@ && echo ESCAPED"),
    # Behind the view: were the folders to be seen, they would still be others'.
    Probe("read another session's .env", OWN_USER, "cat /host@neighbour@/app/.env", "@env@", SEEN, root),
    Probe("write to another session's app", OWN_USER, "echo > /host@neighbour@/app/x && echo ESCAPED", "", SEEN, root),
    Probe("write to the template", OWN_USER, "touch /host@modules@/@nonce@ && echo ESCAPED", "", SEEN, root),
    Probe("change a package for every session", OVERLAY, into_every_node_modules, "@nonce@", (OWN_USER,), root),
    Probe("write where the machine's files are bound", READ_ONLY, "echo '#' >> /etc/passwd && echo ESCAPED"),
    Probe("make a read-only mount writable", CAPABILITIES, REMOUNT, "", (FILTER, INNER_USER)),
    Probe("make one writable with capabilities", FILTER, REMOUNT, "", (CAPABILITIES, INNER_USER)),
    Probe("make one of the outer user's writable", INNER_USER, REMOUNT, "", (CAPABILITIES, FILTER)),
    Probe("take a mount away", CAPABILITIES, UNMOUNT, "", (FILTER, INNER_USER)),
    Probe("take a mount away with capabilities", FILTER, UNMOUNT, "", (CAPABILITIES, INNER_USER)),
    Probe("fill memory through the root folder", READ_ONLY_ROOT, "head -c 1M /dev/zero > /full && echo ESCAPED"),
    Probe("fill memory through /dev", READ_ONLY_DEV, "head -c 1M /dev/zero > /dev/filled && echo ESCAPED"),
    Probe("name the program the kernel runs for a core dump", NOT_ROOT, RENAME_CORES, "", SEEN, root),
    Probe("write into the kernel's log", NOT_ROOT, "echo mk0r > /host/dev/kmsg && echo ESCAPED", "", SEEN, root),
    Probe("read the disk as it is", NOT_ROOT, "head -c 9 /host@block@ >/dev/null && echo ESCAPED", "", SEEN, root),
    Probe("read root's own files", NOT_ROOT, "cat /host/etc/shadow", "root:", SEEN, root),
    Probe("become root by a program that makes one root", NO_NEW_PRIVILEGES, "@setuid@", "euid=0", BARE, root),
)
