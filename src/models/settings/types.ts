import { Field, Int, ObjectType, registerEnumType } from "type-graphql";
import { GraphQLAnyJson } from "../../graphql/scalars.ts";
import { lockable } from "../presets.ts";

export enum ModelCircuitState {
  CLOSED = "CLOSED",
  OPEN = "OPEN",
  HALF_OPEN = "HALF_OPEN",
}
registerEnumType(ModelCircuitState, {
  name: "CircuitState",
  description: "The state of a model's circuit breaker.",
  valuesConfig: {
    CLOSED: { description: "The model is called as usual." },
    OPEN: {
      description:
        "The model failed too often in a row and is temporarily disabled. Its fallbacks are called in its place.",
    },
    HALF_OPEN: {
      description:
        "The waiting time is over: one call tries the model, and its result closes or reopens the circuit breaker.",
    },
  },
});

/** The parameters that can be locked, as a GraphQL enum. */
export const ModelParameter = Object.fromEntries(Object.keys(lockable).map((name) => [name, name]));
registerEnumType(ModelParameter, {
  name: "ModelParameter",
  description: "A parameter that a model or preset can lock, so that callers cannot set it.",
  valuesConfig: Object.fromEntries(
    Object.entries(lockable).map(([name, field]) => [name, { description: `The parameter \`${field}\` of a call.` }]),
  ),
});

@ObjectType({
  description: "Default parameters of a model. The caller's own values take precedence unless they are locked.",
  simpleResolvers: true,
})
export class ModelParameters {
  @Field(() => Number, { nullable: true, description: "Sampling temperature, 0 to 2; null leaves it to the provider." })
  temperature!: number | null;

  @Field(() => Number, {
    nullable: true,
    description: "Nucleus sampling (top-p), 0 to 1; null leaves it to the provider.",
  })
  topP!: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "The output limit of a call that sets none, in tokens; null for the model's own limit.",
  })
  maxOutputTokens!: number | null;

  @Field(() => [String], {
    nullable: true,
    description: "Stop sequences: strings at which the answer ends; null for none.",
  })
  stop!: string[] | null;

  @Field(() => Int, {
    nullable: true,
    description: "A seed for repeatable answers, for providers that support it; null for none.",
  })
  seed!: number | null;

  @Field(() => GraphQLAnyJson, {
    nullable: true,
    description:
      "Options sent to the provider unchanged: `num_ctx` and `keep_alive` for Ollama, `service_tier` for OpenAI. Null for none.",
  })
  providerOptions!: unknown;
}

@ObjectType({
  description: "Timeouts of a model's calls, in milliseconds. Null means the server's default.",
  simpleResolvers: true,
})
export class ModelTimeouts {
  @Field(() => Int, { nullable: true, description: "The time to connect to the provider." })
  connectMs!: number | null;

  @Field(() => Int, {
    nullable: true,
    description: "The time until the first byte of a stream. An answer that is not streamed has `totalMs` only.",
  })
  firstByteMs!: number | null;

  @Field(() => Int, { nullable: true, description: "The longest pause between two pieces of an answer." })
  idleMs!: number | null;

  @Field(() => Int, { nullable: true, description: "The total time, from the first attempt to the end of the answer." })
  totalMs!: number | null;
}

@ObjectType({
  description: "The circuit breaker of a model, as this server sees it. Each server has its own.",
  simpleResolvers: true,
})
export class ModelCircuit {
  @Field(() => ModelCircuitState, { description: "The current state." })
  state!: `${ModelCircuitState}`;

  @Field(() => Int, { description: "The number of failures in a row." })
  failures!: number;

  @Field(() => Int, { description: "The number of failures in a row that open the circuit breaker; 0 for never." })
  opensAfter!: number;

  @Field(() => Int, {
    description: "Milliseconds until the model is tried again; 0 when the circuit breaker is not open.",
  })
  retryInMs!: number;
}
