import { createHmac, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { compare, hash } from "bcrypt";
import { isAccessToken } from "../auth/sessions/tokens.ts";
import { badInput } from "../errors.ts";
import { Gate } from "../tasks/gate.ts";

/**
 * The text of a key: `tg_`, the environment, `_`, 43 base62 characters that carry 256 random bits, and 6 of their
 * CRC-32, so that a mistyped or invented key is recognised without a look-up, and scanners can find a leak.
 */
export type KeyEnvironment = "live" | "test";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const bodyLength = 43;
const checksumLength = 6;
const minted = /^(tg_(?:live|test)_)([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/;
const mark = "tg_";
const mintedAnywhere = /tg_(?:live|test)_[0-9A-Za-z]{49}/g;
const broughtLengthMin = 20;
const broughtLengthMax = 200;
const brought = /^[\x21-\x7e]+$/;

export function mintKey(environment: KeyEnvironment): string {
  const text = `tg_${environment}_${base62(BigInt(`0x${randomBytes(32).toString("hex")}`), bodyLength)}`;
  return text + checksum(text);
}

/** Whether a text can be a key at all. False for a minted key that was mistyped, so it costs no look-up. */
export function isKeyText(text: string): boolean {
  if (text.startsWith(mark)) {
    const [, prefix, body, sum] = minted.exec(text) ?? [];
    return prefix !== undefined && checksum(`${prefix}${body}`) === sum;
  }
  return text.length >= broughtLengthMin && text.length <= broughtLengthMax && brought.test(text);
}

/** The generated keys within a text. A text without any costs only a search for three letters. */
export function mintedKeysIn(text: string): string[] {
  return text.includes(mark) ? (text.match(mintedAnywhere) ?? []).filter(isKeyText) : [];
}

/** @throws BAD_USER_INPUT for a plaintext key that a customer may not supply */
export function checkBroughtKey(text: string): void {
  if (text.startsWith(mark)) throw badInput("A key of your own cannot start with tg_.");
  if (isAccessToken(text)) throw badInput("A key of your own cannot have the form of an access token.");
  if (text.length < broughtLengthMin || text.length > broughtLengthMax || !brought.test(text)) {
    throw badInput(
      `A key of your own has ${broughtLengthMin} to ${broughtLengthMax} visible ASCII characters without spaces.`,
    );
  }
}

/** The visible parts of a key. A supplied key shows no prefix, because its form is unknown. */
export function visibleParts(text: string): { prefix: string; last4: string } {
  return { prefix: minted.exec(text)?.[1] ?? "", last4: text.slice(-4) };
}

export interface Peppers {
  digestPepper: Buffer;
  hashPepper: Buffer;
}

/** For look-up: equal texts have equal digests, and without the pepper a digest cannot be checked against a guess. */
export function digestKey(text: string, { digestPepper }: Peppers): Buffer {
  return createHmac("sha256", digestPepper).update(text).digest();
}

/** A generated key has 256 random bits, to which a high cost adds nothing; a supplied one may be guessable. */
const mintedCost = 6;
const broughtCost = 10;
const gate = new Gate(2, 1000);

/** bcrypt reads at most 72 bytes, so it is given a digest of fixed length and never the key itself. */
function hashKey(text: string, { hashPepper }: Peppers): Promise<string> {
  return gate.run(() => hash(hashInput(text, hashPepper), minted.test(text) ? mintedCost : broughtCost));
}

export function verifyKey(text: string, stored: string, { hashPepper }: Peppers): Promise<boolean> {
  return gate.run(() => compare(hashInput(text, hashPepper), stored));
}

/** The stored form of a plaintext key. */
export async function storedForm(text: string, peppers: Peppers) {
  return { digest: digestKey(text, peppers), hash: await hashKey(text, peppers), last4: visibleParts(text).last4 };
}

function hashInput(text: string, pepper: Buffer): string {
  return createHmac("sha256", pepper).update(text).digest("base64");
}

function checksum(text: string): string {
  let sum = crc32(text);
  let digits = "";
  while (digits.length < checksumLength) {
    digits = alphabet[sum % alphabet.length] + digits;
    sum = Math.floor(sum / alphabet.length);
  }
  return digits;
}

function base62(value: bigint, length: number): string {
  let text = "";
  for (let rest = value; text.length < length; rest /= 62n) text = alphabet[Number(rest % 62n)] + text;
  return text;
}
