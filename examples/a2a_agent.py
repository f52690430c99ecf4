"""A remote agent that speaks A2A: its card is at REMOTE_AGENT_URL, its bearer token, if any, in REMOTE_AGENT_TOKEN."""

import os

from holdfast.orchestrator.executors.a2a import a2a_workflow

remote = a2a_workflow(
    "remote",
    os.environ.get("REMOTE_AGENT_URL", "http://127.0.0.1:9999"),
    input=str,
    token_env="REMOTE_AGENT_TOKEN" if "REMOTE_AGENT_TOKEN" in os.environ else None,
    description="Has the work done by an agent elsewhere.",
)
