import { describe, expect, it } from "vitest";
import { redact, redactAll } from "../../src/guard/redaction.ts";

describe("redaction", () => {
  it.each([
    ["write to Ann.Smith+x@mail.example.co.uk today", "write to [email] today"],
    ["card 4111 1111 1111 1111, 5500-0000-0000-0004.", "card [card], [card]."],
    ["IBAN DE89 3704 0044 0532 0130 00 and GB82WEST12345698765432", "IBAN [iban] and [iban]"],
    ["tg_live_0123456789abcdefghijklmnopqrstuvwxyz and sk-proj-abcdefghij0123456789", "[key] and [key]"],
    ["ghp_abcdefghijklmnopqrstuvwxyz0123456789 AKIAIOSFODNN7EXAMPLE", "[key] [key]"],
    ["eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[token]"],
    ["Authorization: Bearer abcdefghij0123456789", "Authorization: Bearer [password]"],
    ['{"password": "hunter22", "pwd":"abcd"}', '{"password": "[password]", "pwd":"[password]"}'],
    ["postgres://app:s3cret@db.example.com/x", "postgres://app:[password]@db.example.com/x"],
    ["-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc=\n-----END RSA PRIVATE KEY-----\nbye", "[private key]\nbye"],
    ["call +49 (30) 1234-5678 or 078-05-1120", "call [phone] or [id number]"],
  ])("strikes out of %j", (text, left) => {
    expect(redact(text)).toBe(left);
  });

  it.each([
    "4111 1111 1111 1112 has a wrong check digit",
    "DE89 3704 0044 0532 0130 01 too",
    "version 1.2.3, 2026-11-21, 12:30:45, 1234567890123, a@b, sk-short, the secret is out",
    "x = y + 1; // see RFC 5802",
  ])("leaves %j as it is", (text) => {
    expect(redact(text)).toBe(text);
  });

  it("reaches every text of what was said, and leaves out data", () => {
    const said = {
      messages: [{ role: "user", content: [{ text: "a@b.example" }, { url: "data:image/png;base64,AAAA" }] }],
    };
    expect(redactAll(said)).toEqual({
      messages: [{ role: "user", content: [{ text: "[email]" }, { url: "[data]" }] }],
    });
  });

  it.each([
    ["letters", "a"],
    ["digits", "1"],
    ["spaced digits", "1 "],
    ["colons and slashes", "://a:"],
    ["starts of tokens", "eyJaaaaaaaa-"],
    ["starts of keys", "-----BEGIN RSA PRIVATE KEY-----"],
    ["names of passwords", "password="],
    ["blanks", " "],
    ["at signs", "a.a@a.a."],
    ["capitals", "AB12 "],
    ["pluses", "+1-"],
  ])("takes no more than a moment for a quarter of a million %s", (_name, piece) => {
    const startedAt = process.cpuUsage();
    redact(piece.repeat(Math.ceil(262_144 / piece.length)));
    const { user } = process.cpuUsage(startedAt);
    expect(user / 1000).toBeLessThan(1_000);
  });
});
