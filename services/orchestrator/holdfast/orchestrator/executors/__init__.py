"""One file per kind of agent, each an `Executor` (see `holdfast.orchestrator.workflow`)."""
