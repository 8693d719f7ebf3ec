import { Arg, Args, Directive, Query, Resolver } from "type-graphql";
import { type Connection, PageArgs, readPage, toConnection } from "../graphql/pagination.ts";
import type { AuditService } from "./service.ts";
import {
  type AuditEvent,
  AuditEventConnection,
  AuditFilter,
  AuditVerification,
  toAuditEvent,
  toAuditSearch,
} from "./types.ts";

@Resolver()
export class AuditResolver {
  readonly #audit: AuditService;

  constructor(audit: AuditService) {
    this.#audit = audit;
  }

  @Directive('@role(requires: "ANALYST")')
  @Query(() => AuditEventConnection, { description: "Changes that were made, newest first." })
  async auditEvents(
    @Arg("filter", () => AuditFilter, { nullable: true }) filter: AuditFilter | null,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Connection<AuditEvent>> {
    return toConnection(await this.#audit.list(toAuditSearch(filter ?? {}), readPage(page)), toAuditEvent);
  }

  @Directive('@role(requires: "ANALYST")')
  @Directive("@rateLimit(limit: 60, duration: 60)")
  @Query(() => AuditVerification, {
    description:
      "Recomputes the chain and finds the first event that was altered, removed or moved, and whether events are missing at its end. Fails with BAD_USER_INPUT.",
  })
  async verifyAudit(
    @Arg("anchor", () => String, {
      nullable: true,
      description: "An earlier answer's `anchor`: checks that the chain goes on from there, and only what came after.",
    })
    anchor: string | null,
  ): Promise<AuditVerification> {
    const { verified, ...found } = await this.#audit.verify(anchor ?? undefined);
    return { ...found, verified: Number(verified) };
  }
}
