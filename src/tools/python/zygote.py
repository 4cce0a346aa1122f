"""Forks one process for each snippet, inside of bubblewrap, one snippet at a time.

It is asked over descriptor 0 and answers on 1, in frames: a length of four bytes, then JSON or
text. The text of a snippet, or of tests, is read by the process that was forked for it: the zygote
never holds it, so the next snippet, which starts as a copy of the zygote, can't find it in its
memory. Outputs pass through one buffer that is emptied. What a snippet leaves behind is killed and
deleted after it; where that fails the zygote ends, and the whole sandbox with it.

Not here: the limits (lockdown.py), running code (snippet.py, judge.py).
"""
import gc
import importlib
import json
import os
import resource
import select
import signal
import struct
import sys
import time

import icrl_candidate as candidate
import icrl_judge as judge
import icrl_lockdown as lockdown
import icrl_pipes as pipes
import icrl_snippet as snippet
import icrl_sweep as sweep

ASK, ANSWER = 0, 1
GLANCE = 0.02  # seconds between two looks at the disk
SET_CHILD_SUBREAPER = 36
READY = b"r"
BROKEN = 70  # exit code
# Loads what a module loads when it is first used; each snippet would pay for it again.
FIRST_USE = {
    "sympy": """
from sympy import *
x = symbols("x")
str([diff(x**3), integrate(x**2), solve(x**2 - 1), simplify(sin(x) ** 2 + cos(x) ** 2)])
""",
}


def answer(header, *parts):
    text = json.dumps(header).encode()
    pipes.write_all(ANSWER, struct.pack("<I", len(text)) + text)
    for part in parts:
        pipes.write_all(ANSWER, part)


class Zygote:
    def __init__(self):
        self.program = lockdown.for_snippets([os.getpid()])
        self.used = lockdown.address_space()
        self.alarm, alarm_in = os.pipe()
        os.set_blocking(self.alarm, False)
        os.set_blocking(alarm_in, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(alarm_in, warn_on_full_buffer=False)
        self.sinks = {}

    def preload(self, names):
        """Imports once what a snippet would import each time."""
        fresh = [name for name in names if name not in sys.modules]
        for name in fresh:
            try:
                importlib.import_module(name)
                exec(FIRST_USE.get(name, ""), {})
            except ImportError:
                continue
        if fresh:
            gc.collect()
            gc.freeze()
            self.used = lockdown.address_space()

    def sink(self, name, limit, fd):
        kept = self.sinks.get(name)
        if kept is None or len(kept.buffer) != limit + 1:
            kept = self.sinks[name] = pipes.Sink(limit)
        kept.open(fd)
        return kept

    def fork(self, limits, ready, ends, main, program=None):
        """A confined child that reads its text, says so on `ready`, then is `main` of that text."""
        pid = os.fork()
        if pid != 0:
            return pid
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            reseed()
            lockdown.confine(program or self.program, limits, self.used)
            text = pipes.read_frame(ASK).decode("utf-8", "surrogatepass")
        except BaseException as error:
            os.write(ready, repr(error).encode())
            os._exit(BROKEN)
        try:
            os.write(ready, READY)
            pipes.settle(ends)
            forget()
            main(text)
        finally:
            os._exit(BROKEN)

    def snippet(self, header):
        limits = header["limits"]
        out, out_in = os.pipe()
        report, report_in = os.pipe()
        ends = {1: out_in, 2: out_in, snippet.REPORT: report_in}
        pid = self.fork(limits, report_in, ends, snippet.main)
        pipes.close(out_in, report_in)
        await_ready(report)
        shown = self.sink("out", limits["outputBytes"], out)
        told = self.sink("report", 6 * snippet.MAX_REPORT, report)
        self.finish(pid, [shown, told], limits, time.monotonic() + limits["timeMs"] / 1000)

    def tests(self, header):
        """The judge is forked first: no candidate is a copy of a process that knows the tests."""
        limits = header["limits"]
        call, call_in = os.pipe()
        reply, reply_in = os.pipe()
        verdict, verdict_in = os.pipe()
        ends = {3: verdict_in, 4: call_in, 5: reply}
        judge_main = lambda it: judge.main(it, limits["timeMs"])
        judging = self.fork(limits, verdict_in, ends, judge_main)
        pipes.close(verdict_in, call_in, reply)
        await_ready(verdict)
        ready, ready_in = os.pipe()
        program = lockdown.for_snippets([os.getpid(), judging])
        self.fork(limits, ready_in, {4: call, 5: reply_in}, candidate.main, program)
        pipes.close(call, reply_in, ready_in)
        await_ready(ready)
        pipes.close(ready)
        told = self.sink("verdict", 1 << 16, verdict)
        self.finish(judging, [told], limits, time.monotonic() + limits["timeMs"] / 1000 + 1)

    def finish(self, pid, sinks, limits, deadline):
        outcome, status = self.watch(pid, sinks, limits, deadline)
        status = sweep.end_all(pid, status)
        for sink in sinks:
            sink.drain()
            if outcome == "exit" and sink.is_full:
                outcome = "output"
            pipes.close(sink.fd)
        is_clean = sweep.wipe()
        lengths = [len(sink.view) for sink in sinks]
        header = {"outcome": outcome, "status": status, "lengths": lengths, "last": not is_clean}
        answer(header, *[sink.view for sink in sinks])
        for sink in sinks:
            sink.clear()
        if not is_clean:
            raise pipes.HostGone()

    def watch(self, pid, sinks, limits, deadline):
        """Waits until the process ends or has to be ended: the outcome and its wait status."""
        poll = select.poll()
        for fd in [ASK, self.alarm] + [sink.fd for sink in sinks]:
            poll.register(fd, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return "timeout", None
            for fd, _ in poll.poll(1000 * min(left, GLANCE)):
                if fd == ASK:
                    pipes.read_frame(ASK)  # all that can come now
                    return "cancelled", None
                if fd == self.alarm:
                    pipes.drain(self.alarm)
            for sink in sinks:
                if not sink.pull():
                    pipes.poll_forget(poll, sink.fd)
                if sink.is_full:
                    return "output", None
            done, status = os.waitpid(pid, os.WNOHANG)
            if done == pid:
                is_late = os.WIFSIGNALED(status) and time.monotonic() > deadline
                return "timeout" if is_late else "exit", status
            if sweep.is_disk_full(limits):
                return "disk", None


def await_ready(fd):
    said = os.read(fd, 1)
    if said != READY:
        raise RuntimeError("no process for code: " + (said + os.read(fd, 1000)).decode())


def reseed():
    """A fork inherits the state of random numbers; Python's own is seeded again by itself."""
    generator = sys.modules.get("numpy.random")
    if generator is not None:
        generator.seed()


def forget():
    for name in [it for it in sys.modules if it.startswith("icrl_")]:
        del sys.modules[name]


def become(user):
    """For good."""
    os.chmod(sweep.WORK, 0o777)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def prepare(user, path):
    sys.path[:] = path  # not the working folder, which is the snippets'
    if user is not None:
        become(user)
    lockdown.drop_capabilities()
    try:
        os.setsid()
    except PermissionError:
        pass
    resource.setrlimit(resource.RLIMIT_NOFILE, (pipes.MAX_OPEN, pipes.MAX_OPEN))
    if os.uname().machine not in lockdown.MACHINES:
        raise RuntimeError("no filter of system calls for " + os.uname().machine)
    lockdown.install(lockdown.for_all())
    lockdown.hide_process()
    lockdown.control(SET_CHILD_SUBREAPER, 1)


def serve(settings):
    try:
        prepare(settings["user"], settings["path"])
        zygote = Zygote()
    except Exception as error:
        answer({"problem": "%s: %s" % (type(error).__name__, error)})
        return
    gc.collect()
    gc.freeze()
    answer({"ready": "%d.%d.%d" % sys.version_info[:3]})
    try:
        while True:
            header = json.loads(pipes.read_frame(ASK))
            if header["kind"] == "cancel":
                continue  # came too late
            zygote.preload(header["preload"])
            getattr(zygote, header["kind"])(header)
    except pipes.HostGone:
        pass


def main():
    serve(json.loads(sys.argv[1]))
    os._exit(0)
