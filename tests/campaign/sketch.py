"""A distribution that can be added up over sittings: counts in buckets that widen by a tenth, and the maximum."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

# From a millisecond up; 1.1 ** 120 milliseconds are 93 s.
_FIRST_S = 0.001
_FACTOR = 1.1


class Sketch:
    """Seconds that were measured. A quantile is right to a tenth, the maximum exactly."""

    def __init__(self, kept: Mapping[str, Any] | None = None) -> None:
        kept = kept or {}
        self.buckets: dict[int, int] = {int(b): n for b, n in kept.get("buckets", {}).items()}
        self.most = float(kept.get("most", 0.0))

    def __len__(self) -> int:
        return sum(self.buckets.values())

    def add(self, seconds: Iterable[float]) -> None:
        """Take in measurements."""
        for one in seconds:
            bucket = math.ceil(math.log(max(one, _FIRST_S) / _FIRST_S, _FACTOR))
            self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
            self.most = max(self.most, one)

    def merge(self, other: "Sketch") -> None:
        """Take in what somebody else measured."""
        for bucket, n in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + n
        self.most = max(self.most, other.most)

    def quantile(self, share: float) -> float | None:
        """Return what so great a share of the measurements did not exceed; None without any."""
        left = share * len(self)
        for bucket, n in sorted(self.buckets.items()):
            left -= n
            if left <= 0:
                return min(self.most, _FIRST_S * _FACTOR**bucket)
        return None

    def plain(self) -> dict[str, Any]:
        """Return it for a file."""
        return {"buckets": {str(b): n for b, n in sorted(self.buckets.items())}, "most": self.most}
