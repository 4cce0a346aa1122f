// Words for shapes, in notes of figures.

import { shapeText } from "../shapes.ts";
import type { SearchShape } from "./work.ts";

export const searchShapeText = (shape: SearchShape): string =>
  `${shapeText(shape)} + ${shape.observation} observed`;
