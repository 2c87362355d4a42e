"""The dashboards, written in Python: `python -m grafana.build` writes the JSON that Grafana reads."""
