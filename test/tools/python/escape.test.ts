// Attempts to get out of the sandbox, to harm it or what comes after. After each the sandbox works.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { PythonSandbox } from "../../../src/tools/python/sandbox.ts";
import { HASTY, PATIENT, say, type Said, whyNoSandbox } from "../../helpers/python-sandbox.ts";

setDefaultTimeout(120_000); // for a busy machine

const reason = await whyNoSandbox();
const SECRET = `secret-${crypto.randomUUID()}`;

/** Runs each line of a table of attempts and prints what each came to. */
const ATTEMPTS = `
def attempt(name, action):
    try:
        print(name, "->", action())
    except BaseException as error:
        print(name, "->", type(error).__name__)
`;
/** System calls by number; what comes back is an error's name, or "done". */
const SYSCALLS = `
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
def syscall(x86, arm, *args):
    number = x86 if platform.machine() == "x86_64" else arm
    result = libc.syscall(number, *[ctypes.c_long(it) for it in args])
    return "done" if result >= 0 else errno.errorcode[ctypes.get_errno()]
`;

describe.skipIf(reason !== undefined)(`the sandbox${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let sandbox: PythonSandbox;
  beforeAll(async () => {
    process.env["ICRL_TEST_SECRET"] = SECRET;
    sandbox = await PythonSandbox.open({ workers: 1, limits: PATIENT });
  });
  afterEach(async () => {
    expect(await say(sandbox, "1 + 1")).toEqual({ text: "2", executionFailed: false });
  });
  afterAll(async () => {
    delete process.env["ICRL_TEST_SECRET"];
    await sandbox[Symbol.asyncDispose]();
  });
  const run = (code: string, less = {}): Promise<Said> => say(sandbox, code, less);
  const lines = async (code: string, less = {}): Promise<string[]> =>
    (await run(code, less)).text.split("\n");

  describe("files", () => {
    test("of the host can't be read", async () => {
      const folder = mkdtempSync(join(tmpdir(), "icrl-"));
      writeFileSync(join(folder, "secret"), SECRET);
      const known =
        "/etc/passwd /etc/shadow /etc/hostname /etc/resolv.conf /root/.profile /srv /home /sys /proc " +
        "/run /var /usr/bin/env /bin/sh /dev/vda /dev/kmsg /dev/mem /dev/tty /dev/ptmx /dev/fd/0";
      const own = [join(folder, "secret"), import.meta.path, join(homedir(), ".bashrc")];
      const places = [...known.split(" "), ...own];
      const code = `import os\nfor path in ${JSON.stringify(places)}: print(path, os.path.lexists(path))`;
      expect(await lines(code)).toEqual(places.map((path) => `${path} False`));
      rmSync(folder, { recursive: true });
    });
    test("that can be seen are Python's own", async () => {
      const code = `
import os, sys
own, seen = sys.path[1:] + [os.path.realpath(sys.executable)], []
for folder, folders, names in os.walk("/"):
    folders[:] = [it for it in folders if os.path.join(folder, it) not in own]
    seen += [os.path.join(folder, it) for it in names]
print([it for it in seen if it not in own and ".so" not in it])`;
      const devices = ["null", "zero", "random", "urandom"].map((it) => `'/dev/${it}'`);
      const { text } = await run(code);
      const others = text.slice(1, -1).split(", ");
      expect(others.toSorted()).toEqual(devices.toSorted());
    });
    test("can't be written outside of the working folder", async () => {
      const code = `${ATTEMPTS}
import os, sys
places = ["/x", "/dev/x", "/root/x", "/etc/x", "/usr/x", "/lib/x", sys.path[1] + "/x.py", "/dev/shm/../x"]
for place in places + [os.__file__, os.path.realpath(sys.executable)]:
    attempt(place, lambda: open(place, "ab").write(b"x"))
attempt("unlink", lambda: os.unlink(os.__file__))
attempt("rename", lambda: os.rename("/tmp", "/x"))
attempt("chmod", lambda: os.chmod(os.__file__, 0o777))`;
      for (const line of await lines(code)) {
        expect(line).toMatch(/-> (PermissionError|FileNotFoundError|OSError|NotADirectoryError)$/);
      }
    });
    test("of the host are not reached through links", async () => {
      const code = `${ATTEMPTS}
import os
os.symlink("/etc/passwd", "soft"); os.symlink("../../../../../../etc", "up")
attempt("soft", lambda: open("soft").read())
attempt("up", lambda: os.listdir("up"))
attempt("hard", lambda: os.link(os.__file__, "hard"))
attempt("dotdot", lambda: open("/tmp/../etc/passwd").read())`;
      expect(await lines(code)).toEqual([
        "soft -> FileNotFoundError",
        "up -> FileNotFoundError",
        "hard -> OSError",
        "dotdot -> FileNotFoundError",
      ]);
    });
    test("of a snippet are gone for the next, whatever it made of them", async () => {
      await run(`
import os
os.makedirs("a/b/c"); open("a/b/c/d", "w").write("x"); open("/dev/shm/shared", "w").write("x")
os.symlink("/tmp", "loop"); os.mkfifo("fifo"); os.chmod("a/b/c", 0); os.chmod("a", 0)
os.chmod("/tmp", 0o777) if os.stat("/tmp").st_uid == os.getuid() else None
open(b"\\xff\\n", "w")
import socket; socket.socket(socket.AF_UNIX).bind("socket")`);
      expect((await run("import os\nos.listdir('/tmp'), os.listdir('/dev/shm')")).text).toBe(
        "([], [])",
      );
    });
    test("in a thousand nested folders are gone too", async () => {
      await run(`
import os
for _ in range(1500):
    os.mkdir("d"); os.chdir("d")`);
      expect((await run("import os\nos.listdir('/tmp')")).text).toBe("[]");
    });
  });

  describe("the network", () => {
    test("is empty: no server of this host, no other host, no names", async () => {
      using server = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: () => new Response(SECRET),
      });
      const code = `${ATTEMPTS}
import socket, urllib.request
attempt("local", lambda: urllib.request.urlopen("http://127.0.0.1:${server.port}", timeout=5).read())
attempt("far", lambda: socket.create_connection(("192.0.2.1", 80), timeout=5))
attempt("names", lambda: socket.getaddrinfo("example.org", 80))
attempt("interfaces", lambda: [name for _, name in socket.if_nameindex()])`;
      const [local, far, names, interfaces] = await lines(code);
      expect(local).toBe("local -> URLError");
      expect(far).toBe("far -> OSError");
      expect(names).toBe("names -> gaierror");
      expect(interfaces).toMatch(/-> (\['lo'\]|OSError|PermissionError)$/);
    });
    test("has no sockets of other families, which a network namespace does not hold", async () => {
      const families = { NETLINK: 16, PACKET: 17, VSOCK: 40, ALG: 38, BLUETOOTH: 31, XDP: 44 };
      const code = `${ATTEMPTS}
import socket
for name, number in ${JSON.stringify(families)}.items():
    attempt(name, lambda: socket.socket(number, socket.SOCK_DGRAM))
attempt("RAW", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))`;
      const names = [...Object.keys(families), "RAW"];
      expect(await lines(code)).toEqual(names.map((name) => `${name} -> PermissionError`));
    });
  });

  describe("other processes", () => {
    test("are not to be seen: there is no /proc, and none can be mounted", async () => {
      const code = `${ATTEMPTS}${SYSCALLS}
for path in ("/proc/1/environ", "/proc/self/exe", "/proc/self/mem", "/proc/self/fd/0"):
    attempt(path, lambda: open(path, "rb").read())
attempt("mkdir", lambda: os.mkdir("p"))
attempt("mount", lambda: syscall(165, 40, 0, 0, 0, 0, 0))`;
      const found = await lines(code);
      expect(found.slice(0, 4).every((line) => line.endsWith("FileNotFoundError"))).toBe(true);
      expect(found.slice(4)).toEqual(["mkdir -> None", "mount -> EPERM"]);
    });
    test("get no signals", async () => {
      const code = `${ATTEMPTS}${SYSCALLS}
import fcntl, signal
zygote = os.getppid()
attempt("all", lambda: os.kill(-1, 9))
attempt("first", lambda: os.kill(1, 9))
attempt("parent", lambda: os.kill(zygote, 9))
attempt("its group", lambda: os.killpg(zygote, 9))
attempt("tkill", lambda: syscall(200, 130, zygote, 9))
attempt("tgkill", lambda: syscall(234, 131, zygote, zygote, 9))
attempt("sigqueue", lambda: syscall(129, 138, zygote, 9, 0))
attempt("pidfd", lambda: syscall(434, 434, zygote, 0))
attempt("pidfd_send_signal", lambda: syscall(424, 424, 0, 9, 0, 0))
read, write = os.pipe()
attempt("owner", lambda: fcntl.fcntl(read, fcntl.F_SETOWN, zygote))
attempt("prlimit", lambda: syscall(302, 261, zygote, 0, 0, 0))
attempt("setpriority", lambda: os.setpriority(os.PRIO_PROCESS, zygote, 19))
attempt("affinity", lambda: os.sched_setaffinity(zygote, [0]))`;
      expect(await lines(code)).toEqual([
        ...["all", "first", "parent", "its group"].map((name) => `${name} -> PermissionError`),
        ...["tkill", "tgkill", "sigqueue"].map((name) => `${name} -> EPERM`),
        ...["pidfd", "pidfd_send_signal"].map((name) => `${name} -> ENOSYS`),
        "owner -> PermissionError",
        "prlimit -> EPERM",
        "setpriority -> PermissionError",
        "affinity -> PermissionError",
      ]);
    });
    test("of a snippet end with it, daemons included", async () => {
      const { text } = await run(`
import os, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        os.write(write, str(os.getpid()).encode())
        while True: time.sleep(0.01); open("/tmp/alive", "w")
    os._exit(0)
print(os.read(read, 20).decode())`);
      const code = `${ATTEMPTS}
import os, time
time.sleep(0.1)
attempt("daemon", lambda: os.kill(${Number(text)}, 0))
print(os.path.exists("/tmp/alive"))`;
      expect(await lines(code)).toEqual(["daemon -> ProcessLookupError", "False"]);
    });
    test("are few: a fork bomb comes to its limit", async () => {
      const { text } = await run(`
import os, time
count = 0
while True:
    try:
        if os.fork() == 0: time.sleep(60)
    except BlockingIOError: break
    count += 1
count`);
      expect(Number(text)).toBeGreaterThan(4);
      expect(Number(text)).toBeLessThanOrEqual(PATIENT.processes);
    });
    test("of a fork bomb that goes on are killed", async () => {
      const code = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass";
      expect((await run(code, HASTY)).text).toBe("TimeoutError: stopped after 0.7 seconds");
    });
    test("can't be traced or read", async () => {
      const code = `${ATTEMPTS}${SYSCALLS}
zygote = os.getppid()
attempt("attach", lambda: syscall(101, 117, 16, zygote, 0, 0))
attempt("seize", lambda: syscall(101, 117, 0x4206, zygote, 0, 0))
attempt("read", lambda: syscall(310, 270, zygote, 0, 0, 0, 0, 0))
attempt("write", lambda: syscall(311, 271, zygote, 0, 0, 0, 0, 0))
attempt("getfd", lambda: syscall(438, 438, 0, 0, 0))`;
      const found = await lines(code);
      expect(found.slice(0, 4).every((line) => line.endsWith("EPERM"))).toBe(true);
      expect(found[4]).toBe("getfd -> ENOSYS");
    });
  });

  describe("privileges", () => {
    test("are none: no capabilities, no other user, nothing that is setuid", async () => {
      const code = `${ATTEMPTS}${SYSCALLS}
header = (ctypes.c_uint32 * 2)(0x20080522, 0); data = (ctypes.c_uint32 * 6)()
libc.capget(header, data); print(list(data))
attempt("setuid", lambda: os.setuid(0))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("chown", lambda: (open("f", "w").close(), os.chown("f", 0, 0)))
print(os.getuid() == os.geteuid(), libc.prctl(39, 0, 0, 0, 0))`;
      const [capabilities, ...others] = await lines(code);
      expect(capabilities).toBe("[0, 0, 0, 0, 0, 0]");
      for (const line of others.slice(0, 3)) expect(line).toMatch(/-> (PermissionError|OSError)$/);
      expect(others[3]).toBe("True 1");
    });
    test("can't be had by new namespaces, mounts and other calls", async () => {
      const calls: Readonly<Record<string, readonly number[]>> = {
        unshare: [272, 97, 0x10000000],
        "unshare all": [272, 97, 0x7e020000],
        "clone newuser": [56, 220, 0x10000011, 0, 0, 0, 0],
        setns: [308, 268, 0, 0],
        chroot: [161, 51, 0],
        pivot_root: [155, 41, 0, 0],
        umount: [166, 39, 0, 0],
        keyctl: [250, 219, 0, 0],
        bpf: [321, 280, 0, 0, 0],
        perf: [298, 241, 0, 0, 0, 0, 0],
        userfaultfd: [323, 282, 0],
        module: [175, 105, 0, 0, 0],
        handle: [304, 265, 0, 0, 0],
        memfd: [319, 279, 0, 0],
        shmget: [29, 194, 0, 4096, 0o1600],
        personality: [135, 92, 0x0040000],
        reboot: [169, 142, 0, 0, 0, 0],
      };
      const code = `${ATTEMPTS}${SYSCALLS}
for name, call in ${JSON.stringify(calls)}.items(): attempt(name, lambda: syscall(*call))
attempt("clone3", lambda: syscall(435, 435, 0, 0))
attempt("io_uring", lambda: syscall(425, 425, 1, 0))
attempt("open_tree", lambda: syscall(428, 428, 0, 0, 0))`;
      expect(await lines(code)).toEqual([
        ...Object.keys(calls).map((name) => `${name} -> EPERM`),
        ...["clone3", "io_uring", "open_tree"].map((name) => `${name} -> ENOSYS`),
      ]);
    });
    test("of the host's environment are not there", async () => {
      const { text } = await run("import os\nprint(dict(os.environ), os.getcwd(), os.uname())");
      expect(text).not.toContain(SECRET);
      expect(text).not.toContain("ICRL");
      expect(text).not.toContain(readFileSync("/proc/sys/kernel/hostname", "utf8").trim());
    });
  });

  describe("what a snippet uses", () => {
    const LIMITED: readonly (readonly [string, string, RegExp])[] = [
      ["memory at once", "bytearray(8 * 2**30)", /\nMemoryError$/],
      ["memory by and by", "x = []\nwhile True: x.append(' ' * 10**6)", /MemoryError|signal 9/],
      ["shared memory", "import mmap\nmmap.mmap(-1, 2**31)", /OSError|MemoryError/],
      ["one large file", "f = open('f', 'wb')\nwhile True: f.write(bytes(2**20))", /OSError/],
      [
        "thousands of files",
        "i = 0\nwhile True: open(str(i), 'w'); i += 1",
        /OSError: stopped after wr/,
      ],
      ["thousands of folders", "import os\nfor i in range(10**6): os.mkdir(str(i))", /OSError/],
      ["open files", "x = [open('/dev/null') for _ in range(300)]", /OSError.*Too many open files/],
      ["recursion", "def f(): f()\nf()", /RecursionError/],
      ["a bad address", "import ctypes\nctypes.string_at(0)", /^Error: killed by signal 11/],
      ["abort", "import os\nos.abort()", /^Error: killed by signal 6/],
    ];
    for (const [name, code, expected] of LIMITED) {
      test(`is limited: ${name}`, async () => {
        const said = await run(code);
        expect(said.text).toMatch(expected);
        expect(said.executionFailed).toBe(true);
      });
    }
    test("is limited: threads", async () => {
      const code = `
import threading, time
count = 0
try:
    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        count += 1
except RuntimeError: pass
count`;
      expect(Number((await run(code)).text)).toBeLessThanOrEqual(PATIENT.processes);
    });
    const ENDLESS: readonly (readonly [string, string])[] = [
      ["a loop", "while True: pass"],
      [
        "a loop that catches everything",
        "while True:\n  try:\n    while True: pass\n  except: pass",
      ],
      [
        "a sleep deaf to signals",
        "import signal,time\nsignal.pthread_sigmask(0, range(1, 64))\ntime.sleep(9)",
      ],
      ["a regular expression", "import re\nre.match('(a+)+$', 'a' * 40 + 'b')"],
      ["a power", "x = 9 ** (9 ** 9)"],
      [
        "a thread",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
      ],
      ["an exit handler", "import atexit, time\natexit.register(time.sleep, 60)"],
      [
        "an error without end",
        "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E",
      ],
    ];
    for (const [name, code] of ENDLESS) {
      test(`is stopped in time: ${name}`, async () => {
        const said = await run(code, HASTY);
        expect(said).toEqual({
          text: "TimeoutError: stopped after 0.7 seconds",
          executionFailed: true,
        });
      });
    }
    test("is stopped in time or by its own fault: all of the stack", async () => {
      const code = "import sys\nsys.setrecursionlimit(10**9)\nf = lambda: [f() for _ in [0]]\nf()";
      expect((await run(code, HASTY)).executionFailed).toBe(true);
    });
    const TALKATIVE: readonly (readonly [string, string])[] = [
      ["lines", "while True: print('x' * 100)"],
      ["one line", "import sys\nwhile True: sys.stdout.write('x')"],
      ["errors", "import sys\nwhile True: sys.stderr.write('x' * 100)"],
      ["a descriptor", "import os\nwhile True: os.write(1, b'x' * 5000)"],
      ["children", "import os\nos.fork(); os.fork()\nwhile True: print('x' * 100)"],
    ];
    for (const [name, code] of TALKATIVE) {
      test(`is cut and stopped where it prints without end: ${name}`, async () => {
        const said = await run(code);
        expect(said.text).toEndWith("\n... (output cut after 16384 bytes, stopped)");
        expect(said.text.length).toBeLessThan(17_000);
        expect(said.executionFailed).toBe(true);
      });
    }
  });

  describe("the pipes of the zygote", () => {
    test("are not among a snippet's descriptors, so answers can't be forged", async () => {
      const code = `
import json, os, struct
text = json.dumps({"outcome": "exit", "status": 0, "lengths": [6, 0], "last": False}).encode()
for fd in range(256):
    if fd not in (1, 2):
        try: os.write(fd, struct.pack("<I", len(text)) + text + b"forged")
        except OSError: pass
print("honest")`;
      expect((await run(code)).text).toBe("honest");
      const open = `
import os
def is_open(fd):
    try: return os.fstat(fd) is not None
    except OSError: return False
[fd for fd in range(1024) if is_open(fd)]`;
      expect((await run(open)).text).toBe("[0, 1, 2, 3]"); // nothing, output twice, its report
    });
    test("survive a snippet that closes all it has", async () => {
      expect((await run("import os\nos.closerange(0, 256)")).text).toBeString();
      expect(
        (await run("import os, sys\nsys.stdout.close(); os.close(2); os.close(3)")).text,
      ).toBeString();
      expect((await run("import sys\nsys.stdout = None\n7")).text).toBe("7");
    });
    test("do not lead to a frame of the zygote's that knows more", async () => {
      const { text } = await run(`
import sys
frame, names = sys._getframe(), set()
while frame: names |= set(frame.f_locals); frame = frame.f_back
print("code" in names, any("icrl" in it for it in sys.modules))`);
      expect(text).toBe("True False");
    });
  });

  describe("the memory of a snippet", () => {
    /** Looks for tokens in all memory near any object, and in the heap. */
    const SCAN = `
import ctypes, gc, os, re
libc = ctypes.CDLL(None)
libc.sbrk.restype = ctypes.c_void_p; libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
read, write = os.pipe()
top, size = libc.sbrk(0), 1 << 20
blocks = {id(it) // size for it in gc.get_objects()} | {id(it) // size for it in map(str, range(9))}
blocks |= {top // size - it for it in range(64)}
found = set()
for block in {it + d for it in blocks for d in (-1, 0, 1)}:
    data = bytearray()
    for page in range(block * size, (block + 1) * size, 4096):
        if libc.write(write, page, 4096) == 4096: data += os.read(read, 4096)
    found |= set(re.findall(rb"token-[0-9a-f]{32}", data))
print(sorted(it.decode() for it in found))`;
    test("is not in that of the next: neither its text nor its output", async () => {
      const [one, two] = ["ab", "cd"].map((it) => `token-${it.repeat(16)}`);
      expect((await run(`held = ${JSON.stringify(one)}\n${SCAN}`)).text).toContain(one!);
      await run(`# ${one}\nprint("token-" + "cd" * 16)`);
      const { text } = await run(SCAN);
      expect(text).not.toContain(one!);
      expect(text).not.toContain(two!);
    });
    test("holds no random numbers of the one before", async () => {
      const code = "import random\nrandom.random()";
      expect((await run(code)).text).not.toBe((await run(code)).text);
    });
    test("holds no names of the one before", async () => {
      await run("import builtins, sys\nbuiltins.leak = 1; sys.leak = 1; leak = 1");
      expect((await run("leak")).text).toContain("NameError");
      expect((await run("import sys\nhasattr(sys, 'leak')")).text).toBe("False");
    });
  });
});
