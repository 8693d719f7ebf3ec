/** One line on stderr that is written over: stdout is for the JSON. */
export function progress(what: string, done: number): void {
  const width = 30;
  const bar = "#".repeat(Math.round(done * width)).padEnd(width, ".");
  process.stderr.write(`\r${what.padEnd(10)} [${bar}] ${Math.round(done * 100)} %${done >= 1 ? "\n" : ""}`);
}
