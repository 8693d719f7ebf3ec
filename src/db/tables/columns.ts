import { bigint, customType, timestamp } from "drizzle-orm/pg-core";

/** An exact amount: micro-credits, nano-USD or a rate in either. Never a float. */
export const exact = (name: string) => bigint(name, { mode: "bigint" });

export const instant = (name: string) => timestamp(name, { withTimezone: true, mode: "date" });

export const bytea = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => "bytea" });
