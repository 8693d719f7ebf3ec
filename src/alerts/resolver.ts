import { Arg, Args, Ctx, Directive, Query, Resolver } from "type-graphql";
import { type Context, personOf } from "../auth/viewer.ts";
import { type Connection, PageArgs, readPage, toConnection } from "../graphql/pagination.ts";
import type { AlertsService } from "./service.ts";
import { type Alert, AlertConnection, AlertFilter, toAlert, toAlertSearch } from "./types.ts";

@Resolver()
export class AlertsResolver {
  readonly #alerts: AlertsService;

  constructor(alerts: AlertsService) {
    this.#alerts = alerts;
  }

  @Directive('@role(requires: "MEMBER")')
  @Query(() => AlertConnection, {
    description: "Alerts, newest first. Requires MEMBER. A MEMBER sees the alerts of its own account only.",
  })
  async alerts(
    @Arg("filter", () => AlertFilter, { nullable: true, description: "Which alerts to list; all when absent." })
    filter: AlertFilter | null,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() context: Context,
  ): Promise<Connection<Alert>> {
    const search = toAlertSearch(filter ?? {});
    return toConnection(await this.#alerts.list(personOf(context), search, readPage(page)), toAlert);
  }
}
