"""What Python's cycle collector looks at, and how often.

A worker's modules are half a million objects that stay for good. Left among the others they are looked through again
and again while events come and go: a fifth of what an event cost.
"""

import gc

# Of the youngest objects: a batch of 400 events is some 10,000, all of which are gone after its commit by themselves.
# Python's own 700 would look at them a dozen times while they wait for it.
YOUNG_MAX = 20_000


def settle() -> None:
    """Leave alone what is there now, for good; to be called once, when everything that a process needs is loaded."""
    gc.collect()
    gc.freeze()
    _, middle, old = gc.get_threshold()
    gc.set_threshold(YOUNG_MAX, middle, old)
