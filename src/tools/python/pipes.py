"""The zygote's pipes: frames in, bytes out, outputs into buffers that are emptied, descriptors in
order.
"""
import fcntl
import os
import struct

MAX_OPEN = 256


class HostGone(Exception):
    pass


def read_exactly(fd, count):
    parts = []
    while count > 0:
        part = os.read(fd, min(count, 1 << 16))
        if not part:
            raise HostGone()
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def read_frame(fd):
    return read_exactly(fd, struct.unpack("<I", read_exactly(fd, 4))[0])


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class Sink:
    """What came through one pipe, in a buffer that is used again."""

    def __init__(self, limit):
        self.buffer = bytearray(limit + 1)
        self.clear()

    def clear(self):
        self.buffer[:] = bytes(len(self.buffer))
        self.length, self.fd = 0, None

    def open(self, fd):
        os.set_blocking(fd, False)
        self.fd = fd

    @property
    def is_full(self):
        return self.length == len(self.buffer)

    def pull(self):
        """Reads what is there; False where there will be no more."""
        if self.is_full:
            return True
        try:
            count = os.readv(self.fd, [memoryview(self.buffer)[self.length :]])
        except BlockingIOError:
            return True
        self.length += count
        return count > 0

    def drain(self):
        before = -1
        while self.length > before and not self.is_full:
            before = self.length
            self.pull()

    @property
    def view(self):
        return memoryview(self.buffer)[: min(self.length, len(self.buffer) - 1)]


def settle(sources):
    """Exactly these descriptors stay open: {as: now}; the standard ones lead nowhere by default."""
    nowhere = os.open("/dev/null", os.O_RDWR)
    wanted = {0: nowhere, 1: nowhere, 2: nowhere, **sources}
    apart = {to: fcntl.fcntl(fd, fcntl.F_DUPFD, 32) for to, fd in wanted.items()}
    for to, fd in apart.items():
        os.dup2(fd, to)
    os.closerange(max(wanted) + 1, MAX_OPEN)


def close(*fds):
    for fd in fds:
        os.close(fd)


def drain(fd):
    try:
        while os.read(fd, 512):
            pass
    except BlockingIOError:
        pass


def poll_forget(poll, fd):
    try:
        poll.unregister(fd)
    except KeyError:
        pass
