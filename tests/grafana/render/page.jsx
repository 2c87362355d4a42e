// The page that draws a dashboard: Grafana Scenes lays it out, and its panels draw the data that is given to them.

import './boot.js';
import 'uplot/dist/uPlot.min.css';
import { createRoot } from 'react-dom/client';
import { MemoryRouter } from 'react-router-dom';
import { EventBusSrv, LoadingState, ThemeContext, createTheme, dateTime } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { config, setAppEvents, setPluginImportUtils } from '@grafana/runtime';
import {
  CustomVariable,
  EmbeddedScene,
  SceneDataNode,
  SceneDataTransformer,
  SceneGridItem,
  SceneGridLayout,
  SceneGridRow,
  SceneTimePicker,
  SceneTimeRange,
  SceneVariableSet,
  VariableValueSelectors,
  VizPanel,
} from '@grafana/scenes';
import { GlobalStyles } from '@grafana/ui';
import { plugin, register } from './fields.mjs';
import { frames } from './frames.mjs';
import { findings, watchCanvas } from './look.js';
import { PANELS } from './panels.jsx';

const theme = createTheme();
let root = null;

/**
 * Draw a dashboard in place of the one before.
 *
 * @param job {dashboard, answers, range, variables}: answers are panel id to refId to Prometheus's answer
 */
window.draw = ({ dashboard, answers, range, variables }) => {
  root?.unmount();
  watchCanvas();
  const scene = new EmbeddedScene({
    $timeRange: new SceneTimeRange({ from: iso(range.from), to: iso(range.to), timeZone: 'utc' }),
    $variables: new SceneVariableSet({
      variables: dashboard.templating.list.flatMap((each) => variable(each, variables)),
    }),
    controls: [new VariableValueSelectors({}), new SceneTimePicker({})],
    body: new SceneGridLayout({
      isDraggable: false,
      isResizable: false,
      children: dashboard.panels.map((panel) => item(panel, { answers, range, variables })),
    }),
  });
  root = createRoot(document.getElementById('root'));
  root.render(<Page scene={scene} />);
};

window.findings = findings;

function iso(milliseconds) {
  return new Date(milliseconds).toISOString();
}

function variable({ name, label, hide, multi, includeAll, type }, values) {
  const value = values[name];
  if (value === undefined || type === 'adhoc') {
    return [];
  }
  const query = [value]
    .flat()
    .map((each) => each.replaceAll(',', '\\,'))
    .join(',');
  return [new CustomVariable({ name, label, hide, isMulti: multi, includeAll, query, value, text: value })];
}

function item(panel, given) {
  const { x, y, w: width, h: height } = panel.gridPos;
  if (panel.type === 'row') {
    return new SceneGridRow({ key: `row-${panel.id}`, title: panel.title, x, y, isCollapsed: false, children: [] });
  }
  return new SceneGridItem({ key: `item-${panel.id}`, x, y, width, height, body: body(panel, given) });
}

function body(panel, { answers, range, variables }) {
  const limits = { from: dateTime(range.from), to: dateTime(range.to) };
  const data = {
    state: LoadingState.Done,
    series: frames(panel, answers[panel.id] ?? {}, variables),
    timeRange: { ...limits, raw: limits },
  };
  return new VizPanel({
    key: `panel-${panel.id}`,
    title: panel.title,
    description: panel.description,
    pluginId: panel.type,
    options: panel.options,
    fieldConfig: panel.fieldConfig,
    displayMode: panel.transparent ? 'transparent' : 'default',
    $data: new SceneDataTransformer({
      $data: new SceneDataNode({ data }),
      transformations: panel.transformations ?? [],
    }),
  });
}

function Page({ scene }) {
  const style = {
    background: theme.colors.background.canvas,
    color: theme.colors.text.primary,
    boxSizing: 'border-box',
    minHeight: '100vh',
    padding: '8px 16px 8px 8px',
  };
  return (
    <ThemeContext.Provider value={theme}>
      <MemoryRouter>
        <GlobalStyles isExtensionSidebarOpen={false} />
        <div style={style}>
          <scene.Component model={scene} />
        </div>
      </MemoryRouter>
    </ThemeContext.Provider>
  );
}

config.theme2 = theme;
register();
const plugins = Object.fromEntries(
  Object.entries(PANELS).map(([type, component]) => [type, plugin(type, component)]),
);
setPluginImportUtils({
  importPanelPlugin: async (id) => plugins[id],
  getPanelPluginFromCache: (id) => plugins[id],
});
setAppEvents(new EventBusSrv());
initPluginTranslations('grafana-scenes', [async () => ({})]).then(() => {
  window.ready = true;
});
