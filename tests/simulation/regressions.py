"""Seeds that once failed, each with what it found. They are run with every change: the cheapest memory there is.

A seed means the same schedule only as long as `plan` draws in the same order; what the product did wrong is also a test
by itself, in `tests/orchestrator/test_simulated_findings.py`.
"""

REGRESSIONS: dict[int, str] = {
    2: "a run began before its start command was settled, whose event then followed the run's terminal one",
    15: "the same, with the run asked for between the look at the commands and the one at the runs",
    134: "an erasure while Redis was away left what was erased in the window, and no sweep took it out",
    157: "the same, with the erasing event published onto the old window by a worker that then died",
    180: "a nap that was resumed on a machine whose wall clock was behind lasted longer by as much",
    67: "the same, with a question's deadline: the run waited again, and again",
    1048: "two owners whose clocks were behind wrote the same bytes: one event was taken for refused and recorded",
    1516: "a command in the buffer of a Redis that was failed over from was carried out by its successor",
    10872: "a sweep held up in a Redis that hung wrote the window of a session that was erased in between",
    13883: "the same after an erasure whose second half was lost: an empty window takes whatever comes late",
    103747: "a caller took a refusal for the answer to an attempt that was carried out later: nobody knew of its run",
    299: "a client of an expired session is told that there is no more; the erasure that follows is not owed to it",
}
