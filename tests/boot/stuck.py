"""Stops one thread of a process, like a stuck core, while the others run on."""

import contextlib
import ctypes
import os

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17  # <sys/ptrace.h>
WAIT_ALL = 0x40000000  # __WALL: threads, too (waitpid(2))

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long


def _ptrace(request, thread):
    if LIBC.ptrace(request, thread, None, None) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextlib.contextmanager
def held(process):
    """Within this block the main thread of a process, which runs the core, is stopped."""
    _ptrace(PTRACE_SEIZE, process)
    _ptrace(PTRACE_INTERRUPT, process)
    os.waitpid(process, WAIT_ALL)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            _ptrace(PTRACE_DETACH, process)
        # If it was killed meanwhile, its exit is reported to the tracer first.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process, WAIT_ALL | os.WNOHANG)
