// The lock between processes, seen by real processes.
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withLock } from "../../ffi/lock.ts";

const folder = mkdtempSync(join(tmpdir(), "icrl-lock-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("four processes that each read and rewrite a file lose no update", async () => {
  const file = join(folder, "count");
  writeFileSync(file, "0");
  const lock = JSON.stringify(join(folder, "shared.lock"));
  const code = `
    import { withLock } from ${JSON.stringify(join(import.meta.dir, "../../ffi/lock.ts"))};
    import { readFileSync, writeFileSync } from "node:fs";
    for (let i = 0; i < 5; i++) withLock(${lock}, () => {
      const count = Number(readFileSync(${JSON.stringify(file)}, "utf8"));
      Bun.sleepSync(2);
      writeFileSync(${JSON.stringify(file)}, String(count + 1));
    });`;
  const processes = Array.from({ length: 4 }, () => Bun.spawn([process.execPath, "-e", code], { stderr: "inherit" }));
  expect(await Promise.all(processes.map((it) => it.exited))).toEqual([0, 0, 0, 0]);
  expect(readFileSync(file, "utf8")).toBe("20");
});

test("the lock of a dead process is taken over", async () => {
  const lock = join(folder, "dead.lock");
  const dead = Bun.spawn(["true"]);
  await dead.exited;
  mkdirSync(lock);
  writeFileSync(join(lock, "pid"), String(dead.pid));
  expect(withLock(lock, () => "done")).toBe("done");
});

test("the lock is gone after the work, also after work that threw", () => {
  const lock = join(folder, "thrown.lock");
  expect(() => withLock(lock, () => { throw new Error("broken"); })).toThrow("broken");
  expect(existsSync(lock)).toBe(false);
});
