import type { ButtonHTMLAttributes, ReactNode } from "react";
import { classes } from "./classes.ts";
import "./Button.css";
import { visible } from "./visible.ts";

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** `primary` once per view at most; `danger` for what can't be undone. */
  readonly tone?: "default" | "primary" | "danger" | "quiet";
  readonly size?: "sm" | "md";
  readonly icon?: ReactNode;
  /** What was asked for is under way: it can't be pressed again, and says so. */
  readonly busy?: boolean;
}

/** A button with a word on it. */
export function Button({
  tone = "default",
  size = "md",
  icon,
  busy = false,
  className,
  children,
  disabled,
  ...rest
}: ButtonProps) {
  return (
    <button
      type="button"
      className={classes("button", `button-${tone}`, `button-${size}`, className)}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      {...rest}
    >
      {busy ? <span className="button-spinner" aria-hidden="true" /> : icon}
      {children}
    </button>
  );
}

export interface IconButtonProps extends Omit<ButtonProps, "children" | "icon"> {
  /** What it does, for those who don't see the icon, and on hover. */
  readonly label: string;
  readonly children: ReactNode;
}

/** A button that is an icon. */
export function IconButton({ label, tone = "quiet", className, children, ...rest }: IconButtonProps) {
  const shown = visible(label);
  return (
    <Button tone={tone} aria-label={shown} title={shown} className={classes("button-icon", className)} {...rest}>
      {children}
    </Button>
  );
}
