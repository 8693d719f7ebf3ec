import type { GraphQLSchema } from "graphql";
import type { Config } from "../config/environment.ts";
import { Documents } from "../graphql/documents.ts";
import { OperationExecutor } from "../graphql/execution.ts";
import { compiledSchemaCount } from "../guard/json-schema.ts";
import { LiveStreams } from "../limits/live-streams.ts";
import type { StrangerBudget } from "../limits/stranger-budget.ts";
import { DocumentReader } from "./document-reader.ts";
import type { Metrics } from "./metrics.ts";
import { Operations, type OperationsOptions } from "./operations.ts";

interface OperationParts extends Pick<OperationsOptions, "log" | "onDenied"> {
  config: Pick<Config, "introspection" | "streamsPerCallerMax">;
  schema: GraphQLSchema;
  strangers: StrangerBudget;
  metrics: Metrics;
}

/** What reads and runs the operations of all endpoints. */
export function openOperations({ config, schema, strangers, metrics, log, onDenied }: OperationParts): Operations {
  const { introspection, streamsPerCallerMax } = config;
  const parsed = new Documents({ schema, introspection });
  const executor = new OperationExecutor(schema);
  metrics.watchCaches({
    documents: () => parsed.keptCount,
    compiled_documents: () => executor.compiledCount,
    schemas: compiledSchemaCount,
  });
  const documents = new DocumentReader(parsed, strangers);
  const streams = new LiveStreams(streamsPerCallerMax);
  return new Operations({ schema, executor, documents, streams, log, introspection, onDenied });
}
