import { createContext, type ReactNode, useCallback, useContext, useEffect, useRef, useState } from "react";
import { IconButton } from "./Button.tsx";
import { classes } from "./classes.ts";
import { Icon } from "./Icon.tsx";
import { Text } from "./Text.tsx";
import "./Toast.css";

export interface ToastContent {
  readonly tone?: "info" | "success" | "error";
  readonly title: string;
  readonly detail?: string;
}

interface Shown extends ToastContent {
  readonly id: number;
}

// An error is read, a confirmation is glanced at.
const SHOWN_MS = { info: 5_000, success: 4_000, error: 12_000 } as const;

// More of them would cover what they are about.
const SHOWN_MAX = 4;

const Toasts = createContext<(toast: ToastContent) => void>(() => undefined);

/** Return what shows a short notice at the edge of the page. Nothing that must be read may stand only there. */
export function useToast(): (toast: ToastContent) => void {
  return useContext(Toasts);
}

/** Hold the notices of the page. */
export function Toaster({ children }: { readonly children: ReactNode }) {
  const [shown, setShown] = useState<readonly Shown[]>([]);
  const next = useRef(0);
  const dismiss = useCallback((id: number) => setShown((all) => all.filter((toast) => toast.id !== id)), []);
  const show = useCallback((toast: ToastContent) => {
    next.current += 1;
    const added = { ...toast, id: next.current };
    setShown((all) => [...all, added].slice(-SHOWN_MAX));
  }, []);
  const urgent = shown.some((toast) => toast.tone === "error");
  return (
    <Toasts value={show}>
      {children}
      <div className="toasts" role="region" aria-label="Notices">
        <div role="log" aria-live={urgent ? "assertive" : "polite"}>
          {shown.map((toast) => (
            <ToastCard key={toast.id} toast={toast} onDismiss={dismiss} />
          ))}
        </div>
      </div>
    </Toasts>
  );
}

function ToastCard({ toast, onDismiss }: { readonly toast: Shown; readonly onDismiss: (id: number) => void }) {
  const tone = toast.tone ?? "info";
  useEffect(() => {
    const timer = setTimeout(() => onDismiss(toast.id), SHOWN_MS[tone]);
    return () => clearTimeout(timer);
  }, [toast.id, tone, onDismiss]);
  return (
    <div className={classes("toast", `toast-${tone}`)}>
      <span className="toast-icon">
        <Icon name={tone === "success" ? "check" : tone === "error" ? "alert" : "info"} />
      </span>
      <div className="toast-words">
        <div className="toast-title">
          <Text>{toast.title}</Text>
        </div>
        {toast.detail !== undefined && (
          <div className="toast-detail">
            <Text limit={300}>{toast.detail}</Text>
          </div>
        )}
      </div>
      <IconButton size="sm" label="Dismiss" onClick={() => onDismiss(toast.id)}>
        <Icon name="close" size={14} />
      </IconButton>
    </div>
  );
}
