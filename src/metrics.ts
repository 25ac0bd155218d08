import { Gauge, Registry } from "prom-client";

/** Numbers for `/metrics`. */
export interface Metrics {
  /** Adds a number that is read when somebody asks; nothing is shown while it is `undefined`. */
  gauge(name: string, help: string, read: () => number | undefined): void;
  /** All of them, as Prometheus reads it. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  return {
    gauge(name, help, read) {
      const gauge: Gauge = new Gauge({
        name,
        help,
        registers: [registry],
        collect() {
          const value = read();
          if (value === undefined) gauge.remove();
          else gauge.set(value);
        },
      });
    },
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
