import { Arg, FieldResolver, Int, Resolver, Root } from "type-graphql";
import { badInput } from "../errors.ts";
import { ApiKey } from "../keys/types.ts";
import type { LimitsService } from "./service.ts";
import { Denial, toDenial } from "./types.ts";

const hoursMax = 24 * 31;

@Resolver(() => ApiKey)
export class DenialsResolver {
  readonly #limits: LimitsService;

  constructor(limits: LimitsService) {
    this.#limits = limits;
  }

  @FieldResolver(() => [Denial], {
    description:
      "Refused calls of the key by minute, newest first, at most 1,000 rows. Refusals are written within 2 seconds.",
  })
  async denials(
    @Root() { row }: ApiKey,
    @Arg("hours", () => Int, {
      nullable: true,
      defaultValue: 24,
      description: "The number of hours to look back, 1 to 744.",
    })
    hours: number | null,
  ): Promise<Denial[]> {
    const back = hours ?? 24;
    if (back < 1 || back > hoursMax) throw badInput(`hours is 1 to ${hoursMax}.`, { field: "hours" });
    return (await this.#limits.denialsOf(row, back)).map(toDenial);
  }
}
