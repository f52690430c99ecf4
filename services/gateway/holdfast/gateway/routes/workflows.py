"""What can be run."""

from fastapi import APIRouter

from holdfast.gateway.gateway import Here
from holdfast.gateway.models import WorkflowList
from holdfast.gateway.principal import Caller
from holdfast.gateway.routes.answers import problems
from holdfast.gateway.views import workflow_view

router = APIRouter(tags=["workflows"])


@router.get("/v1/workflows", responses=problems(503))
async def list_workflows(here: Here, caller: Caller) -> WorkflowList:
    """List what the workers announced: versions, input schemas, load errors, live workers."""
    del caller  # the list is the same for everyone; the dependency keeps strangers out
    return WorkflowList(items=[workflow_view(item) for item in await here.workflows.items()])
