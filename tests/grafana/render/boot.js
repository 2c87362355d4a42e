// What Grafana's server writes into its page, so far as the panels read it. It must run before any of them is loaded.

window.__grafana_public_path__ = '/';
window.__grafanaSceneContext = {};
window.grafanaBootData = {
  user: { orgId: 1, locale: 'en-US', language: 'en-US', timezone: 'utc', weekStart: 'monday', lightTheme: false },
  settings: {
    appSubUrl: '',
    apps: {},
    bootData: {},
    buildInfo: { version: '13.2.2', env: 'production' },
    datasources: {},
    defaultDatasource: '',
    featureToggles: {},
    licenseInfo: { enabledFeatures: {} },
    panels: {},
    unifiedAlerting: {},
  },
  navTree: [],
};
