import { getDirective, MapperKind, mapSchema } from "@graphql-tools/utils";
import {
  DirectiveLocation,
  defaultFieldResolver,
  GraphQLBoolean,
  GraphQLDirective,
  type GraphQLFieldResolver,
  GraphQLNonNull,
  type GraphQLSchema,
} from "graphql";
import { GraphQLDecimal } from "../scalars.ts";

export const costDirective = new GraphQLDirective({
  name: "cost",
  description:
    "What the field costs. `base` in credits; a metered field adds the price of its tokens. Reserved before, settled after.",
  args: {
    base: {
      type: new GraphQLNonNull(GraphQLDecimal),
      defaultValue: "1",
      description: "The credits of a call before its tokens.",
    },
    metered: {
      type: new GraphQLNonNull(GraphQLBoolean),
      defaultValue: false,
      description: "Whether tokens are charged, too.",
    },
  },
  locations: [DirectiveLocation.FIELD_DEFINITION],
});

/** What the directive of a field declares. */
export interface Cost {
  base: string;
  metered: boolean;
}

/** A call that is paid for: exactly one of `settle` and `fail` follows. */
export interface PaidCall {
  settle(result: unknown): Promise<unknown>;
  /** Throws what the caller is to see. */
  fail(error: unknown): Promise<never>;
}

/** A stream that is paid for: exactly one of `run` and `fail` follows, and `run` settles however it ends. */
export interface PaidStream<P extends PaidCall> {
  call: P;
  run(events: AsyncIterable<unknown>): AsyncIterable<unknown>;
}

/** The stored answer of an earlier call, for which nothing is reserved, called or charged again. */
export interface Answered<A = unknown> {
  answer: A;
}

export interface Meter<C> {
  /** Quotes the call and reserves the most that it can cost, or throws. */
  open(context: C, args: Record<string, unknown>, cost: Cost): Promise<PaidCall | Answered>;
}

export interface StreamMeter<C> {
  openStream(
    context: C,
    args: Record<string, unknown>,
    cost: Cost,
  ): Promise<PaidStream<PaidCall> | Answered<AsyncIterable<unknown>>>;
}

/** Who meters which paid field, by its name. */
export interface Meters<C> {
  calls: Record<string, Meter<C>>;
  streams: Record<string, StreamMeter<C>>;
}

/** Where the resolver of a paid field finds the call that pays for it. */
export type PaidContext<C, P extends PaidCall> = C & { paidCall: P };

type Resolver<C> = GraphQLFieldResolver<unknown, C>;

/** The meter has read the input before the resolver runs: converting it for the resolver would be to do it twice. */
const readByMeter = {};

/**
 * Wraps each field that has a `@cost`: the meter opens before the resolver and settles or fails after it; for a
 * subscription it wraps the start, and settles when the events end. The resolver is given the paid call and none of the
 * arguments. A field without the directive never touches credits.
 */
export function withCost<C extends object>(schema: GraphQLSchema, { calls, streams }: Meters<C>): GraphQLSchema {
  return mapSchema(schema, {
    [MapperKind.OBJECT_FIELD]: (field, name) => {
      const cost = getDirective(schema, field, "cost")?.[0] as Cost | undefined;
      if (!cost) return field;
      const { resolve = defaultFieldResolver } = field;
      const [call, stream] = [calls[name], streams[name]];
      if (call) field.resolve = payCall(call, cost, resolve);
      else if (stream) field.resolve = payStream(stream, cost, resolve);
      else throw new Error(`No meter is registered for the paid field ${name}.`);
      return field;
    },
  });
}

function payCall<C extends object>(meter: Meter<C>, cost: Cost, resolve: Resolver<C>): Resolver<C> {
  return async (source, args, context, info) => {
    const paidCall = await meter.open(context, args, cost);
    if ("answer" in paidCall) return paidCall.answer;
    let result: unknown;
    try {
      result = await resolve(source, readByMeter, paidContext(context, paidCall), info);
    } catch (error) {
      return await paidCall.fail(error);
    }
    return await paidCall.settle(result);
  };
}

function payStream<C extends object>(meter: StreamMeter<C>, cost: Cost, subscribe: Resolver<C>): Resolver<C> {
  return async (source, args, context, info) => {
    const stream = await meter.openStream(context, args, cost);
    if ("answer" in stream) return stream.answer;
    const { call: paidCall } = stream;
    let events: unknown;
    try {
      events = await subscribe(source, readByMeter, paidContext(context, paidCall), info);
    } catch (error) {
      return await paidCall.fail(error);
    }
    return stream.run(events as AsyncIterable<unknown>);
  };
}

/** A copy: were the request's own context its prototype, V8 would learn the shape of both anew with each request. */
function paidContext<C extends object, P extends PaidCall>(context: C, paidCall: P): PaidContext<C, P> {
  return { paidCall, ...context };
}
