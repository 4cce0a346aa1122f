// What Python prints of an error that nobody caught, as the policy reads it: the snippet's own
// lines that led to it and the last line, without paths. Pure; the local sandbox writes it so by
// itself.

const FRAME = /^\s*File "(.*)", line (\d+)(?:, in (.*))?$/;
const MAX_FRAMES = 3;
const MAX_CHARACTERS = 4000;

export function cleanTraceback(stderr: string): string {
  const lines = stderr.trimEnd().split("\n");
  const frames = lines.flatMap((line, index) => frameAt(lines, line, index));
  const last = frames.at(-1);
  if (last === undefined) return stderr.trim().slice(-MAX_CHARACTERS);
  const own = frames.filter(({ file }) => file === frames[0]!.file).slice(-MAX_FRAMES);
  const message = lines.slice(last.index + 1).filter((line) => /^[\w.]+(?::|$)/.test(line));
  const start = lines.lastIndexOf(message.at(-1) ?? "");
  const told = [...own.map(({ text }) => text), ...lines.slice(Math.max(start, 0))].join("\n");
  return told.slice(-MAX_CHARACTERS);
}

interface Frame {
  readonly index: number;
  readonly file: string;
  readonly text: string;
}

function frameAt(lines: readonly string[], line: string, index: number): Frame[] {
  const found = FRAME.exec(line);
  if (found === null) return [];
  const [, file = "", number = "", name] = found;
  const inside = name === undefined || name === "<module>" ? "" : `, in ${name}`;
  const next = lines[index + 1] ?? "";
  const source = FRAME.test(next) || !next.startsWith("    ") ? "" : `: ${next.trim()}`;
  return [{ index, file, text: `line ${number}${inside}${source}` }];
}
