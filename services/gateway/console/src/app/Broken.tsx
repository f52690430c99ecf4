import { Component, type ReactNode } from "react";
import { Button } from "../ui/Button.tsx";
import { EmptyState } from "../ui/EmptyState.tsx";
import { Icon } from "../ui/Icon.tsx";
import { Text } from "../ui/Text.tsx";

interface BrokenProps {
  /** Another page gets another try. */
  readonly page: string;
  readonly children: ReactNode;
}

interface BrokenState {
  readonly error: Error | null;
  readonly page: string;
}

/** Keeps a bug of one page from taking the console with it. */
export class Broken extends Component<BrokenProps, BrokenState> {
  override state: BrokenState = { error: null, page: this.props.page };

  static getDerivedStateFromError(error: unknown): Partial<BrokenState> {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  static getDerivedStateFromProps(props: BrokenProps, state: BrokenState): Partial<BrokenState> | null {
    return props.page === state.page ? null : { error: null, page: props.page };
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return (
      <EmptyState
        icon={<Icon name="alert" size={24} />}
        title="This page broke"
        action={<Button onClick={() => location.reload()}>Load it again</Button>}
      >
        <Text mono>{this.state.error.message}</Text>
        <p>The runs are not affected: what is shown here is read from the log.</p>
      </EmptyState>
    );
  }
}
