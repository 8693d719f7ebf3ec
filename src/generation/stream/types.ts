import { createUnionType, Field, Int, ObjectType } from "type-graphql";
import { Generation } from "../types.ts";

@ObjectType({ description: "The next piece of a streamed answer.", simpleResolvers: true })
export class TextDelta {
  @Field(() => Int, { description: "The number of the piece: 0 for the first, increased by one for each later piece." })
  seq!: number;

  @Field(() => String, {
    description:
      "The text of the piece. All pieces joined are the answer. A client that reads slowly gets several pieces as one.",
  })
  text!: string;
}

@ObjectType({ description: "The last event of a stream, with the settled call.", simpleResolvers: true })
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
