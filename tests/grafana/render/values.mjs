// Says what each value of a panel shows, and in which colour: jobs as JSON in, a list of shown values each out.
//
// A job is {panel, answers, variables, now}, see frames.mjs. A stat shows [{title, text, color}], a table
// [{column: {text, color}}], anything else as a stat does. `color` is the name that the panel's JSON uses.

import { readFileSync } from 'node:fs';
import { firstValueFrom } from 'rxjs';
import {
  applyFieldOverrides,
  createTheme,
  formattedValueToString,
  getFieldDisplayName,
  getFieldDisplayValues,
  getPanelOptionsWithDefaults,
  transformDataFrame,
} from '@grafana/data';
import { plugin, register } from './fields.mjs';
import { frames } from './frames.mjs';

const theme = createTheme();
const asItIs = (text) => text;
const COLOURED_CELLS = ['color-text', 'color-background'];

async function shown({ panel: written, answers, variables, now }) {
  const panel = started(written);
  Date.now = () => now; // "3 minutes ago" is counted from here
  const transformed = await firstValueFrom(
    transformDataFrame(panel.transformations ?? [], frames(panel, answers, variables), { interpolate: asItIs }),
  );
  const data = applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig,
    replaceVariables: asItIs,
    theme,
    timeZone: 'utc',
    fieldConfigRegistry: plugin(panel.type).fieldConfigRegistry,
  });
  const name = colourNames(panel);
  return panel.type === 'table' ? rows(data, name) : values(panel, data, name);
}

/** Return the panel as Grafana completes it when it starts one: the lowest limit, null in JSON, becomes -∞. */
function started(panel) {
  const { options, fieldConfig } = getPanelOptionsWithDefaults({
    plugin: plugin(panel.type),
    currentOptions: panel.options ?? {},
    currentFieldConfig: panel.fieldConfig,
    isAfterPluginChange: false,
  });
  return { ...panel, options, fieldConfig };
}

function values(panel, data, name) {
  const fields = {
    data,
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options?.reduceOptions ?? { calcs: ['lastNotNull'] },
    replaceVariables: asItIs,
    theme,
    timeZone: 'utc',
  };
  const { textMode, colorMode } = panel.options;
  return getFieldDisplayValues(fields).map(({ display }) => ({
    title: textMode === 'value' ? null : (display.title ?? null),
    text: textMode === 'name' ? null : formattedValueToString(display),
    color: colorMode === 'none' ? null : name(display.color),
  }));
}

function rows([frame], name) {
  const seen = (frame?.fields ?? []).filter(
    (field) => !field.config.custom?.hideFrom?.viz && !field.config.custom?.hidden,
  );
  return Array.from({ length: frame?.length ?? 0 }, (_, row) =>
    Object.fromEntries(seen.map((field) => [getFieldDisplayName(field, frame), cell(field, row, name)])),
  );
}

function cell(field, row, name) {
  const display = field.display(field.values[row]);
  const coloured = COLOURED_CELLS.includes(field.config.custom?.cellOptions?.type);
  return { text: formattedValueToString(display), color: coloured ? name(display.color) : null };
}

function colourNames(panel) {
  const names = new Set(JSON.stringify(panel.fieldConfig).match(/(?<="(?:color|fixedColor)":")[^"]+/g));
  const byValue = new Map([...names].map((name) => [theme.visualization.getColorByName(name), name]));
  return (colour) => byValue.get(colour) ?? colour;
}

async function all(jobs) {
  const said = [];
  for (const job of jobs) {
    said.push(await shown(job)); // one after the other: each sets the time
  }
  return said;
}

register();
all(JSON.parse(readFileSync(0, 'utf8'))).then((said) => console.log(JSON.stringify(said)));
