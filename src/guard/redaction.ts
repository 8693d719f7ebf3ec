/**
 * Redacts personal data and secrets from a text before it is stored: a table of patterns, with a further test where a
 * pattern alone would match too much. Every pattern starts at a boundary and is bounded, so that no text makes it
 * backtrack for long.
 */
interface Rule {
  name: string;
  pattern: RegExp;
  isOne?: (match: string) => boolean;
}

const rules: Rule[] = [
  {
    name: "private key",
    pattern: /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,20000}(?:-----END [A-Z ]{0,40}-----)?/g,
  },
  { name: "token", pattern: /(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?/g },
  {
    name: "key",
    pattern:
      /(?<![\w-])(?:tg_(?:live|test)_|sk-|[sr]k_(?:live|test)_|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|hf_|npm_|AIza|AKIA|ASIA)[\w-]{12,}/g,
  },
  { name: "password", pattern: /(?<=:\/\/[^\s/:@]{1,64}:)[^\s/@]{1,128}(?=@)/g },
  {
    name: "password",
    pattern:
      /(?<=(?<![A-Za-z])(?:password|passwd|pwd|passphrase|secret|api[_-]?key)["']?\s{0,3}[:=]\s{0,3}["']?)[^\s"',;]{4,}/gi,
  },
  { name: "password", pattern: /(?<=(?<![A-Za-z])(?:bearer|basic) {1,3})[\w.~+/=-]{16,}/gi },
  { name: "email", pattern: /(?<![\w.%+-])[\w.%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}/g },
  { name: "card", pattern: /(?<!\d|\d[ -])\d(?:[ -]?\d){12,18}(?![ -]?\d)/g, isOne: isCard },
  {
    name: "iban",
    pattern: /(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![A-Za-z0-9])/g,
    isOne: isIban,
  },
  { name: "id number", pattern: /(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])/g },
  { name: "phone", pattern: /(?<![\w+])\+\d(?:[ ()-]{0,2}\d){7,14}(?!\d)/g },
];

/** Replaces each match by `[email]`, `[card]` and so on. */
export function redact(text: string): string {
  return rules.reduce(
    (left, { name, pattern, isOne }) =>
      left.replace(pattern, (match) => (isOne && !isOne(match) ? match : `[${name}]`)),
    text,
  );
}

/** Redacts every string of a JSON value. Data URLs are replaced as a whole. */
export function redactAll(value: unknown): unknown {
  if (typeof value === "string") return value.startsWith("data:") ? "[data]" : redact(value);
  if (Array.isArray(value)) return value.map(redactAll);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inside]) => [name, redactAll(inside)]));
}

/** The check digit of payment cards (ISO/IEC 7812). */
function isCard(match: string): boolean {
  const digits = [...match.replace(/\D/g, "")].reverse().map(Number);
  const sum = digits.reduce((total, digit, i) => total + (i % 2 ? (digit > 4 ? 2 * digit - 9 : 2 * digit) : digit), 0);
  return sum % 10 === 0;
}

/** The check digits of bank accounts (ISO 13616): the number leaves a remainder of 1 when divided by 97. */
function isIban(match: string): boolean {
  const text = match.replaceAll(" ", "");
  let rest = 0;
  for (const sign of `${text.slice(4)}${text.slice(0, 4)}`) {
    const value = Number.parseInt(sign, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}
