// Why a sandbox does not start, as an error that says what to do. Pure: the facts of the machine
// are arguments.

import { existsSync, readFileSync } from "node:fs";
import { UserError } from "../../config/errors.ts";
import { OTHERWISE } from "./host.ts";

/** Of the kernel's settings the value, or undefined where there is no such setting. */
export interface MachineFacts {
  readonly unprivilegedUserns: string | undefined;
  readonly maxUserNamespaces: string | undefined;
  readonly apparmorRestricts: string | undefined;
  readonly isContainer: boolean;
}

export function machineFacts(): MachineFacts {
  return {
    unprivilegedUserns: setting("kernel/unprivileged_userns_clone"),
    maxUserNamespaces: setting("user/max_user_namespaces"),
    apparmorRestricts: setting("kernel/apparmor_restrict_unprivileged_userns"),
    isContainer: ["/.dockerenv", "/run/.containerenv"].some((path) => existsSync(path)),
  };
}

function setting(name: string): string | undefined {
  const path = `/proc/sys/${name}`;
  return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
}

/** `said`: what bubblewrap or the zygote printed before it ended. */
export function refusal(said: string, facts: MachineFacts): UserError {
  const last = said.trim().split("\n").at(-1) || "it ended at once";
  const remedies = remediesFor(said, facts);
  const hint = `${[...remedies, OTHERWISE].join(", ")}`;
  return new UserError(`the Python sandbox does not start: ${last}`, { hint });
}

const ABOUT_NAMESPACES = /namespace|[ug]id map|RTM_NEWADDR|unshare|pivot_root|mount|permitted/i;

function remediesFor(said: string, facts: MachineFacts): string[] {
  if (!ABOUT_NAMESPACES.test(said)) return ["see what icrl doctor says"];
  if (facts.unprivilegedUserns === "0") {
    return ["allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1"];
  }
  if (facts.maxUserNamespaces === "0" || /max_\S*namespaces/.test(said)) {
    return ["allow user namespaces: sysctl -w user.max_user_namespaces=10000"];
  }
  if (facts.isContainer) return [IN_A_CONTAINER];
  if (facts.apparmorRestricts === "1") {
    return ["allow user namespaces: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"];
  }
  return ["allow user namespaces on this machine", `in a container: ${IN_A_CONTAINER}`];
}

const IN_A_CONTAINER =
  "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined " +
  "(or --cap-add SYS_ADMIN as well)";
