import { spawnSync } from "node:child_process";

/** `npm run bench <name> -- <options>`: see bench/README.md. Each prints JSON; progress goes to stderr. */
interface Bench {
  measures: string;
  /** Whether it starts servers from `dist/`. */
  needsBuild: boolean;
  run(): Promise<unknown>;
}

const benches: Record<string, Bench> = {
  gateway: {
    measures: "requests a second and latency of calls, beside a peer's or beside another build's",
    needsBuild: true,
    run: () => import("./gateway/run.ts"),
  },
  stream: {
    measures: "how long a token takes through the server",
    needsBuild: true,
    run: () => import("./stream/run.ts"),
  },
  credits: {
    measures: "pairs of reserve and settle a second",
    needsBuild: false,
    run: () => import("./credits/run.ts"),
  },
  hostile: {
    measures: "paid calls beside what strangers and hostile keys send",
    needsBuild: true,
    run: () => import("./hostile/run.ts"),
  },
  keys: { measures: "what it costs to identify a key", needsBuild: false, run: () => import("./keys/run.ts") },
  rollup: {
    measures: "what servers cost each other that settle calls of the same rollup rows",
    needsBuild: false,
    run: () => import("./rollup/run.ts"),
  },
  usage: {
    measures: "reports on the rollups beside the same on the calls",
    needsBuild: false,
    run: () => import("./usage/run.ts"),
  },
};

function usage(): string {
  const width = Math.max(...Object.keys(benches).map((name) => name.length));
  const lines = Object.entries(benches).map(([name, { measures }]) => `  ${name.padEnd(width)}  ${measures}`);
  return `Usage: npm run bench <name> -- <options>\n${lines.join("\n")}\n`;
}

/** Its output goes to stderr, so that stdout holds the figures alone. */
function build(): void {
  const { status } = spawnSync("npm", ["run", "build"], { stdio: ["ignore", 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}

const name = process.argv[2] ?? "";
const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (bench) {
  if (bench.needsBuild) build();
  // The benchmark reads its own options.
  process.argv.splice(2, 1);
  await bench.run();
} else {
  process.stderr.write(name ? `There is no benchmark ${JSON.stringify(name)}.\n${usage()}` : usage());
  process.exitCode = 1;
}
