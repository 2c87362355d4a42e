// What Prometheus answered, as the frames that a panel gets: the backend half of Grafana's Prometheus data source,
// which is not on npm, and then its other half, which is.

import { FieldType, toDataFrame } from '@grafana/data';
import { transformV2 } from './node_modules/@grafana/prometheus/dist/esm/result_transformer.mjs';

/**
 * Return the frames of one panel.
 *
 * @param panel as in the dashboard's JSON
 * @param answers refId to Prometheus's `data` object, {resultType, result}, and the `step` of a range in seconds
 * @param variables what is chosen in the dashboard
 */
export function frames(panel, answers, variables) {
  const targets = (panel.targets ?? [])
    .filter((target) => !target.hide)
    .map((target) => ({ ...target, legendFormat: filledIn(target.legendFormat, variables) }));
  const data = targets.flatMap((target) => fromBackend(target, answers[target.refId]));
  return transformV2({ data }, { targets }, {}).data.map(toDataFrame);
}

function filledIn(legend, variables) {
  return legend?.replace(/\$\{(\w+)\}|\$(\w+)/g, (_, braced, plain) => variables[braced ?? plain]);
}

function fromBackend(target, answer) {
  const meta = { custom: { resultType: answer.resultType }, executedQueryString: target.expr };
  if (answer.result.length === 0) {
    return [{ refId: target.refId, fields: [], length: 0, meta }]; // it always sends one, for its meta data
  }
  return answer.result.map((series) => frame(target, series, answer.step, meta));
}

function frame(target, series, step, meta) {
  const samples = series.values ?? [series.value];
  const name = displayName(target, series.metric);
  return {
    refId: target.refId,
    meta,
    length: samples.length,
    fields: [
      {
        name: 'Time',
        type: FieldType.time,
        config: step ? { interval: step * 1000 } : {},
        values: samples.map(([seconds]) => seconds * 1000),
      },
      {
        name: series.metric.__name__ ?? 'Value',
        type: FieldType.number,
        labels: series.metric,
        config: name === '' ? {} : { displayNameFromDS: name },
        values: samples.map(([, text]) => number(text)),
      },
    ],
  };
}

function displayName(target, { __name__: metric = '', ...labels }) {
  if (target.legendFormat === '__auto') {
    return metric !== '' || Object.keys(labels).length > 0 ? '' : target.expr;
  }
  if (target.legendFormat) {
    return target.legendFormat.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => labels[label] ?? '');
  }
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return metric !== '' || pairs.length > 0 ? `${metric}{${pairs.join(', ')}}` : target.expr;
}

function number(text) {
  return text.endsWith('Inf') ? Number(text.replace('Inf', 'Infinity')) : Number(text);
}
