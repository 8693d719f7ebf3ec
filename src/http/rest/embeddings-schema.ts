import { z } from "zod";
import { badInput } from "../../errors.ts";

const embeddings = z.object({
  model: z.string(),
  input: z.union([z.string().transform((text) => [text]), z.array(z.string())], "must be a text or a list of texts"),
  dimensions: z.number().nullish(),
  encoding_format: z.enum(["float", "base64"]).nullish(),
  user: z.string().nullish(),
});

export type EmbeddingsRequest = z.infer<typeof embeddings>;

/** @throws BAD_USER_INPUT naming the parameter */
export function readEmbeddings(body: unknown): EmbeddingsRequest {
  const parsed = embeddings.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join(".") ?? "";
  throw badInput(field === "" ? "The body must be a JSON object." : `${field}: ${issue?.message}`, { field });
}
