// What a person reads where the sandbox can't run.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkSandbox } from "../../../src/cli/doctor-sandbox.ts";
import { UserError } from "../../../src/config/errors.ts";
import { bubblewrapArguments, visiblePaths } from "../../../src/tools/python/bubblewrap.ts";
import { type Programs, USUAL_PROGRAMS } from "../../../src/tools/python/host.ts";
import { type MachineFacts, refusal } from "../../../src/tools/python/refusal.ts";
import { PythonSandbox } from "../../../src/tools/python/sandbox.ts";
import { whyNoSandbox } from "../../helpers/python-sandbox.ts";

setDefaultTimeout(120_000); // for a busy machine

const FREE: MachineFacts = {
  unprivilegedUserns: undefined,
  maxUserNamespaces: "96365",
  apparmorRestricts: undefined,
  isContainer: false,
};
const NO_NAMESPACE = "bwrap: Creating new namespace failed: Operation not permitted";

describe("a sandbox that does not start says what to do:", () => {
  const CASES: readonly (readonly [string, string, Partial<MachineFacts>, string])[] = [
    [
      "Debian's switch",
      NO_NAMESPACE,
      { unprivilegedUserns: "0" },
      "sysctl -w kernel.unprivileged_userns_clone=1",
    ],
    [
      "none allowed",
      NO_NAMESPACE,
      { maxUserNamespaces: "0" },
      "sysctl -w user.max_user_namespaces=10000",
    ],
    [
      "too many",
      "bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)",
      { isContainer: true },
      "sysctl -w user.max_user_namespaces=10000",
    ],
    [
      "Ubuntu's AppArmor",
      "bwrap: setting up uid map: Permission denied",
      { apparmorRestricts: "1" },
      "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ],
    ["a container", NO_NAMESPACE, { isContainer: true }, "--security-opt seccomp=unconfined"],
    [
      "a network that can't be set up",
      "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted",
      { isContainer: true },
      "--cap-add SYS_ADMIN",
    ],
    ["anything else", "RuntimeError: no filter of system calls for riscv64", {}, "icrl doctor"],
  ];
  for (const [name, said, facts, todo] of CASES) {
    test(name, () => {
      const error = refusal(`noise\n${said}\n`, { ...FREE, ...facts });
      expect(error.message).toBe(`the Python sandbox does not start: ${said}`);
      expect(error.hint).toContain(todo);
      expect(error.hint).toContain("kind: sandbox_fusion");
      expect(error.describe()).not.toContain("\n");
    });
  }
});

/** A program that stands for one, for the time of `use`. */
async function withScript(text: string, use: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "icrl-"));
  const path = join(folder, "program");
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  try {
    await use(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function fault(programs: Partial<Programs>): Promise<UserError> {
  const opened = PythonSandbox.open({ workers: 1, programs: { ...USUAL_PROGRAMS, ...programs } });
  const error: unknown = await opened.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UserError);
  return error as UserError;
}

const hasBwrap = Bun.which("bwrap") !== null;

test("no bubblewrap: the package to install", async () => {
  const error = await fault({ bwrap: "no-such-bwrap" });
  expect(error.describe()).toBe(
    "the Python sandbox needs no-such-bwrap, which is not on the PATH - install it: apt-get install bubblewrap, " +
      "or use a SandboxFusion server (kind: sandbox_fusion, url: ...)",
  );
});

describe.skipIf(!hasBwrap)("with bubblewrap", () => {
  test("no Python: the package to install", async () => {
    expect((await fault({ python: "no-such-python" })).hint).toContain("apt-get install python3");
  });
  test("a Python that is too old says which is needed", async () => {
    const old =
      '{"executable":"/opt/old","version":"3.8.1","home":"","path":[],"libraries":[],"packages":{}}';
    await withScript(`echo '${old}'`, async (python) => {
      expect((await fault({ python })).describe()).toStartWith(
        "the Python sandbox needs Python 3.9 or newer (/opt/old is 3.8.1)",
      );
    });
  });
  test("a Python that fails says how", async () => {
    await withScript("echo broken >&2; exit 3", async (python) => {
      expect((await fault({ python })).message).toEndWith(": broken");
    });
  });
  test("a bubblewrap that may not make namespaces is refused at once", async () => {
    const script = `[ "$1" = --version ] && echo bubblewrap 0.8.0 && exit\necho '${NO_NAMESPACE}' >&2; exit 1`;
    await withScript(script, async (bwrap) => {
      const error = await fault({ bwrap });
      expect(error.message).toBe(`the Python sandbox does not start: ${NO_NAMESPACE}`);
      expect(error.hint).toMatch(/sysctl|container/);
    });
  });
});

const HOST = {
  executable: "/opt/python/bin/python3.12",
  version: "3.12.1",
  home: "/opt/python:/opt/python",
  path: [
    "/opt/python/lib/python3.12",
    "/opt/python/lib/python3.12/site-packages",
    "/venv/site-packages",
  ],
  libraries: [
    "/lib64/libc.so.6",
    "/opt/python/lib/python3.12/lib-dynload/_x.so",
    "/venv/site-packages/n.libs/b.so",
  ],
  packages: {},
  bwrap: "/usr/bin/bwrap",
  bwrapVersion: "0.8.0",
};

test("of the host the sandbox shows Python's files and nothing above them", () => {
  expect(visiblePaths(HOST)).toEqual([
    "/opt/python/lib/python3.12",
    "/venv/site-packages",
    "/opt/python/bin/python3.12",
    "/lib64/libc.so.6",
  ]);
});
test("a Python below the sandbox's own folder is refused", () => {
  expect(() => visiblePaths({ ...HOST, path: ["/tmp/venv/site-packages"] })).toThrow(UserError);
});
test("the size of the folder is bubblewrap's where it knows the option", () => {
  const size = (bwrapVersion: string) =>
    bubblewrapArguments({ ...HOST, bwrapVersion }, { diskBytes: 5, isRoot: false }).includes(
      "--size",
    );
  expect([size("0.6.1"), size("0.7.0"), size("0.8.0"), size("1.0.0")]).toEqual([
    false,
    true,
    true,
    true,
  ]);
});

test("the doctor says what the sandbox has, or what it lacks", async () => {
  const check = await checkSandbox();
  const canRun = (await whyNoSandbox()) === undefined;
  expect(check.verdict).toBe(canRun ? "ok" : "note");
  if (canRun)
    expect(check.detail).toMatch(
      /^Python 3\.\d+\.\d+, bubblewrap [\d.]+, numpy .*, sympy .*$/,
    );
  else expect(check.todo).toContain("sandbox_fusion");
});
