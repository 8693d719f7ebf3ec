import type { StoredHours } from "../../db/tables/ledger.ts";
import { badInput } from "../../errors.ts";

/**
 * Hours of use, in the time zone of the setting: nine o'clock stays nine o'clock when the clocks change. The caller
 * passes the time, which must be the database's.
 */
export const weekdays = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"] as const;
export type WeekdayName = (typeof weekdays)[number];

export interface HoursOrder {
  timeZone: string;
  windows: { days?: readonly WeekdayName[] | null | undefined; from: string; to: string }[];
}

/** Compiled hours: spans of minutes from Monday, 0:00, each at most a day long. */
export interface OpenHours {
  clock: Intl.DateTimeFormat;
  spans: { start: number; end: number }[];
}

const minutesOfDay = 24 * 60;
const minutesOfWeek = 7 * minutesOfDay;
const minuteMs = 60_000;
const windowsMax = 28;

/** @throws BAD_USER_INPUT */
export function readHours(order: HoursOrder | null): StoredHours | null {
  if (order === null) return null;
  const { windows } = order;
  const timeZone = readTimeZone(order.timeZone);
  if (timeZone === undefined) throw wrong("hours.timeZone is the name of a time zone, such as Europe/Berlin.");
  if (windows.length === 0 || windows.length > windowsMax) throw wrong(`hours.windows has 1 to ${windowsMax} items.`);
  return {
    timeZone,
    windows: windows.map(({ days, from, to }) => {
      if (days?.length === 0) throw wrong("hours.windows.days names at least one day, or is absent.");
      if (from === "24:00" || readTime(from) === readTime(to))
        throw wrong("A window of hours begins before 24:00, and not when it ends.");
      return { days: weekdays.filter((day) => days?.includes(day) ?? true), from, to };
    }),
  };
}

export function openHours({ timeZone, windows }: StoredHours): OpenHours {
  const spans = windows.flatMap(({ days, from, to }) => {
    const [start, end] = [readTime(from), readTime(to)];
    // Past midnight it belongs to the day on which it began.
    const minutes = (end - start + minutesOfDay) % minutesOfDay || minutesOfDay;
    return days.map((day) => {
      const at = weekdays.indexOf(day as WeekdayName) * minutesOfDay + start;
      return { start: at, end: at + minutes };
    });
  });
  return { clock: clockOf(timeZone), spans };
}

export function isOpen({ clock, spans }: OpenHours, nowMs: number): boolean {
  return isInSpans(spans, minuteOfWeek(clock, nowMs));
}

function isInSpans(spans: OpenHours["spans"], minute: number): boolean {
  // A span that runs past Sunday's midnight goes on at the start of the week.
  return spans.some(({ start, end }) => isIn(minute, start, end) || isIn(minute + minutesOfWeek, start, end));
}

/** Whether `inner` is closed whenever `outer` is. Of two time zones that cannot be said, because their clocks change. */
export function isWithinHours(inner: StoredHours | null, outer: StoredHours | null): boolean {
  if (outer === null) return true;
  if (inner?.timeZone !== outer.timeZone) return false;
  const [narrow, wide] = [openHours(inner).spans, openHours(outer).spans];
  for (let minute = 0; minute < minutesOfWeek; minute++) {
    if (isInSpans(narrow, minute) && !isInSpans(wide, minute)) return false;
  }
  return true;
}

/**
 * When it opens next, for hours that are closed now. Within the span that clocks run straight, that is a sum; a change of
 * the clocks on the way may skip the opening, repeat it, or open the hours itself, so it is looked at on its own.
 */
export function opensAt(hours: OpenHours, nowMs: number): Date {
  const { clock, spans } = hours;
  let fromMs = Math.floor(nowMs / minuteMs) * minuteMs;
  for (;;) {
    const minute = minuteOfWeek(clock, fromMs);
    const waits = spans.map(({ start }) => (start - minute + minutesOfWeek) % minutesOfWeek || minutesOfWeek);
    const wait = Math.min(...waits);
    if (!isChanged(clock, fromMs, wait)) return new Date(fromMs + wait * minuteMs);
    fromMs += minutesToChange(clock, fromMs, wait) * minuteMs;
    if (isOpen(hours, fromMs)) return new Date(fromMs);
  }
}

/** Whether the clocks have changed within so many minutes from then. */
function isChanged(clock: Intl.DateTimeFormat, fromMs: number, minutes: number): boolean {
  const straight = (minuteOfWeek(clock, fromMs) + minutes) % minutesOfWeek;
  return minuteOfWeek(clock, fromMs + minutes * minuteMs) !== straight;
}

/** How long it takes until the clocks change, which they do within so many minutes. */
function minutesToChange(clock: Intl.DateTimeFormat, fromMs: number, within: number): number {
  let [before, after] = [0, within];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (isChanged(clock, fromMs, middle)) after = middle;
    else before = middle;
  }
  return after;
}

function isIn(minute: number, start: number, end: number): boolean {
  return start <= minute && minute < end;
}

const names = new Map(weekdays.map((day, i) => [`${day.charAt(0)}${day.slice(1).toLowerCase()}`, i]));

function minuteOfWeek(clock: Intl.DateTimeFormat, nowMs: number): number {
  const parts = Object.fromEntries(clock.formatToParts(nowMs).map(({ type, value }) => [type, value]));
  const day = names.get(parts["weekday"] ?? "") ?? 0;
  return day * minutesOfDay + Number(parts["hour"]) * 60 + Number(parts["minute"]);
}

const clocks = new Map<string, Intl.DateTimeFormat>();

/**
 * Cached, because creating one takes a hundred times as long as using it. The number of time zones bounds the cache.
 */
function clockOf(timeZone: string): Intl.DateTimeFormat {
  const known = clocks.get(timeZone);
  if (known) return known;
  const parts = { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  const made = new Intl.DateTimeFormat("en-US", { timeZone, ...parts });
  clocks.set(timeZone, made);
  return made;
}

/** The one name of a time zone, which may be written in any case. */
function readTimeZone(name: string): string | undefined {
  // An offset such as +02:00 would be right for half of the year only.
  if (!/^[A-Za-z][\w+/-]{0,63}$/.test(name)) return undefined;
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

/** Minutes from midnight; 24:00 is the end of the day. */
function readTime(text: string): number {
  const [, hour, minute] = /^([01]\d|2[0-3]|24):([0-5]\d)$/.exec(text) ?? [];
  const minutes = Number(hour) * 60 + Number(minute);
  if (hour === undefined || minutes > minutesOfDay) throw wrong(`"${text.slice(0, 20)}" is no time such as 08:30.`);
  return minutes;
}

function wrong(message: string) {
  return badInput(message, { field: "hours" });
}
