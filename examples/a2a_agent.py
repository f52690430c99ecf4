"""A remote agent that speaks A2A: REMOTE_AGENT_URL says where its card is, REMOTE_AGENT_TOKEN is its bearer token.

Without a URL it is the one of `a2a_server.py`, in a process of its own that ends with this one.
"""

import os
import subprocess
import sys
from pathlib import Path

from holdfast.orchestrator.executors.a2a import a2a_workflow


def librarian() -> tuple[subprocess.Popen[str], str]:
    """Start the agent beside this file; return it, and where it is."""
    command = [sys.executable, str(Path(__file__).with_name("a2a_server.py"))]
    pipe = subprocess.PIPE
    server = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True)
    assert server.stdout is not None
    return server, server.stdout.readline().strip()


given = os.environ.get("REMOTE_AGENT_URL")
server, url = (None, given) if given else librarian()

remote = a2a_workflow(
    "remote",
    url,
    input=str,
    token_env="REMOTE_AGENT_TOKEN" if "REMOTE_AGENT_TOKEN" in os.environ else None,
    description="Has the work done by an agent elsewhere.",
)
