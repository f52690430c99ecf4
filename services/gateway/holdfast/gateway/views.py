"""How the store's records become answers: what a tenant may see of them."""

from collections.abc import Mapping
from typing import Any

from holdfast.events.store import Run, SessionInfo, WorkflowInfo
from holdfast.gateway.models import RunSummary, RunView, SessionDetail, SessionView, WorkflowView


def session_view(session: SessionInfo) -> SessionView:
    """Return what a session's tenant may see of it."""
    return SessionView(**_session_fields(session))


def session_detail(session: SessionInfo, runs: list[RunSummary]) -> SessionDetail:
    """Return a session with its runs."""
    return SessionDetail(**_session_fields(session), runs=runs)


def _session_fields(session: SessionInfo) -> Mapping[str, Any]:
    return {
        "session_id": session.session_id,
        "status": session.status,
        "head": session.head,
        "min_seq": session.min_seq,
        "created_at": session.created_at,
        "expires_at": session.expires_at,
        "ttl_s": session.ttl_s,
        "metadata": dict(session.metadata),
        "active_run": session.active_run,
    }


def run_view(run: Run, *, stream: str) -> RunView:
    """Return what a run's tenant may see of it."""
    return RunView(
        run_id=run.run_id,
        session_id=run.session_id,
        workflow=run.workflow,
        workflow_version=run.workflow_version,
        status=run.status,
        input=run.input,
        after=run.after,
        attempts=run.attempts,
        parent_run_id=run.parent_run_id,
        user_id=run.user_id,
        trace_id=run.trace_id,
        waiting=dict(run.waiting),
        priority=run.priority,
        timeout_s=run.timeout_s,
        held_by=run.held_by,
        due_at=run.due_at,
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        stream=stream,
    )


def run_summary(run: Run) -> RunSummary:
    """Return a run in short."""
    return RunSummary(
        run_id=run.run_id,
        workflow=run.workflow,
        status=run.status,
        created_at=run.created_at,
        ended_at=run.ended_at,
    )


def workflow_view(workflow: WorkflowInfo) -> WorkflowView:
    """Return what is known of a workflow."""
    schema = workflow.input_schema
    return WorkflowView(
        name=workflow.name,
        version=workflow.version,
        description=workflow.description,
        input_schema=None if schema is None else dict(schema),
        load_error=workflow.load_error,
        workers=list(workflow.workers),
        max_concurrent=workflow.max_concurrent,
    )
