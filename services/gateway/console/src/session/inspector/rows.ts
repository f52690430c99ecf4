/**
 * Which rows of one height are in view. Browsers lay out some 30 million pixels and no more: beyond a bound the space
 * is squeezed, and a pixel of the scroll bar stands for more than a pixel of rows.
 */

/** 430,000 rows of 28 pixels; within every browser's limit. */
export const SPACE_PX_MAX = 12_000_000;

/** Rows beyond the edges, so that a fast wheel meets rows and no blank. */
const BEYOND = 6;

interface Shape {
  readonly count: number;
  readonly rowPx: number;
  /** How far it is scrolled. */
  readonly top: number;
  /** How much is in view. */
  readonly height: number;
}

export interface Rows {
  readonly first: number;
  /** Below `first` when there are no rows. */
  readonly last: number;
  /** Where the first one stands in the space. */
  readonly offset: number;
}

/** Return the height of the space that is scrolled through. */
export function spaceOf(count: number, rowPx: number): number {
  return Math.min(count * rowPx, SPACE_PX_MAX);
}

/** Pixels of rows per pixel of scroll; 1 until the space is squeezed. */
function squeeze({ count, rowPx, height }: Shape): number {
  const space = spaceOf(count, rowPx);
  const range = space - height;
  return range <= 0 ? 1 : (count * rowPx - height) / range;
}

/** Return the rows to draw. */
export function rowsIn(shape: Shape): Rows {
  const { count, rowPx, top, height } = shape;
  const within = Math.max(0, Math.min(top, spaceOf(count, rowPx) - height));
  const shown = within * squeeze(shape);
  const first = Math.max(0, Math.floor(shown / rowPx) - BEYOND);
  const last = Math.min(count - 1, Math.ceil((shown + height) / rowPx) + BEYOND);
  return { first, last, offset: within - shown + first * rowPx };
}

/** Return how many rows may be drawn at once, at most. */
export function poolOf(height: number, rowPx: number): number {
  return Math.ceil(height / rowPx) + 2 * BEYOND + 2;
}

/** Return how far to scroll for a row to be in view: no further than needed. */
export function scrollTopFor(index: number, shape: Shape): number {
  const { rowPx, top, height } = shape;
  const factor = squeeze(shape);
  const shown = top * factor;
  const start = index * rowPx;
  if (start < shown) return start / factor;
  if (start + rowPx > shown + height) return (start + rowPx - height) / factor;
  return top;
}
