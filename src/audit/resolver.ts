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
  @Query(() => AuditEventConnection, { description: "Audit events, newest first. Requires ANALYST." })
  async auditEvents(
    @Arg("filter", () => AuditFilter, { nullable: true, description: "Which events to list; all when absent." })
    filter: AuditFilter | null,
    @Args(() => PageArgs) page: PageArgs,
  ): Promise<Connection<AuditEvent>> {
    return toConnection(await this.#audit.list(toAuditSearch(filter ?? {}), readPage(page)), toAuditEvent);
  }

  @Directive('@role(requires: "ANALYST")')
  @Directive("@rateLimit(limit: 60, duration: 60)")
  @Query(() => AuditVerification, {
    description:
      "Verifies the audit's hash chain: finds the first event that was altered, removed or moved, and missing events at the end. Requires ANALYST. Fails with BAD_USER_INPUT for an invalid anchor.",
  })
  async verifyAudit(
    @Arg("anchor", () => String, {
      nullable: true,
      description:
        "The `anchor` of an earlier answer. Verifies that the chain continues from it, and checks later events only.",
    })
    anchor: string | null,
  ): Promise<AuditVerification> {
    const { verified, ...found } = await this.#audit.verify(anchor ?? undefined);
    return { ...found, verified: Number(verified) };
  }
}
