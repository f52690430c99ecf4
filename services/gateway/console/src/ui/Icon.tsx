/** Icons: strokes on a grid of sixteen, drawn for this console. They take the colour and never the word of their place. */

const PATHS = {
  plus: "M8 3v10M3 8h10",
  minus: "M3.5 8h9",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.5 10.5 14 14",
  close: "M4 4l8 8M12 4l-8 8",
  check: "M3 8.5 6.5 12 13 4.5",
  chevronRight: "M6 3.5 10.5 8 6 12.5",
  chevronsLeft: "M8.5 3.5 4 8l4.5 4.5M13 3.5 8.5 8l4.5 4.5",
  chevronsRight: "M3 3.5 7.5 8 3 12.5M7.5 3.5 12 8l-4.5 4.5",
  chevronDown: "M3.5 6 8 10.5 12.5 6",
  chevronLeft: "M10 3.5 5.5 8 10 12.5",
  arrowRight: "M3 8h10M9 4l4 4-4 4",
  sun: "M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6ZM8 1.5v1.3M8 13.2v1.3M14.5 8h-1.3M2.8 8H1.5M12.6 3.4l-.9.9M4.3 11.7l-.9.9M12.6 12.6l-.9-.9M4.3 4.3l-.9-.9",
  moon: "M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z",
  auto: "M8 2.2a5.8 5.8 0 1 0 0 11.6ZM8 2.2a5.8 5.8 0 0 1 0 11.6",
  keyboard: "M2 4.5h12v7H2ZM4.5 7h.01M7 7h.01M9.5 7h.01M12 7h.01M5.5 9.5h5",
  trash: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.5 8.5h6l.5-8.5M6.8 7v3.5M9.2 7v3.5",
  copy: "M5.5 5.5h7.5v7.5H5.5ZM10.5 5.5V3H3v7.5h2.5",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  play: "M5 3.2v9.6L12.5 8Z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  stop: "M4.5 4.5h7v7h-7Z",
  skipBack: "M12 3.5 6 8l6 4.5ZM4 3.5v9",
  skipForward: "M4 3.5 10 8l-6 4.5ZM12 3.5v9",
  alert: "M8 2.5 14.5 13.5h-13ZM8 6.5v3.2M8 11.6h.01",
  info: "M8 14a6 6 0 1 0 0-12 6 6 0 0 0 0 12ZM8 7.3v3.5M8 5.2h.01",
  clock: "M8 14a6 6 0 1 0 0-12 6 6 0 0 0 0 12ZM8 4.8V8l2.2 1.5",
  refresh: "M13 8a5 5 0 1 1-1.5-3.5L13 6M13 2.8V6H9.8",
  download: "M8 2.5v7.5M4.8 7 8 10.2 11.2 7M3 13h10",
  link: "M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2.2-2.2a2.6 2.6 0 0 0-3.7-3.7l-.8.8M9.2 6.8a2.6 2.6 0 0 0-3.7 0L3.3 9A2.6 2.6 0 0 0 7 12.7l.8-.8",
  cut: "M4.5 6.2a1.9 1.9 0 1 0 0-3.8 1.9 1.9 0 0 0 0 3.8ZM4.5 13.6a1.9 1.9 0 1 0 0-3.8 1.9 1.9 0 0 0 0 3.8ZM6.2 5.3 13.5 12M6.2 10.7 13.5 4",
  bolt: "M9 1.8 3.5 9H8l-1 5.2L12.5 7H8Z",
  user: "M8 8a2.7 2.7 0 1 0 0-5.4A2.7 2.7 0 0 0 8 8ZM2.8 13.5a5.2 5.2 0 0 1 10.4 0",
  spark: "M8 2v3.5M8 10.5V14M2 8h3.5M10.5 8H14M4 4l2 2M10 10l2 2M12 4l-2 2M6 10l-2 2",
  tool: "M9.8 6.2 3 13M9.5 2.8a3.4 3.4 0 0 0 3.9 4.3 3.4 3.4 0 0 1-4.5-.2 3.4 3.4 0 0 1-.2-4.5c.2.1.5.3.8.4Z",
  file: "M4 2h5l3 3v9H4ZM9 2v3h3",
  inbox: "M2.5 9 4.5 3h7l2 6v4h-11ZM2.5 9h3.2l.8 1.5h3l.8-1.5h3.2",
  list: "M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.01M2.5 8h.01M2.5 12h.01",
  send: "M14 2 7 9M14 2 9.5 14 7 9 2 6.5Z",
  sidebar: "M2 3h12v10H2ZM10 3v10",
} as const;

export type IconName = keyof typeof PATHS;

interface IconProps {
  readonly name: IconName;
  readonly size?: number;
}

/** An icon. It is decoration: what stands beside it, or its button's label, says the same. */
export function Icon({ name, size = 16 }: IconProps) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
