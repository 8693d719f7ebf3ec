import type { preParsingHookHandler } from "fastify";
import type { StrangerBudget } from "../limits/stranger-budget.ts";

/** As long as a sign-in may be, which the address may still send. */
const signInBytesMax = 4_096;

/** Refuses longer bodies without a credential from an address that has used its budget, before they are read. */
export function refuseStrangersBodies(budget: StrangerBudget): preParsingHookHandler {
  return ({ headers, ip }, _reply, _payload, done) => {
    if (headers.authorization !== undefined || headers["x-api-key"] !== undefined) return done();
    const length = headers["content-length"] ?? (headers["transfer-encoding"] && Number.POSITIVE_INFINITY) ?? 0;
    if (Number(length) <= signInBytesMax) return done();
    done(budget.exhaustion(ip) ?? null);
  };
}
