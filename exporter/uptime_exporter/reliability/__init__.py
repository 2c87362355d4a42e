"""The toolkit, usable by any asyncio application: breaker, retry, drain, and what tells of them."""

from uptime_exporter.reliability.breaker import CircuitBreaker
from uptime_exporter.reliability.core import Reliability
from uptime_exporter.reliability.drain import GracefulShutdown
from uptime_exporter.reliability.gate import CircuitOpenError
from uptime_exporter.reliability.health import HealthMonitor
from uptime_exporter.reliability.install import InstallError, Paths, install
from uptime_exporter.reliability.requests import RequestAccounting
from uptime_exporter.reliability.retry import Retry, RetryBudget, RetryPolicy

__all__ = [
    "CircuitBreaker",
    "CircuitOpenError",
    "GracefulShutdown",
    "HealthMonitor",
    "InstallError",
    "Paths",
    "Reliability",
    "RequestAccounting",
    "Retry",
    "RetryBudget",
    "RetryPolicy",
    "install",
]
