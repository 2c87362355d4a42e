"""Routes: the page for people, the exposition for Prometheus, JSON for scripts."""

from uptime_exporter.web.backend import Backend, Watching
from uptime_exporter.web.routes import create_app
from uptime_exporter.web.server import Listener, Server, listen

__all__ = ["Backend", "Listener", "Server", "Watching", "create_app", "listen"]
