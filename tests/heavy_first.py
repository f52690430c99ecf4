"""A pytest plugin, loaded by `make test`: the files that take longest are handed out first.

A file is one process's, from its first test to its last (`--dist loadfile`). By itself xdist begins with the files that
have most tests, which are the quick ones: in the end one process plays a long file, and the others look on.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]

# Seconds on two quiet cores, of the files that take more than a few (`--durations=0`, added up by file). What isn't
# listed comes behind, in its own order. Being wrong costs time, and nothing else.
SECONDS: Mapping[str, int] = {
    "tests/orchestrator/golden/test_killed.py": 59,
    "tests/cli/test_process.py": 46,
    "tests/examples/test_commands.py": 46,
    "tests/fuzz/test_sse.py": 43,
    "tests/e2e/test_command_line.py": 38,
    "tests/browser/test_following.py": 28,
    "tests/subscribe/test_process.py": 26,
    "tests/browser/test_accessible.py": 25,
    "tests/gateway/http/test_http_process.py": 25,
    "tests/fuzz/test_api_against_a_model.py": 24,
    "tests/verify/test_lies.py": 21,
    "tests/local/test_supervisor.py": 20,
    "tests/verify/test_stopping.py": 19,
    "tests/browser/test_keyboard.py": 18,
    "tests/browser/test_doing.py": 17,
    "tests/browser/test_hostile.py": 17,
    "tests/simulation/test_schedules.py": 16,
    "tests/simulation/test_mutants.py": 14,
    "tests/events/test_fold_twin.py": 13,
    "tests/orchestrator/test_langgraph_takeover.py": 11,
    "tests/orchestrator/test_worker_takeover.py": 11,
    "tests/subscribe/test_killed.py": 11,
    "tests/e2e/test_resume.py": 10,
    "tests/fuzz/test_raw_http.py": 10,
    "tests/gateway/http/test_http_reading.py": 10,
    "tests/interop/test_browser_pages.py": 9,
    "tests/subscribe/test_projection.py": 9,
    "tests/client/test_follow.py": 8,
    "tests/contract/test_stream_redis.py": 8,
    "tests/e2e/test_dev_files.py": 8,
    "tests/gateway/http/test_http_runs.py": 8,
    "tests/gateway/http/test_http_streams.py": 8,
    "tests/gateway/test_every_interleaving.py": 8,
    "tests/interop/test_third_party_clients.py": 8,
    "tests/orchestrator/test_worker_commands.py": 8,
    "tests/browser/test_client_js.py": 7,
    "tests/events/test_fold_properties.py": 7,
    "tests/gateway/http/test_http_console.py": 7,
    "tests/gateway/http/test_http_queue.py": 7,
    "tests/orchestrator/test_worker_queue.py": 7,
    "tests/simulation/test_campaign.py": 7,
    "tests/cli/test_commands.py": 6,
    "tests/contract/test_store_housekeeping.py": 6,
    "tests/contract/test_store_waits.py": 6,
    "tests/fuzz/test_openapi.py": 6,
    "tests/gateway/http/test_http_limits.py": 6,
    "tests/gateway/test_slow_readers.py": 6,
    "tests/orchestrator/test_a2a.py": 6,
    "tests/orchestrator/test_langgraph.py": 6,
    "tests/orchestrator/test_main.py": 6,
    "tests/orchestrator/test_plain_replay.py": 6,
    "tests/orchestrator/test_plain_steps.py": 6,
    "tests/e2e/test_event_source.py": 5,
    "tests/gateway/http/test_http_operations.py": 5,
    "tests/gateway/http/test_http_sessions.py": 5,
    "tests/orchestrator/golden/test_golden.py": 5,
    "tests/orchestrator/test_langgraph_more.py": 5,
    "tests/verify/test_checker.py": 5,
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of heavy files in front; within a file, and among the others, their order stays."""
    items.sort(key=lambda item: -SECONDS.get(item.path.relative_to(_ROOT).as_posix(), 0))
