import { type FormEvent, type MouseEvent, type ReactNode, useEffect, useId, useRef } from "react";
import { IconButton } from "./Button.tsx";
import { classes } from "./classes.ts";
import { Icon } from "./Icon.tsx";
import "./Dialog.css";

interface DialogProps {
  readonly title: ReactNode;
  readonly onClose: () => void;
  /** Makes the whole of it a form. */
  readonly onSubmit?: () => void;
  readonly footer?: ReactNode;
  readonly size?: "sm" | "md";
  readonly children: ReactNode;
}

/** A dialog over the page: it is there while it is rendered. The browser keeps the focus in it and gives it back. */
export function Dialog({ title, onClose, onSubmit, footer, size = "md", children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    // What is to be filled in first; where nothing is, the dialog itself, so that it is read and Tab begins at its top.
    const first = element?.querySelector<HTMLElement>(".dialog-body :is(input, select, textarea):not(:disabled)");
    (first ?? element)?.focus();
    return () => element?.close();
  }, []);

  const outside = (event: MouseEvent) => {
    if (event.target === dialog.current) onClose();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit?.();
  };
  const inside = (
    <>
      <header className="dialog-header">
        <h2 id={id}>{title}</h2>
        <IconButton label="Close" size="sm" onClick={onClose}>
          <Icon name="close" />
        </IconButton>
      </header>
      <div className="dialog-body">{children}</div>
      {footer !== undefined && <footer className="dialog-footer">{footer}</footer>}
    </>
  );
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape is the keyboard's way out, and the browser's own
    <dialog
      ref={dialog}
      className={classes("dialog", `dialog-${size}`)}
      tabIndex={-1}
      aria-labelledby={id}
      onClick={outside}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      {onSubmit ? (
        <form className="dialog-inside" onSubmit={submit} noValidate>
          {inside}
        </form>
      ) : (
        <div className="dialog-inside">{inside}</div>
      )}
    </dialog>
  );
}
