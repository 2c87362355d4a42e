"""The toolkit, usable by any asyncio application: breaker, retry, drain."""
