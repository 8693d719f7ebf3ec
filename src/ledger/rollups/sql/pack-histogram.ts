import { type SQL, sql } from "drizzle-orm";

/**
 * A bucket of a histogram and the calls in it as one number, the bucket in the lowest 8 bits: a histogram is then an
 * array of what it has, in no order, which is quick to build and to read. Buckets are -1 to 226, as times are integers.
 */
export function packed(bucket: SQL, calls: SQL): SQL {
  return sql`((${calls} << 8) | (${bucket} + 1))`;
}

/** The bucket of a histogram, and its calls, out of the number that packs both. */
export function unpacked(packedBucket: SQL): { bucket: SQL; calls: SQL } {
  return { bucket: sql`((${packedBucket} & 255) - 1)::smallint`, calls: sql`(${packedBucket} >> 8)` };
}
