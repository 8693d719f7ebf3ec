import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { AppError, type ErrorCode } from "../errors.ts";

/**
 * Metrics for Prometheus. The values of labels are bounded: error codes, states, and names of models in the catalogue,
 * so that callers cannot fill the collector's memory.
 */
export interface MeasuredCall {
  /** The name as in the ledger. */
  model: string;
  status: string;
  latencyMs: number;
}

/** Beyond this number of models, further models are counted together. */
const modelsMax = 200;
const otherModel = "other";
const latencySeconds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

export class Metrics {
  readonly #registry = new Registry();
  readonly #models = new Set<string>();
  #hasDefaults = false;
  readonly #calls = new Counter({
    name: "tollgate_calls_total",
    help: "Calls of models that were settled, by model and status of the ledger.",
    labelNames: ["model", "status"],
    registers: [this.#registry],
  });
  readonly #latency = new Histogram({
    name: "tollgate_call_seconds",
    help: "From the reservation to the end of the answer, by model.",
    labelNames: ["model"],
    buckets: latencySeconds,
    registers: [this.#registry],
  });
  readonly #denials = new Counter({
    name: "tollgate_denials_total",
    help: "Calls that were refused for want of a right, credits or room within a limit, by code.",
    labelNames: ["code"],
    registers: [this.#registry],
  });
  readonly #localLimits = new Counter({
    name: "tollgate_limits_decided_locally_total",
    help: "Rate limit decisions that this replica made locally because Redis did not answer.",
    registers: [this.#registry],
  });

  readonly onSettled = ({ model, status, latencyMs }: MeasuredCall): void => {
    const label = this.#labelOf(model);
    this.#calls.inc({ model: label, status });
    this.#latency.observe({ model: label }, latencyMs / 1000);
  };

  readonly onDenied = (code: ErrorCode): void => {
    this.#denials.inc({ code });
  };

  readonly onLocalLimit = (): void => {
    this.#localLimits.inc();
  };

  /** Counts the entries of caches; each is asked when the metrics are read. */
  watchCaches(counts: Record<string, () => number>): void {
    new Gauge({
      name: "tollgate_cache_entries",
      help: "Entries of the caches in memory that hold what clients send, by cache.",
      labelNames: ["cache"],
      registers: [this.#registry],
      collect() {
        for (const [cache, count] of Object.entries(counts)) this.set({ cache }, count());
      },
    });
  }

  async text(): Promise<string> {
    // Metrics of the process have a constant cost, so they start with the first scrape.
    if (!this.#hasDefaults) collectDefaultMetrics({ register: this.#registry });
    this.#hasDefaults = true;
    return this.#registry.metrics();
  }

  #labelOf(model: string): string {
    if (this.#models.has(model)) return model;
    if (this.#models.size >= modelsMax) return otherModel;
    this.#models.add(model);
    return model;
  }
}

/**
 * With a configured token, callers must present it; without one, only this machine may read, and not through a proxy.
 */
export function addMetricsRoute(server: FastifyInstance, metrics: Metrics, token: string | undefined): void {
  server.get("/metrics", async (request, reply) => {
    if (!(token === undefined ? isLocal(request) : bears(request, token))) throw new AppError("FORBIDDEN");
    return reply.type("text/plain; version=0.0.4; charset=utf-8").send(await metrics.text());
  });
}

function isLocal({ headers, raw }: FastifyRequest): boolean {
  const forwarded = headers.forwarded ?? headers["x-forwarded-for"];
  return forwarded === undefined && /^(::ffff:)?127\.|^::1$/.test(raw.socket.remoteAddress ?? "");
}

function bears({ headers }: FastifyRequest, token: string): boolean {
  const given = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1] ?? "";
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
