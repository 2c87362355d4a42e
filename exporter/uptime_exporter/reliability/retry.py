"""How often to try again, and how long to wait before it."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter.

    The pause before retry *n* (from 1) is drawn evenly between half and the whole of ``backoff * 2**(n-1)``
    seconds: callers that failed together come back apart, and the longest case is known beforehand.
    """

    retries: int = 2
    """Attempts after the first."""
    backoff: float = 1.0
    """Seconds before the first retry, at most."""

    def pauses(self, uniform: Callable[[float, float], float] = random.uniform) -> Iterator[float]:
        """Yield the pause in seconds before each retry."""
        for n in range(self.retries):
            whole = self.backoff * 2**n
            yield uniform(whole / 2, whole)

    def longest(self, timeout: float) -> float:
        """Return the seconds that all attempts of at most *timeout* seconds and the pauses can take."""
        return (self.retries + 1) * timeout + self.backoff * float(2**self.retries - 1)
