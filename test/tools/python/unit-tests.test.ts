// Tests of code: what counts, and attempts of the code to pass without being right.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { PythonSandbox } from "../../../src/tools/python/sandbox.ts";
import { runUnitTests } from "../../../src/tools/python/unit-tests.ts";
import type { CodeTests } from "../../../src/types.ts";
import { PATIENT, whyNoSandbox } from "../../helpers/python-sandbox.ts";

setDefaultTimeout(120_000); // for a busy machine

const reason = await whyNoSandbox();

const TWICE: CodeTests = {
  kind: "humaneval",
  prompt:
    'import math\n\ndef half(x):\n    return x / 2\n\ndef twice(n):\n    """Two times n."""\n',
  entryPoint: "twice",
  test: `
METADATA = {}
def check(candidate):
    assert True, "counts for nothing"
    assert candidate(2) == 4
    assert candidate("a") == "aa", "text"
    for i in range(5):
        assert half(candidate(i)) == i
    assert math.isclose(candidate(0.25), 0.5)
    assert candidate([1]) == [1, 1]
`,
};
const RIGHT = "def twice(n):\n    return n * 2\n";
const NUM_TESTS = 5;

const mbpp = (asserts: readonly string[], setup = ""): CodeTests => ({
  kind: "mbpp",
  setup,
  asserts,
});

describe.skipIf(reason !== undefined)(
  `tests of code${reason ? ` (skipped: ${reason})` : ""}`,
  () => {
    let sandbox: PythonSandbox;
    beforeAll(
      async () => void (sandbox = await PythonSandbox.open({ workers: 1, limits: PATIENT })),
    );
    afterAll(async () => sandbox[Symbol.asyncDispose]());
    const passed = async (code: string, tests: CodeTests, timeMs = PATIENT.timeMs) => {
      const result = await runUnitTests(sandbox, code, tests, { ...PATIENT, timeMs });
      return [result.passed, result.total];
    };

    test("pass all where the code is right", async () => {
      expect(await runUnitTests(sandbox, RIGHT, TWICE)).toEqual({
        passed: 5,
        total: NUM_TESTS,
        detail: "",
      });
    });
    const PARTLY: readonly (readonly [string, string, number])[] = [
      [
        "one failing does not hide the others",
        "def twice(n):\n  return 0 if n == 'a' else n * 2",
        4,
      ],
      ["one that raises does not hide the others", "def twice(n):\n  return n / 2 * 4", 3],
      [
        "one failure in a loop fails the assert",
        "def twice(n):\n  return 7 if n == 3 else n * 2",
        4,
      ],
      ["nothing passes where there is no such function", "def double(n): return n * 2", 0],
      ["nothing passes where the code does not compile", "def twice(n:\n  return n * 2", 0],
      ["nothing passes where the code raises at once", `${RIGHT}raise ValueError`, 0],
      ["nothing passes where the code is empty", "", 0],
    ];
    for (const [name, code, expected] of PARTLY) {
      test(name, async () => expect(await passed(code, TWICE)).toEqual([expected, NUM_TESTS]));
    }
    test("the detail quotes what failed, for people", async () => {
      const { detail } = await runUnitTests(sandbox, "def twice(n): return 1 / 0", TWICE);
      expect(detail).toContain("assert candidate(2) == 4");
    });
    test("what was passed before the time was over counts, an unfinished loop does not", async () => {
      const code = "def twice(n):\n  while n == 3: pass\n  return n * 2";
      expect(await passed(code, TWICE, 3000)).toEqual([2, NUM_TESTS]);
    });

    const MBPP: readonly (readonly [string, string, CodeTests, readonly [number, number]])[] = [
      [
        "each assert is a test",
        "def f(x): return x",
        mbpp(["assert f(1) == 1", "assert f(2) == 3"]),
        [1, 2],
      ],
      ["setup comes before", "def f(x): return x", mbpp(["assert f(k) == 5"], "k = 5"), [1, 1]],
      [
        "modules need no import",
        "def f(x): return x",
        mbpp(["assert f(math.pi) == math.pi"]),
        [1, 1],
      ],
      [
        "objects of the code's own classes can be made and passed",
        "class Pair:\n  def __init__(self, a, b): self.a = a\ndef top(ps): return max(p.a for p in ps)",
        mbpp(["assert top([Pair(5, 1), Pair(7, 2)]) == 7", "assert Pair(3, 4).a == 3"]),
        [2, 2],
      ],
      [
        "setup may build with them",
        "class Node:\n  def __init__(self, x): self.left = None\ndef depth(n): return 1 + depth(n.left) if n else 0",
        mbpp(["assert depth(root) == 2"], "root = Node(1)\nroot.left = Node(2)"),
        [1, 1],
      ],
      [
        "iterators are walked through",
        "def f(n): yield from range(n)",
        mbpp(["assert list(f(3)) == [0, 1, 2]"]),
        [1, 1],
      ],
      [
        "plain values keep their types",
        "def f(x): return x",
        mbpp(
          [
            "assert repr(f(every)) == repr(every)",
            "assert f(float('inf')) == float('inf') and f(float('nan')) != f(float('nan'))",
            "import decimal, fractions, collections, datetime\nassert f(decimal.Decimal('1.10')) == decimal.Decimal('1.1')",
            "assert f(fractions.Fraction(1, 3)) == fractions.Fraction(1, 3) and f(collections.Counter('aab')) == {'a': 2, 'b': 1}",
          ],
          "every = [1, 1.5, -0.0, 10**40, True, None, 'é', b'a', (1, (2,)), {2}, {'a': {1: 2}}, 1j]",
        ),
        [4, 4],
      ],
      [
        "errors keep their types",
        "def f(x): raise KeyError(x)",
        mbpp(["try:\n  f(1)\n  assert f(2) == 1\nexcept KeyError:\n  assert f.__name__ == 'f'"]),
        [1, 2],
      ],
      ["no assert, no test", "def f(x): return x", mbpp(["f(1)"]), [0, 0]],
      [
        "tests that can't be compiled pass nothing",
        "def f(x): return x",
        mbpp(["assert f(1) =="]),
        [0, 0],
      ],
    ];
    for (const [name, code, tests, expected] of MBPP) {
      test(name, async () => expect(await passed(code, tests)).toEqual([...expected]));
    }

    describe("can't be passed by", () => {
      const wrong = (body: string): string => `def twice(n):\n  return -1\n${body}`;
      const FORGERIES: readonly (readonly [string, string])[] = [
        ["printing", wrong("print('passed', {'passed': 5, 'total': 5})")],
        ["an exit with success", wrong("import sys\nsys.exit(0)")],
        ["an end with success", wrong("import os\nos._exit(0)")],
        ["an end while it is called", "import os\ndef twice(n): os._exit(0)"],
        ["an exit while it is called", "def twice(n): raise SystemExit(0)"],
        ["an interrupt", "def twice(n): raise KeyboardInterrupt"],
        ["an end of iteration", "def twice(n): raise StopIteration"],
        ["an exit handler", wrong("import atexit, os\natexit.register(os._exit, 0)")],
        [
          "an object that equals everything",
          "class E:\n  def __eq__(s, o): return True\n  __hash__ = None\n  def __truediv__(s, o): return s\ndef twice(n): return E()",
        ],
        [
          "a number that equals everything",
          "class E(int):\n  def __eq__(s, o): return True\n  __hash__ = int.__hash__\ndef twice(n): return E(5)",
        ],
        [
          "a text that equals everything",
          "class E(str):\n  def __eq__(s, o): return True\ndef twice(n): return E()",
        ],
        [
          "a list that equals everything",
          "class E(list):\n  def __eq__(s, o): return True\ndef twice(n): return E()",
        ],
        [
          "changed builtins",
          wrong(
            "import builtins\nbuiltins.AssertionError = Exception\nbuiltins.all = builtins.any = builtins.bool = lambda *a: True\nbuiltins.range = lambda *a: []\nbuiltins.compile = builtins.exec = None",
          ),
        ],
        ["a changed math module", wrong("import math\nmath.isclose = lambda *a, **k: True")],
        [
          "a changed helper of the prompt",
          wrong("class Any:\n  def __eq__(s, o): return True\ndef half(x): return Any()"),
        ],
        [
          "changed modules of the harness",
          wrong(
            "import sys\nfor m in list(sys.modules.values()):\n  for k in ('judge', 'serve', 'passed', 'encode', 'send', 'respond'):\n    if hasattr(m, k): setattr(m, k, lambda *a, **k: True)",
          ),
        ],
        [
          "changed globals of the harness",
          wrong(
            "import sys\nf = sys._getframe()\nwhile f:\n  for k in list(f.f_globals):\n    if k in ('judge', 'decode', 'load', 'respond', 'pickle', 'json'): f.f_globals[k] = lambda *a, **k: True\n  f = f.f_back",
          ),
        ],
        [
          "a file that shadows a module",
          wrong(
            "for m in ('math', 'decimal', 'copy', 'random'): open(m + '.py', 'w').write('isclose = lambda *a: True')",
          ),
        ],
        [
          "a verdict on every descriptor",
          wrong(
            "import os, json, struct\nv = json.dumps({'passed': 5, 'total': 5, 'detail': ''}).encode()\nfor fd in range(64):\n  for d in (v, struct.pack('<I', len(v)) + v):\n    try: os.write(fd, d)\n    except OSError: pass",
          ),
        ],
        [
          "values that are none",
          wrong(
            "import os, struct\nfor v in (b'{}', b'[]', b'null', b'{\"value\": {\"remote\": \"x\"}}', b'{\"value\": {\"__class__\": []}}', b'x', b'{\"value\":' + b'[' * 9999):\n  os.write(5, struct.pack('<I', len(v)) + v)",
          ),
        ],
        [
          "an endless value",
          wrong("import os, struct\nos.write(5, struct.pack('<I', 0xffffffff) + b'x' * 1000)"),
        ],
        ["a value that never ends", "def twice(n):\n  x = []\n  x.append(x)\n  return x"],
        [
          "a signal to the judge",
          wrong(
            "import os, signal\nfor pid in range(max(1, os.getpid() - 8), os.getpid()):\n  for s in (signal.SIGALRM, signal.SIGINT, signal.SIGSTOP, signal.SIGKILL):\n    try: os.kill(pid, s)\n    except OSError: pass",
          ),
        ],
        [
          "a trace of the judge",
          wrong(
            "import ctypes, os\nl = ctypes.CDLL(None)\nfor pid in range(1, os.getpid()): l.ptrace(16, pid, 0, 0)",
          ),
        ],
        [
          "another process that answers",
          "import os\nif os.fork() == 0:\n  while True: pass\ndef twice(n): return -1",
        ],
        [
          "a memory of the tests",
          "import gc\ndef twice(n):\n  for o in gc.get_objects():\n    if isinstance(o, dict) and 'asserts' in o or isinstance(o, str) and 'def check' in o: return n * 2\n  return -1",
        ],
        [
          "the frames below it",
          "import sys\ndef twice(n):\n  f = sys._getframe()\n  while f:\n    if any('META' + 'DATA' in str(v) for v in f.f_locals.values() if isinstance(v, (str, dict))): return n * 2\n    f = f.f_back\n  return -1",
        ],
      ];
      for (const [name, code] of FORGERIES) {
        test(name, async () => {
          expect(await passed(code, TWICE, 4000)).toEqual([0, NUM_TESTS]);
          expect(await passed(RIGHT, TWICE)).toEqual([NUM_TESTS, NUM_TESTS]);
        });
      }
      test("what earlier tests left in memory", async () => {
        const scan = (hit: string) => `
import ctypes, gc, os, re
def found():
    libc = ctypes.CDLL(None)
    libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    read, write = os.pipe()
    size = 1 << 20
    blocks = {id(it) // size for it in gc.get_objects()} | {id(it) // size for it in map(str, range(9))}
    for block in {it + d for it in blocks for d in (-1, 0, 1)}:
        for page in range(block * size, (block + 1) * size, 4096):
            if libc.write(write, page, 4096) == 4096 and re.search(b"mark-[0-9]{9}", os.read(read, 4096)): return True
    return False
def f(): return found() ${hit}`;
        const tests = mbpp(["assert f() == 'mark-123456789'", "assert f() == True"]);
        // The first finds its own mark, so the search works.
        expect(await passed(`held = 'mark-123456789'\n${scan("")}`, tests)).toEqual([1, 2]);
        expect(await passed(scan(""), tests)).toEqual([0, 2]);
      });
    });
  },
);
