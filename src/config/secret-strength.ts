/**
 * Secrets that can be guessed. Entropy is estimated from the frequency of characters: it is an upper bound, which is
 * enough to refuse a text that a person typed, and never refuses one of a random generator with enough bytes.
 */
const serverSecretBitsMin = 96;
const tokenBitsMin = 48;
const passwordBitsMin = 20;

const placeholder = /change.?me|secret|password|default|example|abcdefg|1234567/i;
const repetition = /^(.+?)\1+$/s;
const commonPassword =
  /^\W*(?:admin|administrator|changeme|default|letmein|owner|password|qwerty|root|secret|tollgate|welcome)+[\W\d]*$/i;

/** Undefined for a text that may be a secret. */
export function weaknessOfServerSecret(text: string): string | undefined {
  return weakness(text, placeholder, serverSecretBitsMin);
}

export function weaknessOfToken(text: string): string | undefined {
  return weakness(text, placeholder, tokenBitsMin);
}

export function weaknessOfPassword(text: string): string | undefined {
  return weakness(text, commonPassword, passwordBitsMin);
}

function weakness(text: string, known: RegExp, bitsMin: number): string | undefined {
  if (known.test(text) || repetition.test(text)) return "looks like a placeholder";
  return entropyBits(text) < bitsMin ? "is too easy to guess: use a random value" : undefined;
}

function entropyBits(text: string): number {
  const characters = [...text];
  const counts = new Map<string, number>();
  for (const character of characters) counts.set(character, (counts.get(character) ?? 0) + 1);
  return [...counts.values()].reduce((bits, count) => bits - count * Math.log2(count / characters.length), 0);
}
