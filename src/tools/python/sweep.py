"""What a snippet leaves behind: its processes are killed, its files deleted, its disk watched."""
import os
import shutil
import signal
import stat

WORK = "/tmp"


def end_all(pid, status):
    """Kills everything in this namespace but the zygote and waits until it is gone."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass
    while True:
        try:
            done, its = os.waitpid(-1, 0)
        except ChildProcessError:
            break
        if done == pid and status is None:
            status = its
    if status is None:
        return None
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def is_disk_full(limits):
    disk = os.statvfs(WORK)
    written = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    return written > limits["diskBytes"] or disk.f_files - disk.f_ffree > limits["files"]


def make_writable(_function, path, _error):
    parent = os.path.dirname(path)
    for folder in (parent, path):
        if folder != WORK and not os.path.islink(folder):
            os.chmod(folder, 0o700)
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def wipe():
    """Whether the working folder is as it was."""
    try:
        if os.stat(WORK).st_uid == os.getuid():
            os.chmod(WORK, 0o700)
            os.utime(WORK, (0, 0))
        for name in os.listdir(WORK):
            path = os.path.join(WORK, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, onerror=make_writable)
            else:
                os.unlink(path)
        return True
    except (OSError, RecursionError):
        return False
