import { Field, ID, InputType, Int, ObjectType } from "type-graphql";
import { GraphQLVector } from "../../graphql/scalars.ts";
import { Charge, type Generation, GenerationUsage } from "../types.ts";

@InputType({ description: "A call of an embedding model." })
export class EmbedInput {
  @Field(() => String, { description: "The name of a model with the modality EMBEDDING, as `models` lists it." })
  model!: string;

  @Field(() => [String], { description: "The texts to embed: 1 to 2,048, none of them empty." })
  input!: string[];

  @Field(() => Int, {
    nullable: true,
    description:
      "The number of dimensions of each vector, 1 to 8,192; the model's default when absent. Some models ignore it.",
  })
  dimensions?: number | null;

  @Field(() => [String], {
    nullable: true,
    description: "Tags for usage reports: at most 10, each of at most 100 characters.",
  })
  tags?: string[] | null;

  @Field(() => String, {
    nullable: true,
    description: "For usage reports: the end user for whom the call is made.",
  })
  endUser?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "Makes retries safe for 24 hours, as in `GenerateInput`. Allowed for at most 256 texts, because their vectors are stored.",
  })
  idempotencyKey?: string | null;
}

@ObjectType({ description: "The embeddings of texts, and their price.", simpleResolvers: true })
export class Embedding {
  @Field(() => ID, { description: "The call's id, `gen_…`, as in `generations`." })
  id!: string;

  @Field(() => String, { description: "The name of the requested model." })
  model!: string;

  @Field(() => String, { description: "The name of the model that answered, as in `Generation.servedModel`." })
  servedModel!: string;

  @Field(() => String, { description: "The provider that ran the model: `echo`, `ollama` or the name of a service." })
  provider!: string;

  @Field(() => [GraphQLVector], { description: "One vector for each text, in the order of the texts." })
  vectors!: number[][];

  @Field(() => GenerationUsage, { description: "The tokens of the call: input tokens only." })
  usage!: GenerationUsage;

  @Field(() => Charge, { description: "The price of the call." })
  charge!: Charge;

  @Field(() => Int, { description: "From the reservation to the provider's last byte, in milliseconds." })
  latencyMs!: number;

  @Field(() => Boolean, {
    description: "Whether these are the stored vectors of an earlier call with the same `idempotencyKey`.",
  })
  replayed!: boolean;

  @Field(() => Date, { description: "When the credits were reserved." })
  createdAt!: Date;
}

export function toEmbedding(
  { id, model, servedModel, provider, usage, charge, latencyMs, replayed, createdAt }: Generation,
  vectors: number[][],
): Embedding {
  return { id, model, servedModel, provider, vectors, usage, charge, latencyMs, replayed, createdAt };
}
