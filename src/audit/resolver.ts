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
  @Directive("@rateLimit(limit: 10, duration: 60)")
  @Query(() => AuditVerification, {
    description: "Recomputes the chain and finds the first event that was tampered with.",
  })
  async verifyAudit(): Promise<AuditVerification> {
    const { verified, ...found } = await this.#audit.verify();
    return { ...found, verified: Number(verified) };
  }
}
