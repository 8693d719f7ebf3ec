/**
 * Which models a list of names and patterns allows. In a pattern `*` stands for any characters, so `gpt-*` allows every
 * model whose name starts like that. Names of the catalogue are compared, never the text that a caller sent.
 */
export function allowsModel(list: readonly string[] | null, model: string): boolean {
  if (list === null || list.includes(model)) return true;
  // Without a tag, Ollama means `:latest`. So do names of its models in a list.
  const short = model.endsWith(latest) ? model.slice(0, -latest.length) : model;
  return list.some((pattern) => matches(pattern, model) || pattern === short);
}

/** Whether `outer` allows every model that `inner` allows: `gpt-4*` is within `gpt-*`. */
export function isWithin(inner: readonly string[], outer: readonly string[] | null): boolean {
  // An asterisk can only be matched by one of the other pattern, which covers whatever it may stand for.
  return inner.every((pattern) => allowsModel(outer, pattern));
}

export function isModelPattern(text: string): boolean {
  return /^[\w.:/@+*-]{1,200}$/.test(text);
}

const latest = ":latest";

/** No regular expression, because many asterisks would make one slow. */
function matches(pattern: string, text: string): boolean {
  const [head = "", ...middle] = pattern.split("*");
  const tail = middle.pop();
  if (tail === undefined) return pattern === text;
  const end = text.length - tail.length;
  if (end < head.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  let at = head.length;
  for (const part of middle) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
