"""What a failed run says at its end: what happened, in which step of which workflow, and what to do about it.

The events of the step itself (`step.failed`, `llm.failed`, …) say only what happened: where is in their envelope.
"""

import re
from collections.abc import Mapping

from holdfast.events.catalog import ErrorInfo
from holdfast.orchestrator.problems import ERROR_TEXT_MAX, error_info

_FALLBACK = "name a model that stands in with HOLDFAST_LLM_FALLBACK_MODELS"

ADVICE: Mapping[str, str] = {
    "workflow-error": "the worker's log has the traceback; what may pass is tried again with ctx.step(…, retry=…)",
    "append-refused": "the log can't take it as it is: see the worker's log, and record less, or something else",
    "event-invalid": "record something smaller, as JSON",
    "poison": "its code ends the worker, or holds it up: see the logs of these workers before a new run is asked for",
    "blocked": "a middleware decides about this run: its rule has to change, or what is asked for",
    "middleware-failed": "see the worker's log for the middleware's traceback",
    "input-expired": "ask again in a new run, or give ctx.input a longer timeout_s or a default",
    "offload": "what is offloaded stands at the top of a module, and its arguments and result can be pickled",
    "model-misconfigured": "mend the HOLDFAST_LLM_… settings and restart the worker",
    "model-unreachable": f"check HOLDFAST_LLM_BASE_URL and the network, or {_FALLBACK}",
    "model-connect-timeout": f"check HOLDFAST_LLM_BASE_URL and the network, or {_FALLBACK}",
    "model-timeout": f"ask again, or {_FALLBACK}",
    "model-first-token-timeout": f"allow more with HOLDFAST_LLM_FIRST_TOKEN_TIMEOUT_S, or {_FALLBACK}",
    "model-between-tokens-timeout": f"allow more with HOLDFAST_LLM_BETWEEN_TOKEN_TIMEOUT_S, or {_FALLBACK}",
    "model-total-timeout": "allow more with HOLDFAST_LLM_TOTAL_TIMEOUT_S, or ask for a shorter answer",
    "model-refused": "the worker's log has the provider's own words",
    "model-key-refused": "set the key that the provider gave you, and restart the worker",
    "model-unknown": "ask the provider for its models, and restart the worker",
    "model-quota-exhausted": f"pay the provider, or {_FALLBACK}",
    "model-rate-limited": f"start the run again later, or {_FALLBACK}",
    "model-failed": f"start the run again later, or {_FALLBACK}",
    "model-cut-off": "start the run again",
    "model-garbled": "HOLDFAST_LLM_BASE_URL has to lead to an API that streams chat completions",
    "remote-agent-unreachable": "see that it runs and can be reached from the worker; then start the run again",
    "remote-agent-refused": "mend the address or the credentials that the workflow was given",
    "remote-task-failed": "the remote agent said so: look there",
    "remote-task-cancelled": "somebody ended it at the remote agent: look there",
    "agent-stream-broken": "its adapter breaks the AG-UI protocol: see the worker's log, and try a newer version of it",
}
"""By an error's code."""

# What these say is advice already.
_SAY_IT_THEMSELVES = frozenset({"nondeterminism", "step-timeout", "timeout"})

# How LangGraph tells of the task in which an error was raised.
_TASK_NOTE = re.compile(r"During task with name '([^']+)'")


def raised_in(error: BaseException, step: str) -> None:
    """Note the step in which an error was raised, where its own words don't tell; the innermost counts."""
    if step_of(error) is None:
        error.__dict__.setdefault("holdfast_step", step)


def step_of(error: BaseException) -> str | None:
    """Return the step in which an error was raised, if that is known."""
    if isinstance(noted := getattr(error, "holdfast_step", None), str):
        return noted
    notes = [str(note) for note in getattr(error, "__notes__", ())]
    return next((found[1] for note in notes if (found := _TASK_NOTE.search(note))), None)


def failure_of(error: BaseException, workflow: str) -> ErrorInfo:
    """Return the error of a run that fails with `error`, which may bring `advice` of its own."""
    own = getattr(error, "advice", None)
    advice = own if isinstance(own, str) else None
    return advised(error_info(error), workflow, step_of(error), advice)


def advised(
    info: ErrorInfo, workflow: str, step: str | None = None, advice: str | None = None
) -> ErrorInfo:
    """Return an error whose message says where it was and what to do, too, in no more than ERROR_TEXT_MAX."""
    text = info.message.rstrip(". ")
    places = [
        f"{word} {name!r}"
        for word, name in (("step", step), ("workflow", workflow))
        if name and f"{word} {name!r}" not in text
    ]
    place = f" ({' of '.join(places)})" if places else ""
    advice = advice or ADVICE.get(info.code, ADVICE["workflow-error"])
    told = info.code in _SAY_IT_THEMSELVES or advice in text
    ending = place if told else f"{place}; {advice}"
    message = text[: ERROR_TEXT_MAX - len(ending)] + ending
    return info.model_copy(update={"message": message})
