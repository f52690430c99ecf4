/** Several lists as one. */

/**
 * The lists merged by time. Each keeps its own order, which is the log's: clocks of different workers may disagree.
 * Of equal times those of the earlier list come first.
 */
export function mergedByTime<T>(lists: readonly (readonly T[])[], time: (item: T) => string): T[] {
  const left = lists.filter((list) => list.length).map((list) => ({ list, next: 0, time: time(list[0] as T) }));
  const merged: T[] = [];
  while (left.length) {
    let first = 0;
    for (let n = 1; n < left.length; n++) if ((left[n]?.time ?? "") < (left[first]?.time ?? "")) first = n;
    const head = left[first];
    if (!head) break;
    merged.push(head.list[head.next++] as T);
    if (head.next < head.list.length) head.time = time(head.list[head.next] as T);
    else left.splice(first, 1);
  }
  return merged;
}
