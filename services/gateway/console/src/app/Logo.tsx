/** The mark: what holds a seaweed to its rock, and a log with its branches. */
export function Logo({ size = 22 }: { readonly size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" fill="var(--accent-solid)" />
      <g fill="none" stroke="#fff" strokeLinecap="round" strokeWidth="2.6">
        <path d="M16 7v19" />
        <path d="M16 13c-5 0-7.5 3.4-7.5 8.5" />
        <path d="M16 13c5 0 7.5 3.4 7.5 8.5" />
      </g>
      <circle cx="16" cy="7" r="2.6" fill="#fff" />
    </svg>
  );
}
