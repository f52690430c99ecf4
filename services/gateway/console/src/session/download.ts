/** Saves data as a file. It is never opened: whatever it holds runs nowhere. */

/** Names that a file system has a meaning for, and characters that hide what a name ends with. */
const UNFIT = /[\p{C}\\/:*?"<>|]+/gu;

const NAME_LENGTH_MAX = 120;

/** Return a name that is safe to save under. */
export function fileName(name: string): string {
  const fit = name.replace(UNFIT, "_").replace(/^\.+/, "").trim();
  // The end tells what it is, so that is what stays.
  return fit === "" ? "file" : fit.slice(-NAME_LENGTH_MAX);
}

/** Offer parts, joined, as a file of that name. */
export function download(name: string, parts: BlobPart[]): void {
  // Of no type that a browser would show instead of saving.
  const url = URL.createObjectURL(new Blob(parts, { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = fileName(name);
  link.click();
  // The browser has taken the data over once the click is handled, at the latest after a while.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
