"""Write the JSON of all dashboards."""

from grafana.build import boards

boards.write()
