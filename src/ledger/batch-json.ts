/** A batch as one JSON parameter, numbered in its order. PostgreSQL reads a bigint out of a JSON string without loss. */
export function toJson(batch: object[]): string {
  return JSON.stringify(
    batch.map((item, ord) => ({ ...item, ord })),
    (_name, value) => (typeof value === "bigint" ? value.toString() : value),
  );
}
