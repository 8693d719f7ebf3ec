import { describe, expect, it } from "vitest";
import { isAddressRange, isWithinRanges } from "../../src/keys/rules/addresses.ts";
import { isOpen, isWithinHours, openHours, opensAt, readHours } from "../../src/keys/rules/hours.ts";
import { allowsModel, isWithin } from "../../src/keys/rules/model-patterns.ts";

describe("a list of models", () => {
  it.each([
    [null, "anything", true],
    [[], "anything", false],
    [["gpt-4o"], "gpt-4o", true],
    [["gpt-4o"], "gpt-4o-mini", false],
    [["gpt-*"], "gpt-4o-mini", true],
    [["gpt-*"], "gpt", false],
    [["gpt-*"], "my-gpt-4", false],
    [["*"], "anything", true],
    [["*-mini"], "gpt-4o-mini", true],
    [["*-mini"], "gpt-4o-mini-2", false],
    [["a*b*c"], "axxbyyc", true],
    [["a*b*c"], "axxcyyb", false],
    [["ab*ba"], "aba", false],
    [["ab*ba"], "abba", true],
    [["*a*a*a*"], "aa", false],
    [["*a*a*a*"], "banana", true],
    [["a**b"], "ab", true],
    [["GPT-*"], "gpt-4o", false],
    [["gpt.4"], "gpt-4", false],
    [["llama3"], "llama3:latest", true],
    [["llama3"], "llama3:8b", false],
    [["llama3:latest"], "llama3:latest", true],
  ])("%j, asked for %s: %s", (list, model, allowed) => {
    expect(allowsModel(list, model)).toBe(allowed);
  });

  it("is judged in no time, however many asterisks it has", () => {
    const started = performance.now();
    const list = Array.from({ length: 200 }, () => `${"*a".repeat(100)}b`);
    expect(allowsModel(list, "a".repeat(200))).toBe(false);
    expect(performance.now() - started).toBeLessThan(50);
  });

  it.each([
    [["gpt-4*"], ["gpt-*"], true],
    [["gpt-*"], ["gpt-4*"], false],
    [["gpt-4o", "echo"], ["gpt-*", "echo"], true],
    [["*"], ["gpt-*"], false],
    [["*"], ["*"], true],
    [["a*c"], ["a*b*c"], false],
    [["a*b"], null, true],
    [[], ["x"], true],
  ])("%j lies within %j: %s", (inner, outer, within) => {
    expect(isWithin(inner, outer)).toBe(within);
  });
});

describe("narrower settings", () => {
  it.each([
    [["10.0.0.0/8"], null, true],
    [null, ["10.0.0.0/8"], false],
    [[], ["10.0.0.0/8"], true],
    [["10.1.0.0/16", "10.0.0.7"], ["10.0.0.0/8"], true],
    [["10.0.0.0/8"], ["10.0.0.0/8"], true],
    [["10.0.0.0/7"], ["10.0.0.0/8"], false],
    [["11.0.0.1"], ["10.0.0.0/8"], false],
    [["10.0.0.1"], [], false],
    [["2001:db8:1::/48"], ["2001:db8::/32"], true],
    [["2001:db8::/31"], ["2001:db8::/32"], false],
    [["::ffff:11.0.0.0/104"], ["10.0.0.0/8"], false],
    [["0.0.0.0/0"], ["::/0"], false],
  ])("%j lies within %j: %s", (inner, outer, within) => {
    expect(isWithinRanges(inner, outer)).toBe(within);
  });

  const hours = (from: string, to: string, timeZone = "Europe/Berlin", days: ("MON" | "SUN")[] = ["MON"]) =>
    readHours({ timeZone, windows: [{ days, from, to }] });
  it.each([
    ["any hours lie within none", hours("08:00", "18:00"), null, true],
    ["no hours lie within none but none", null, hours("08:00", "18:00"), false],
    ["shorter ones", hours("09:00", "17:00"), hours("08:00", "18:00"), true],
    ["one minute too long", hours("08:00", "18:01"), hours("08:00", "18:00"), false],
    ["another day", hours("09:00", "10:00", "Europe/Berlin", ["SUN"]), hours("08:00", "18:00"), false],
    ["another time zone", hours("09:00", "10:00", "Europe/Paris"), hours("08:00", "18:00"), false],
    ["past midnight", hours("00:30", "01:00"), hours("22:00", "02:00", "Europe/Berlin", ["SUN"]), true],
  ])("hours: %s", (_name, inner, outer, within) => {
    expect(isWithinHours(inner, outer)).toBe(within);
  });
});

describe("hours of use", () => {
  type Order = Parameters<typeof readHours>[0];
  const opened = (order: Order) => {
    const stored = readHours(order);
    if (!stored) throw new Error("no hours");
    return openHours(stored);
  };
  const at = (text: string) => Date.parse(text);
  const office = opened({
    timeZone: "Europe/Berlin",
    windows: [{ days: ["MON", "TUE", "WED", "THU", "FRI"], from: "08:00", to: "18:00" }],
  });
  const night = opened({
    timeZone: "America/New_York",
    windows: [{ days: ["SUN", "FRI"], from: "22:30", to: "06:00" }],
  });
  const always = opened({ timeZone: "utc", windows: [{ from: "00:00", to: "24:00" }] });

  it.each([
    ["a Wednesday in winter, at the first minute", office, "2026-01-14T07:00:00Z", true],
    ["the minute before", office, "2026-01-14T06:59:59Z", false],
    ["the last minute", office, "2026-01-14T16:59:59Z", true],
    ["closing time", office, "2026-01-14T17:00:00Z", false],
    ["the same hour in summer, when the clocks are ahead", office, "2026-07-15T06:00:00Z", true],
    ["an hour that would be open in winter", office, "2026-07-15T16:30:00Z", false],
    ["a Saturday", office, "2026-01-17T10:00:00Z", false],
    ["Friday night", night, "2026-01-17T03:30:00Z", true],
    ["the morning after, which is Saturday's", night, "2026-01-17T10:59:00Z", true],
    ["the end of that morning", night, "2026-01-17T11:00:00Z", false],
    ["Saturday night", night, "2026-01-18T04:00:00Z", false],
    ["Sunday night, past the end of the week", night, "2026-01-19T05:30:00Z", true],
    ["midnight of a whole day", always, "2026-01-19T00:00:00Z", true],
    ["the last minute of a whole day", always, "2026-01-19T23:59:59Z", true],
  ])("%s", (_what, hours, instant, open) => {
    expect(isOpen(hours, at(instant))).toBe(open);
  });

  it.each([
    ["later the same day", office, "2026-01-14T03:12:34Z", "2026-01-14T07:00:00.000Z"],
    ["after the weekend", office, "2026-01-16T17:00:00Z", "2026-01-19T07:00:00.000Z"],
    ["after a weekend on which the clocks go forward", office, "2026-03-27T17:00:00Z", "2026-03-30T06:00:00.000Z"],
    ["after a weekend on which the clocks go back", office, "2026-10-23T16:00:00Z", "2026-10-26T07:00:00.000Z"],
    ["after the end of the week", night, "2026-01-17T11:00:00Z", "2026-01-19T03:30:00.000Z"],
  ])("open again %s", (_when, hours, instant, opening) => {
    expect(opensAt(hours, at(instant)).toISOString()).toBe(opening);
    expect(isOpen(hours, at(opening))).toBe(true);
    expect(isOpen(hours, at(opening) - 1)).toBe(false);
  });

  it.each([
    ["no time zone", { timeZone: "Europe/Atlantis", windows: [{ from: "08:00", to: "09:00" }] }],
    ["an offset", { timeZone: "+02:00", windows: [{ from: "08:00", to: "09:00" }] }],
    ["no windows", { timeZone: "UTC", windows: [] }],
    ["no days", { timeZone: "UTC", windows: [{ days: [], from: "08:00", to: "09:00" }] }],
    ["no length", { timeZone: "UTC", windows: [{ from: "08:00", to: "08:00" }] }],
    ["hour 25", { timeZone: "UTC", windows: [{ from: "08:00", to: "25:00" }] }],
    ["24:01", { timeZone: "UTC", windows: [{ from: "08:00", to: "24:01" }] }],
    ["a beginning at 24:00", { timeZone: "UTC", windows: [{ from: "24:00", to: "08:00" }] }],
    ["8:00", { timeZone: "UTC", windows: [{ from: "8:00", to: "09:00" }] }],
    ["29 windows", { timeZone: "UTC", windows: Array.from({ length: 29 }, () => ({ from: "08:00", to: "09:00" })) }],
  ])("cannot be %s", (_what, order) => {
    expect(() => readHours(order)).toThrow(expect.objectContaining({ code: "BAD_USER_INPUT" }));
  });

  it("keep the one name of a time zone, however it was written", () => {
    const order = { timeZone: "europe/berlin", windows: [{ from: "08:00", to: "09:00" }] };
    expect(readHours(order)?.timeZone).toBe("Europe/Berlin");
  });
});

describe("addresses", () => {
  it.each(["192.0.2.7", "192.0.2.0/24", "10.1.2.3/8", "0.0.0.0/0", "2001:db8::/32", "::1", "::ffff:192.0.2.1"])(
    "may be %s",
    (text) => expect(isAddressRange(text)).toBe(true),
  );
  it.each([
    ...["", "192.0.2", "192.0.2.256", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/8/8", "2001:db8::/129"],
    ...["fe80::1%eth0", "example.com", " 192.0.2.7", "192.0.2.0/024x", "1", "0x7f.1"],
  ])("cannot be %j", (text) => expect(isAddressRange(text)).toBe(false));
});
