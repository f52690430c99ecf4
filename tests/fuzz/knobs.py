"""How much is tried: what fits into CI, or as much as somebody asks for.

`HOLDFAST_FUZZ=20` tries twenty times as much as CI does, with other examples than CI's.
"""

import os

TIMES = int(os.environ.get("HOLDFAST_FUZZ", "1"))

# CI tries the same examples every time: what it finds is then the fault of what was changed.
IS_CI = TIMES == 1


def times(examples: int) -> int:
    """Return how many examples to try of what CI tries so many of."""
    return examples * TIMES
