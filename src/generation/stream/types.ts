import { createUnionType, Field, Int, ObjectType } from "type-graphql";
import { Generation } from "../types.ts";

@ObjectType({ description: "The next piece of an answer that is being written.", simpleResolvers: true })
export class TextDelta {
  @Field(() => Int, { description: "The number of the piece: 0 for the first, then one more each time." })
  seq!: number;

  @Field(() => String, {
    description: "All pieces joined are the answer. For a client that reads slowly, several arrive as one.",
  })
  text!: string;
}

@ObjectType({ description: "The last event: how the call ended and what it cost.", simpleResolvers: true })
export class GenerationFinished {
  @Field(() => Generation, {
    description:
      "The settled call. With status PARTIAL or CANCELLED, an error with the reason follows and ends the stream.",
  })
  generation!: Generation;
}

export const GenerationEvent = createUnionType({
  name: "GenerationEvent",
  description: "An event of a stream: any number of TextDelta, then one GenerationFinished.",
  // AnswerContent apart by their classes: a function of our own would be asked by way of a promise, for each event.
  types: () => [TextDelta, GenerationFinished] as const,
});
