"""What must be true of every history. The sentences stand at the checks; here they have names."""

from enum import StrEnum


class Invariant(StrEnum):
    """The names of the invariants, as ARCHITECTURE.md tells of them."""

    DURABILITY = "I1"
    DENSE_LOG = "I2"
    CLIENT_ORDER = "I3"
    DURABLE_BEFORE_VISIBLE = "I4"
    AGREEMENT = "I5"
    ONE_TERMINAL = "I6"
    STEP_ONCE = "I7"
    SINGLE_WRITER = "I8"
    COMMANDS = "I9"
    LIVENESS = "I10"
    BOUNDED = "I11"
    ISOLATION = "I12"
    ROW_AND_LOG = "I13"

    @property
    def words(self) -> str:
        """A few words, as they stand in the name: `durable before visible`."""
        return self.name.lower().replace("_", " ")
