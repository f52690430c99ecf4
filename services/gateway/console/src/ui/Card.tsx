import type { ReactNode } from "react";
import { classes } from "./classes.ts";
import "./Card.css";

interface CardProps {
  readonly title?: ReactNode;
  /** Beside the title, at the end of the line. */
  readonly actions?: ReactNode;
  /** Without padding: what is in it reaches the edges. */
  readonly flush?: boolean;
  readonly className?: string;
  readonly children: ReactNode;
}

/** A surface with things that belong together. */
export function Card({ title, actions, flush = false, className, children }: CardProps) {
  return (
    <section className={classes("card", className)}>
      {(title !== undefined || actions !== undefined) && (
        <header className="card-header">
          <h3 className="card-title">{title}</h3>
          {actions}
        </header>
      )}
      <div className={classes("card-body", flush && "card-body-flush")}>{children}</div>
    </section>
  );
}
