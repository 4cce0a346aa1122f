// Which screen a run gets: JSON lines, a live terminal, or plain lines. The one place that looks at
// the stream and the environment.

import type { RunObserver } from "../../run/observer.ts";
import { jsonObserver } from "./json.ts";
import { peopleObserver } from "./people.ts";
import type { Output } from "./people.ts";
import type { Decode } from "./rollout.ts";
import { colourStyle, plainStyle } from "./style.ts";

export interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}
export type Environment = Readonly<Record<string, string | undefined>>;

const PLAIN_COLUMNS = 100;
const MIN_COLUMNS = 40;

export function openScreen(options: {
  readonly json: boolean;
  readonly stream: Stream;
  readonly environment: Environment;
  readonly decode: Decode;
}): RunObserver {
  const { json, stream, environment, decode } = options;
  if (json) return jsonObserver((line) => void stream.write(line));
  return peopleObserver(outputOf(stream, environment), decode);
}

/**
 * A dumb terminal is treated as none; NO_COLOR (https://no-color.org) keeps the redrawing and drops
 * the colours.
 */
export function outputOf(stream: Stream, environment: Environment): Output {
  const live = stream.isTTY === true && environment.TERM !== "dumb";
  const colour = live && !environment.NO_COLOR;
  return {
    write: (text) => void stream.write(text),
    live,
    columns: () => (live ? Math.max(MIN_COLUMNS, stream.columns ?? PLAIN_COLUMNS) : PLAIN_COLUMNS),
    style: colour ? colourStyle : plainStyle,
  };
}
