// The panels by type: each hands its data to Grafana's own component, as Grafana's panel does. State timeline, status
// history and gauge have no component on npm: what stands in for them here shows the same names, texts and colours.

import { useMemo } from 'react';
import {
  EventBusSrv,
  FieldType,
  cacheFieldDisplayNames,
  getFieldDisplayName,
  getFieldDisplayValues,
  renderTextPanelMarkdown,
} from '@grafana/data';
import {
  BarGauge,
  BigValue,
  PanelContextProvider,
  RenderUserContentAsHTML,
  TimeSeries,
  VizRepeater,
  useTheme2,
} from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

const events = { eventsScope: 'page', eventBus: new EventBusSrv() };
const LEGEND = { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] };

function values(panel, theme, sparkline) {
  return getFieldDisplayValues({
    data: panel.data.series,
    fieldConfig: panel.fieldConfig,
    reduceOptions: { calcs: ['lastNotNull'], ...panel.options.reduceOptions },
    replaceVariables: panel.replaceVariables,
    theme,
    timeZone: panel.timeZone,
    sparkline,
  });
}

function Nothing({ fieldConfig }) {
  return (
    <div style={{ display: 'grid', placeItems: 'center', height: '100%' }}>
      {fieldConfig.defaults.noValue ?? 'No data'}
    </div>
  );
}

function orNothing(Panel) {
  return function Guarded(panel) {
    return panel.data.series.some((frame) => frame.length > 0) ? <Panel {...panel} /> : <Nothing {...panel} />;
  };
}

function Repeated({ panel, getValues, render }) {
  const { width, height, data, renderCounter, options } = panel;
  return (
    <VizRepeater
      {...{ width, height, renderCounter, getValues }}
      source={data}
      orientation={options.orientation ?? 'auto'}
      autoGrid
      renderValue={render}
      minVizWidth={options.minVizWidth}
      minVizHeight={options.minVizHeight}
      maxVizHeight={options.maxVizHeight}
    />
  );
}

function Stat(panel) {
  const theme = useTheme2();
  const {
    colorMode = 'value',
    graphMode = 'area',
    justifyMode = 'auto',
    textMode = 'auto',
    text,
    wideLayout,
  } = panel.options;
  const draw = ({ value, width, height, count }) => (
    <BigValue
      {...{ width, height, count, theme, colorMode, graphMode, justifyMode, text, wideLayout }}
      value={value.display}
      sparkline={value.sparkline}
      textMode={textMode}
      hasLinks={value.hasLinks}
    />
  );
  return <Repeated panel={panel} getValues={() => values(panel, theme, graphMode !== 'none')} render={draw} />;
}

function Bars(panel) {
  const theme = useTheme2();
  const { displayMode = 'gradient', showUnfilled = true, valueMode, namePlacement, text } = panel.options;
  const draw = ({ value, width, height, orientation, alignmentFactors }) => (
    <BarGauge
      {...{ width, height, theme, text, displayMode, showUnfilled, orientation, alignmentFactors, namePlacement }}
      value={value.display}
      field={value.field}
      display={value.view?.getFieldDisplayProcessor(value.colIndex)}
      valueDisplayMode={valueMode}
    />
  );
  return <Repeated panel={panel} getValues={() => values(panel, theme, false)} render={draw} />;
}

function Lines({ data, timeRange, timeZone, width, height, options, replaceVariables }) {
  return (
    <PanelContextProvider value={events}>
      <TimeSeries
        {...{ timeRange, timeZone, width, height, options, replaceVariables }}
        frames={data.series.filter((frame) => frame.length > 0)}
        legend={{ ...LEGEND, ...options.legend }}
      />
    </PanelContextProvider>
  );
}

function Table({ data, width, height, options, fieldConfig, timeRange }) {
  const { showHeader = true, cellHeight = 'sm', sortBy, enablePagination, frozenColumns, frameIndex = 0 } = options;
  useMemo(() => cacheFieldDisplayNames(data.series), [data.series]);
  return (
    <div data-frames={data.series.length} style={{ width, height }}>
      <TableNG
        {...{ width, height, sortBy, cellHeight, enablePagination, fieldConfig, timeRange }}
        data={data.series[frameIndex]}
        noHeader={!showHeader}
        noValue={fieldConfig.defaults.noValue}
        frozenColumns={frozenColumns?.left}
        resizable
        initialRowIndex={undefined}
        structureRev={1}
        disableSanitizeHtml={false}
        enableVirtualization={false}
      />
    </div>
  );
}

function Text({ options, replaceVariables }) {
  const text = replaceVariables(options.content ?? '');
  return (
    <RenderUserContentAsHTML
      className="markdown-html"
      content={options.mode === 'html' ? text : renderTextPanelMarkdown(text)}
    />
  );
}

function States({ data, timeRange, height, options }) {
  const all = data.series.flatMap((frame) =>
    frame.fields.filter(({ type }) => type !== FieldType.time).map((field) => ({ frame, field })),
  );
  const rows = all.slice(0, options.perPage ?? 20);
  const tall = Math.min(30, Math.floor((height - 24) / Math.max(rows.length, 1)));
  const grid = {
    display: 'grid',
    gridTemplateColumns: 'max-content 1fr',
    gridAutoRows: tall,
    columnGap: 8,
    alignItems: 'center',
  };
  return (
    <div style={{ fontSize: 12, lineHeight: 1 }}>
      <div style={grid}>
        {rows.map(({ frame, field }) => {
          const name = getFieldDisplayName(field, frame, data.series);
          const height = tall * (options.rowHeight ?? 0.9);
          return [
            <div key={`${name} name`}>{name}</div>,
            <Spans key={name} {...{ name, frame, field, timeRange, options, height }} />,
          ];
        })}
      </div>
      {all.length > rows.length && <div>{`1 to ${rows.length} of ${all.length}`}</div>}
    </div>
  );
}

function Spans({ name, frame, field, timeRange, options, height }) {
  const theme = useTheme2();
  const [from, to] = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  const part = (milliseconds) => `${(100 * milliseconds) / (to - from)}%`;
  return (
    <div style={{ position: 'relative', height }}>
      {spans(frame, field, to).map(({ begin, end, value }) => {
        const { text, color: background = '' } = field.display(value);
        const place = {
          position: 'absolute',
          left: part(begin - from),
          width: part(end - begin),
          height,
          lineHeight: `${height}px`,
        };
        const ink = {
          background,
          color: theme.colors.getContrastText(background || '#000'),
          paddingLeft: 4,
          overflow: 'hidden',
        };
        const told = options.showValue !== 'never' && height >= 14 && (end - begin) / (to - from) > 0.1;
        return (
          <div key={begin} data-row={name} data-span={text} title={text} style={{ ...place, ...ink }}>
            {told && text}
          </div>
        );
      })}
    </div>
  );
}

function spans(frame, field, to) {
  const times = frame.fields.find(({ type }) => type === FieldType.time).values;
  const interval = frame.fields[0].config.interval ?? Infinity;
  const found = [];
  times.forEach((begin, index) => {
    const end = Math.min(times[index + 1] ?? to, begin + interval);
    const last = found.at(-1);
    if (last && last.value === field.values[index] && last.end >= begin - 1) {
      last.end = end;
    } else {
      found.push({ begin, end, value: field.values[index] });
    }
  });
  return found;
}

export const PANELS = {
  stat: Stat,
  gauge: Bars,
  bargauge: Bars,
  timeseries: orNothing(Lines),
  table: orNothing(Table),
  text: Text,
  'state-timeline': orNothing(States),
  'status-history': orNothing(States),
};
