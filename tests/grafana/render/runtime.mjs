// The one function of @grafana/runtime that the data source's result code names; it is for exemplars, which have none.

/** Refuse: there is no Grafana to ask. */
export function getDataSourceSrv() {
  throw new Error('no data sources outside Grafana');
}
