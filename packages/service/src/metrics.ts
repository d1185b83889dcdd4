import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Metrics of one process. Asking twice for the same name gives the same metric. */
export interface Metrics {
  readonly contentType: string
  counter<L extends string>(options: { name: string; help: string; labels?: readonly L[] }): Counter<L>
  gauge<L extends string>(options: {
    name: string
    help: string
    labels?: readonly L[]
    /** Called when metrics are read. */
    collect?: (gauge: Gauge<L>) => void | Promise<void>
  }): Gauge<L>
  histogram<L extends string>(options: {
    name: string
    help: string
    labels?: readonly L[]
    /** Seconds, unless the name says otherwise. */
    buckets?: number[]
  }): Histogram<L>
  /** The Prometheus text format. */
  render(): Promise<string>
}

const LATENCY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** A registry of its own, so that two services in one process and tests don't meet. */
export function createMetrics(options: { processMetrics?: boolean } = {}): Metrics {
  const registry = new Registry()
  if (options.processMetrics === true) {
    // the default of 10 ms wakes an idle process a hundred times a second
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 })
  }
  return {
    contentType: registry.contentType,
    counter({ name, help, labels = [] }) {
      return existing(
        registry,
        name,
        () => new Counter({ name, help, labelNames: [...labels], registers: [registry] }),
      )
    },
    gauge({ name, help, labels = [], collect }) {
      return existing(registry, name, () => {
        const gauge: Gauge<(typeof labels)[number]> = new Gauge({
          name,
          help,
          labelNames: [...labels],
          registers: [registry],
          ...(collect === undefined ? {} : { collect: () => collect(gauge) }),
        })
        return gauge
      })
    },
    histogram({ name, help, labels = [], buckets = LATENCY_SECONDS }) {
      return existing(
        registry,
        name,
        () => new Histogram({ name, help, labelNames: [...labels], buckets, registers: [registry] }),
      )
    },
    render: () => registry.metrics(),
  }
}

function existing<M>(registry: Registry, name: string, make: () => M): M {
  return (registry.getSingleMetric(name) as M | undefined) ?? make()
}
