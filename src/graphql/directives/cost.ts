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
    "The price of the field: `base` in credits, and for a metered field the price of its tokens. Credits are reserved before the call and settled after it.",
  args: {
    base: {
      type: new GraphQLNonNull(GraphQLDecimal),
      defaultValue: "1",
      description: "The credits of a call without its tokens.",
    },
    metered: {
      type: new GraphQLNonNull(GraphQLBoolean),
      defaultValue: false,
      description: "Whether tokens are charged as well.",
    },
  },
  locations: [DirectiveLocation.FIELD_DEFINITION],
});

/** What the directive of a field declares. */
export interface Cost {
  base: string;
  metered: boolean;
}

/** A paid call: exactly one of `settle` and `fail` follows. */
export interface PaidCall {
  /**
   * Takes the resolver's result and returns the caller's. For a subscription, the result is the events: they are passed
   * on, and the call is settled when they end for any reason.
   */
  settle(result: unknown): Promise<unknown>;
  /** Throws the error that the caller gets. */
  fail(error: unknown): Promise<never>;
}

export interface Meter<C> {
  /**
   * Pays for one call of the field: reserves the most that it can cost, lets `ask` run the resolver, and settles. An
   * earlier answer is given without `ask`. Answers, or throws, what the caller gets.
   */
  run(context: C, args: Record<string, unknown>, cost: Cost, ask: (paidCall: PaidCall) => unknown): Promise<unknown>;
}

/** The meter of each paid field, by the field's name. */
export type Meters<C> = Record<string, Meter<C>>;

/** Where the resolver of a paid field finds the call that pays for it. */
export type PaidContext<C, P extends PaidCall> = C & { paidCall: P };

type Resolver<C> = GraphQLFieldResolver<unknown, C>;

/** The meter reads the input before the resolver runs, so converting it for the resolver would do it twice. */
const readByMeter = {};

/**
 * Wraps each field that has a `@cost`: its meter runs the resolver, or the start of a subscription, between the
 * reservation and the settlement. The resolver gets the paid call and none of the arguments. A field without the directive
 * never touches credits.
 */
export function withCost<C extends object>(schema: GraphQLSchema, meters: Meters<C>): GraphQLSchema {
  return mapSchema(schema, {
    [MapperKind.OBJECT_FIELD]: (field, name) => {
      const cost = getDirective(schema, field, "cost")?.[0] as Cost | undefined;
      if (!cost) return field;
      const meter = meters[name];
      if (!meter) throw new Error(`The paid field ${name} has no meter.`);
      field.resolve = pay(meter, cost, field.resolve ?? defaultFieldResolver);
      return field;
    },
  });
}

function pay<C extends object>(meter: Meter<C>, cost: Cost, resolve: Resolver<C>): Resolver<C> {
  return (source, args, context, info) => {
    const ask = (paidCall: PaidCall) => resolve(source, readByMeter, paidContext(context, paidCall), info);
    return meter.run(context, args, cost, ask);
  };
}

/**
 * A copy: with the request's own context as its prototype, V8 would have to learn both shapes again for each request.
 */
function paidContext<C extends object, P extends PaidCall>(context: C, paidCall: P): PaidContext<C, P> {
  return { paidCall, ...context };
}
