import { createUnionType, Field, Int, ObjectType } from "type-graphql";
import { Generation } from "../types.ts";

@ObjectType({ description: "The next piece of an answer that is being written.", simpleResolvers: true })
export class TextDelta {
  @Field(() => Int, { description: "0 for the first piece, then one more each time." })
  seq!: number;

  @Field(() => String, {
    description: "All pieces joined are the answer. For a reader that lags, several are joined already.",
  })
  text!: string;
}

@ObjectType({ description: "The last event: how the call ended and what it cost.", simpleResolvers: true })
export class GenerationFinished {
  @Field(() => Generation, {
    description:
      "The call, settled. COMPLETED; or PARTIAL or CANCELLED, and then an error with the reason ends the stream.",
  })
  generation!: Generation;
}

export const GenerationEvent = createUnionType({
  name: "GenerationEvent",
  description: "What a stream brings: any number of TextDelta, then one GenerationFinished.",
  // Told apart by their classes: a function of our own would be asked by way of a promise, for each event.
  types: () => [TextDelta, GenerationFinished] as const,
});
