// The options that fields of each type of panel have, as Grafana registers them: what is not registered is dropped.

import {
  FieldColorModeId,
  PanelPlugin,
  booleanOverrideProcessor,
  dataLinksOverrideProcessor,
  displayNameOverrideProcessor,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  stringOverrideProcessor,
  thresholdsOverrideProcessor,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';

const PROCESSORS = {
  displayName: displayNameOverrideProcessor,
  description: stringOverrideProcessor,
  unit: unitOverrideProcessor,
  min: numberOverrideProcessor,
  max: numberOverrideProcessor,
  fieldMinMax: booleanOverrideProcessor,
  decimals: numberOverrideProcessor,
  noValue: stringOverrideProcessor,
  color: identityOverrideProcessor,
  thresholds: thresholdsOverrideProcessor,
  mappings: valueMappingsOverrideProcessor,
  links: dataLinksOverrideProcessor,
  actions: identityOverrideProcessor,
};

const DEFAULTS = {
  color: { mode: FieldColorModeId.Thresholds },
  mappings: [],
  thresholds: {
    mode: 'absolute',
    steps: [
      { value: -Infinity, color: 'green' },
      { value: 80, color: 'red' },
    ],
  },
};

const COLOUR_OF_SERIES = new Set(['timeseries']);

const CUSTOM = {
  table: words(
    'align cellOptions filterable footer hidden hideFrom inspect minWidth tooltip width wrapHeaderText wrapText',
  ),
  timeseries: [
    ...words('axisBorderShow axisCenteredZero axisColorMode axisGridShow axisLabel axisPlacement axisSoftMax'),
    ...words('axisSoftMin axisWidth barAlignment barMaxWidth barWidthFactor drawStyle fillBelowTo fillColor'),
    ...words('fillOpacity gradientMode hideFrom insertNulls lineColor lineInterpolation lineStyle lineWidth'),
    ...words('pointColor pointSize pointSymbol scaleDistribution showPoints showValues spanNulls stacking'),
    ...words('thresholdsStyle transform'),
  ],
  'state-timeline': words('axisPlacement fillOpacity hideFrom insertNulls lineWidth spanNulls'),
  'status-history': words('axisPlacement fillOpacity hideFrom lineWidth'),
};

const STARTS_WITH = {
  timeseries: {
    drawStyle: 'line',
    lineInterpolation: 'linear',
    lineWidth: 1,
    fillOpacity: 0,
    showPoints: 'auto',
    pointSize: 5,
  },
};

/** Return a panel plugin of this type, which draws with *component* if one is given. */
export function plugin(type, component = null) {
  const made = new PanelPlugin(component);
  made.meta = { id: type, name: type, type: 'panel', info: {}, module: '', baseUrl: '', sort: 0 };
  const defaults = STARTS_WITH[type] ?? {};
  return made.useFieldConfig({
    standardOptions: COLOUR_OF_SERIES.has(type)
      ? { color: { defaultValue: { mode: FieldColorModeId.PaletteClassic } } }
      : {},
    useCustomConfig: (builder) =>
      (CUSTOM[type] ?? []).forEach((id) =>
        builder.addCustomEditor({ ...property(id), defaultValue: defaults[id] }),
      ),
  });
}

/** Register the standard options and the transformations that @grafana/data has. */
export function register() {
  standardFieldConfigEditorRegistry.setInit(() =>
    Object.entries(PROCESSORS).map(([id, process]) => ({ ...property(id, process), defaultValue: DEFAULTS[id] })),
  );
  standardTransformersRegistry.setInit(() =>
    [...new Set(Object.values(standardTransformers))].map((transformation) => ({
      id: transformation.id,
      name: transformation.name,
      transformation: () => Promise.resolve(transformation),
      editor: () => null,
      imageDark: '',
      imageLight: '',
    })),
  );
}

function words(text) {
  return text.split(' ');
}

function property(id, process = identityOverrideProcessor) {
  return {
    id,
    path: id,
    name: id,
    process,
    shouldApply: () => true,
    settings: {},
    editor: () => null,
    override: () => null,
    getItemsCount: () => 0,
  };
}
