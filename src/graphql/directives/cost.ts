import { getDirective, MapperKind, mapSchema } from "@graphql-tools/utils";
import {
  DirectiveLocation,
  defaultFieldResolver,
  GraphQLBoolean,
  GraphQLDirective,
  GraphQLNonNull,
  type GraphQLSchema,
} from "graphql";
import { GraphQLDecimal } from "../scalars.ts";

export const costDirective = new GraphQLDirective({
  name: "cost",
  description:
    "What the field costs. `base` in credits; a metered field adds the price of its tokens. Reserved before, settled after.",
  args: {
    base: { type: new GraphQLNonNull(GraphQLDecimal), defaultValue: "1" },
    metered: { type: new GraphQLNonNull(GraphQLBoolean), defaultValue: false },
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

/** The stored answer of an earlier call, for which nothing is reserved, called or charged again. */
export interface Answered {
  answer: unknown;
}

export interface Meter<C> {
  /** Quotes the call and reserves the most that it can cost, or throws. */
  open(context: C, args: Record<string, unknown>, cost: Cost): Promise<PaidCall | Answered>;
}

/** Where the resolver of a paid field finds the call that pays for it. */
export type PaidContext<C, P extends PaidCall> = C & { paidCall: P };

/**
 * Wraps each field that has a `@cost`: the meter opens before the resolver and settles or fails after it.
 * A field without the directive never touches credits.
 */
export function withCost<C extends object>(schema: GraphQLSchema, meter: Meter<C>): GraphQLSchema {
  return mapSchema(schema, {
    [MapperKind.OBJECT_FIELD]: (field) => {
      const cost = getDirective(schema, field, "cost")?.[0] as Cost | undefined;
      if (!cost) return field;
      const { resolve = defaultFieldResolver } = field;
      field.resolve = async (source, args, context: C, info) => {
        const paidCall = await meter.open(context, args, cost);
        if ("answer" in paidCall) return paidCall.answer;
        const paidContext = Object.assign(Object.create(context), { paidCall });
        let result: unknown;
        try {
          result = await resolve(source, args, paidContext, info);
        } catch (error) {
          return await paidCall.fail(error);
        }
        return await paidCall.settle(result);
      };
      return field;
    },
  });
}
