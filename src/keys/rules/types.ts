import { Field, InputType, ObjectType, registerEnumType } from "type-graphql";

export enum Weekday {
  MON = "MON",
  TUE = "TUE",
  WED = "WED",
  THU = "THU",
  FRI = "FRI",
  SAT = "SAT",
  SUN = "SUN",
}
registerEnumType(Weekday, {
  name: "Weekday",
  description: "A day of the week.",
  valuesConfig: {
    MON: { description: "Monday." },
    TUE: { description: "Tuesday." },
    WED: { description: "Wednesday." },
    THU: { description: "Thursday." },
    FRI: { description: "Friday." },
    SAT: { description: "Saturday." },
    SUN: { description: "Sunday." },
  },
});

const timeZone = "A name of the IANA time zone database, such as `Europe/Berlin`.";
const from = "From this time of the day on, such as `08:30`.";
const to = "Until just before this time, up to `24:00`; at or before `from` it is that of the day after.";

@ObjectType({ description: "One span of hours on some days of the week.", simpleResolvers: true })
export class HoursWindow {
  @Field(() => [Weekday], { description: "On which days it begins." })
  days!: `${Weekday}`[];

  @Field(() => String, { description: from })
  from!: string;

  @Field(() => String, { description: to })
  to!: string;
}

@ObjectType({
  description:
    "When a key may be used, by the database's clock. At other times it is refused with OUTSIDE_HOURS, and a stream that it runs is ended; in `limitMode` SHADOW that is only counted.",
  simpleResolvers: true,
})
export class HoursOfUse {
  @Field(() => String, { description: timeZone })
  timeZone!: string;

  @Field(() => [HoursWindow], { description: "The key may be used within any of them." })
  windows!: HoursWindow[];
}

@InputType({ description: "One span of hours on some days of the week." })
export class HoursWindowInput {
  @Field(() => [Weekday], { nullable: true, description: "On which days it begins; on every day when absent." })
  days?: `${Weekday}`[] | null;

  @Field(() => String, { description: from })
  from!: string;

  @Field(() => String, { description: to })
  to!: string;
}

@InputType({ description: "When a key may be used." })
export class HoursOfUseInput {
  @Field(() => String, { description: timeZone })
  timeZone!: string;

  @Field(() => [HoursWindowInput], { description: "1 to 28; the key may be used within any of them." })
  windows!: HoursWindowInput[];
}
