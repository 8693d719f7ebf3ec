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

const timeZone = "Time zone of the windows: a name of the IANA database, such as `Europe/Berlin`.";
const from = "Start time, inclusive, such as `08:30`.";
const to = "End time, exclusive, at most `24:00`. A time at or before `from` is on the next day.";

@ObjectType({ description: "A window of time on some days of the week.", simpleResolvers: true })
export class HoursWindow {
  @Field(() => [Weekday], { description: "Days of the week on which the window starts." })
  days!: `${Weekday}`[];

  @Field(() => String, { description: from })
  from!: string;

  @Field(() => String, { description: to })
  to!: string;
}

@ObjectType({
  description:
    "Hours of use: when a key may be used, by the database's clock. At other times its calls fail with OUTSIDE_HOURS and its running streams end; with the `limitMode` SHADOW they are only counted.",
  simpleResolvers: true,
})
export class HoursOfUse {
  @Field(() => String, { description: timeZone })
  timeZone!: string;

  @Field(() => [HoursWindow], { description: "The windows. The key may be used in any of them." })
  windows!: HoursWindow[];
}

@InputType({ description: "A window of time on some days of the week." })
export class HoursWindowInput {
  @Field(() => [Weekday], {
    nullable: true,
    description: "Days of the week on which the window starts; every day when absent.",
  })
  days?: `${Weekday}`[] | null;

  @Field(() => String, { description: from })
  from!: string;

  @Field(() => String, { description: to })
  to!: string;
}

@InputType({ description: "Hours of use: when a key may be used." })
export class HoursOfUseInput {
  @Field(() => String, { description: timeZone })
  timeZone!: string;

  @Field(() => [HoursWindowInput], { description: "The windows, 1 to 28. The key may be used in any of them." })
  windows!: HoursWindowInput[];
}
